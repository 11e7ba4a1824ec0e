"""A Qt callback has no tenant of its own: what it starts through Tasks runs in its owner's, and nothing else does."""

import asyncio
import contextvars
from contextlib import suppress
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QObject, QTimer, Signal

from hitl_desktop.services.errors import Unavailable
from hitl_desktop.tenancy import TenantContext, TenantMismatchError, TenantNotSetError, require_tenant
from hitl_desktop.viewmodels.tasks import Tasks
from tests.tenancy_ids import legal_ids
from tests.waiting import until


class Asker(QObject):
    asked = Signal()


def context_of(tenant: str) -> contextvars.Context:
    context = contextvars.Context()
    context.run(TenantContext.set_tenant, tenant)
    return context


async def look() -> str:
    await asyncio.sleep(0)
    in_thread = await asyncio.to_thread(TenantContext.get_current_tenant)
    assert in_thread == TenantContext.get_current_tenant()
    return in_thread


async def test_a_timer_started_inside_a_scope_fires_without_its_tenant() -> None:
    seen: list[bool] = []
    with TenantContext.tenant_scope("acme"):
        QTimer.singleShot(0, lambda: seen.append(TenantContext.is_set()))
    await until(lambda: seen, "the timer has fired")
    assert seen == [False]


async def test_a_service_called_from_a_timer_is_refused() -> None:
    refused: list[type[Exception]] = []

    def call() -> None:
        try:
            require_tenant("acme")
        except TenantNotSetError as error:
            refused.append(type(error))

    QTimer.singleShot(0, call)
    await until(lambda: refused, "the timer has fired")
    assert refused == [TenantNotSetError]


async def test_what_a_timer_or_signal_starts_through_tasks_runs_for_its_owner() -> None:
    owners = {tenant: Tasks(context_of(tenant)) for tenant in ("acme", "globex", "widgets-inc")}
    seen: list[tuple[str, str]] = []
    asker = Asker()

    def start(tenant: str) -> None:
        owners[tenant].start(look(), lambda found: seen.append((tenant, found)))

    for tenant in owners:
        for _ in range(20):
            QTimer.singleShot(0, lambda tenant=tenant: start(tenant))
        asker.asked.connect(lambda tenant=tenant: start(tenant))
    with TenantContext.tenant_scope("outer"):  # whoever emits does not lend its tenant
        asker.asked.emit()
    await until(lambda: len(seen) == 63, "all tasks have ended")
    assert {owner for owner, _ in seen} == set(owners)
    assert all(owner == found for owner, found in seen)
    for tasks in owners.values():
        await tasks.close()
    assert not TenantContext.is_set()


async def test_work_of_another_tenant_is_reported_and_not_done() -> None:
    told: list[str] = []
    tasks = Tasks(context_of("acme"))
    tasks.failed.connect(told.append)

    async def of_another() -> None:
        require_tenant("globex")

    task = tasks.start(of_another())
    await until(lambda: told, "the failure is told")
    assert isinstance(task.exception(), TenantMismatchError)
    await tasks.close()


async def test_a_reply_that_outlives_its_cancellation_is_dropped() -> None:
    told: list[object] = []
    tasks = Tasks(context_of("acme"))
    tasks.failed.connect(told.append)
    begun = asyncio.Event()

    async def stubborn(*, fails: bool) -> str:
        begun.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        if fails:
            raise Unavailable("too late")
        return "late"

    tasks.start(stubborn(fails=False), told.append)
    tasks.start(stubborn(fails=True), told.append, told.append)
    tasks.start(stubborn(fails=True), told.append)
    await begun.wait()
    await tasks.close()
    await asyncio.sleep(0)
    assert told == []


@pytest.mark.usefixtures("qapp")
@settings(max_examples=25)
@given(st.lists(legal_ids, min_size=2, max_size=8, unique=True), st.randoms(use_true_random=False))
def test_many_owners_interleaved_on_qts_loop_never_meet(tenants: list[str], random: Random) -> None:
    import qasync
    from PySide6.QtCore import QCoreApplication

    seen: list[tuple[str, str]] = []

    async def main() -> None:
        owners = {tenant: Tasks(context_of(tenant)) for tenant in tenants}
        order = [tenant for tenant in tenants for _ in range(3)]
        random.shuffle(order)
        for tenant in order:
            QTimer.singleShot(
                0,
                lambda tenant=tenant: owners[tenant].start(look(), lambda found: seen.append((tenant, found))),
            )
        await until(lambda: len(seen) == len(order), "all tasks have ended")
        for tasks in owners.values():
            await tasks.close()

    loop = qasync.QEventLoop(QCoreApplication.instance())
    with loop:
        loop.run_until_complete(main())
    assert all(owner == found for owner, found in seen)
