"""What waits for tenants that no window shows is delivered too, looked after, or given back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from hitl_desktop.app.couriers import Couriers
from hitl_desktop.domain.decision import Verdict
from hitl_desktop.domain.outbox import Cause, OutboxState
from hitl_desktop.services.encoding import GateRequest
from hitl_desktop.session import Backend, open_backend, open_session
from hitl_desktop.session.stranded import Stranded
from hitl_desktop.settings import read_settings
from hitl_desktop.sync.cancelling import ended
from tests import keyrings
from tests.faults.ledger import ledger
from tests.faults.lives import outbox_rows, settings_of
from tests.faults.test_claims import forget_decision
from tests.gates import TENANT, ask, gate_request
from tests.processes import DEADLINE
from tests.servers import Server
from tests.waiting import until


@pytest.fixture
def environment(home: Path, valkey: Server) -> dict[str, str]:
    return settings_of(home, valkey)


@asynccontextmanager
async def at_work(
    environment: dict[str, str], told: list[str], noted: list[Stranded] | None = None, *, offline: bool = False
) -> AsyncIterator[tuple[Backend, Couriers]]:
    """Run couriers of an application that shows no tenant."""
    async with open_backend(read_settings(environment)) as backend:
        backend.work_offline(offline=offline)
        couriers = Couriers(backend, lambda: (), told.append, ([] if noted is None else noted).append)
        running = asyncio.create_task(couriers.run())
        try:
            yield backend, couriers
            # What is under way comes to its end, and nothing new begins.
            backend.work_offline(offline=True)
            await one_round(couriers)
        finally:
            await ended([running])


async def one_round(couriers: Couriers) -> None:
    """Let the couriers look after all tenants once more, from the beginning to the end."""
    couriers.look()
    async with asyncio.timeout(DEADLINE):
        await couriers.rested()


async def queue(environment: dict[str, str], request: GateRequest, hold: timedelta = timedelta(0)) -> str:
    async with open_backend(read_settings(environment)) as backend, open_session(backend, live=False) as session:
        gate = (await session.open_gate(request.request_id)).gate
        return (await session.outbox.queue(gate, Verdict.APPROVED, hold=hold)).decision_id


def is_written(server: Server, request: GateRequest, decision_id: str) -> bool:
    return ledger(server, [request]).is_written_once(request.request_id, decision_id)


async def test_one_that_can_still_be_undone_keeps_no_other_waiting(valkey: Server, environment: dict[str, str]) -> None:
    held, due = gate_request("Held"), gate_request("Due")
    await ask(valkey.url, TENANT, held)
    await ask(valkey.url, "widgets-inc", due)
    await queue(environment, held, timedelta(hours=1))
    others = environment | {"DEFAULT_TENANT_ID": "widgets-inc"}
    name = await queue(others, due)
    async with at_work(environment, []):
        await until(
            lambda: ledger(valkey, [due], "widgets-inc").is_written_once(due.request_id, name), "the due one is sent"
        )
        await until(lambda: not outbox_rows(environment, "widgets-inc"), "that is known")
    (row,) = outbox_rows(environment)
    assert row.state is OutboxState.QUEUED


async def test_what_a_server_forgot_is_delivered_again(valkey: Server, environment: dict[str, str]) -> None:
    request = gate_request("Forgotten")
    await ask(valkey.url, TENANT, request)
    name = await queue(environment, request)
    async with at_work(environment, []) as (_, couriers):
        await until(lambda: is_written(valkey, request, name), "it is sent")
        await until(lambda: not outbox_rows(environment), "that is known")
        forget_decision(valkey, request)
        valkey.restart()
        couriers.look()
        await until(lambda: is_written(valkey, request, name), "it is sent again")
        await until(lambda: not outbox_rows(environment), "that is known")


async def test_working_offline_sends_nothing(valkey: Server, environment: dict[str, str]) -> None:
    request = gate_request("Later")
    await ask(valkey.url, TENANT, request)
    name = await queue(environment, request)
    before = valkey.run("INFO", "stats")["total_connections_received"]
    async with at_work(environment, [], offline=True) as (backend, couriers):
        for _ in range(3):
            await one_round(couriers)
        after = valkey.run("INFO", "stats")["total_connections_received"]
        assert after - before == 1, "only this question itself"
        backend.work_offline(offline=False)
        couriers.look()
        await until(lambda: is_written(valkey, request, name), "it is sent afterwards")
        await until(lambda: not outbox_rows(environment), "that is known")


@pytest.mark.parametrize("offline", [False, True])
@pytest.mark.parametrize("now", [{"ALLOWED_TENANTS": "widgets-inc"}, {"MULTI_TENANCY_ENABLED": "false"}])
async def test_what_may_not_be_delivered_any_more_is_given_back_and_noted_at_each_look(
    valkey: Server, environment: dict[str, str], now: dict[str, str], *, offline: bool
) -> None:
    request = gate_request("Too late")
    await ask(valkey.url, TENANT, request)
    await queue(environment, request)
    told: list[str] = []
    noted: list[Stranded] = []
    changed = environment | {"DEFAULT_TENANT_ID": "widgets-inc"} | now
    before = valkey.run("INFO", "stats")["total_connections_received"]
    async with at_work(changed, told, noted, offline=offline) as (_, couriers):
        await until(lambda: noted, "it is noted")
        for _ in range(3):
            await one_round(couriers)
        assert len(noted) > len(range(3))
    (row,) = outbox_rows(environment)
    assert (row.state, row.cause) == (OutboxState.REFUSED, Cause.NOT_ALLOWED)
    assert len(set(noted)) == 1
    assert (noted[0].tenant_id, noted[0].count) == (TENANT, 1)
    assert f"outbox list --tenant {TENANT}" in noted[0].sentence
    assert told == []
    assert valkey.run("INFO", "stats")["total_connections_received"] - before == 1, "only this question itself"


async def test_what_was_given_back_is_delivered_once_its_tenant_is_allowed_again(
    valkey: Server, environment: dict[str, str]
) -> None:
    request = gate_request("Late")
    await ask(valkey.url, TENANT, request)
    name = await queue(environment, request)
    noted: list[Stranded] = []
    async with at_work(environment | {"ALLOWED_TENANTS": "widgets-inc", "DEFAULT_TENANT_ID": "widgets-inc"}, [], noted):
        await until(lambda: noted, "it is noted")
    async with at_work(environment, [], noted):
        await until(lambda: is_written(valkey, request, name), "it is sent by itself")
        await until(lambda: not outbox_rows(environment), "that is known")


async def test_decisions_that_wait_for_a_login_are_told_once_and_sent_after_it(
    valkey: Server, environment: dict[str, str]
) -> None:
    request = gate_request("Later")
    await ask(valkey.url, TENANT, request)
    name = await queue(environment, request)
    told: list[str] = []
    with keyrings.used(keyrings.Asked()):
        password = keyrings.make_users(valkey, TENANT)[TENANT]
        async with at_work(environment, told) as (_, couriers):
            await until(lambda: told, "it is told")
            await one_round(couriers)
            (row,) = outbox_rows(environment)
            assert (row.state, row.cause) == (OutboxState.QUEUED, Cause.CREDENTIALS)
            keyrings.log_in(TENANT, valkey.url, password)
            couriers.look()
            await until(lambda: is_written(valkey, request, name), "it is sent by itself")
            await until(lambda: not outbox_rows(environment), "that is known")
    assert len(told) == 1
    assert f"1 decision for {TENANT}" in told[0]
    assert f"tenants login {TENANT}" in told[0]


async def test_single_tenant_decisions_are_given_back_once_there_are_tenants(
    valkey: Server, environment: dict[str, str]
) -> None:
    single = {**environment, "MULTI_TENANCY_ENABLED": "false"}
    del single["ALLOWED_TENANTS"], single["DEFAULT_TENANT_ID"]
    request = gate_request("From before")
    async with open_backend(read_settings(single)) as backend, open_session(backend, live=False) as session:
        await session.request(request)
    await queue(single, request)
    noted: list[Stranded] = []
    async with at_work(environment, [], noted):
        await until(lambda: noted, "it is noted")
    assert noted[0].tenant_id is None
    assert "single-tenant mode" in noted[0].sentence
    (row,) = outbox_rows(single, None)
    assert (row.state, row.cause) == (OutboxState.REFUSED, Cause.NOT_ALLOWED)
