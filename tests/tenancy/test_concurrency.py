"""No piece of running code ever sees another's tenant, whatever order they take turns in."""

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitl_desktop.tenancy import TenantContext, TenantNotSetError, process_event_with_tenant
from tests.tenancy_ids import legal_ids

# What a task does, step by step: give way, enter a tenant for the rest, look from a thread, or have children.
STEPS = ("yield", "enter", "thread", "children", "clear", "fail")
plans = st.lists(
    st.tuples(legal_ids, st.lists(st.sampled_from(STEPS), min_size=1, max_size=6)), min_size=2, max_size=12
)


def current() -> str | None:
    return TenantContext.get_current_tenant() if TenantContext.is_set() else None


async def walk(tenant: str, steps: list[str], expected: str | None) -> None:
    """Take `steps` and check after each that the tenant is this task's own."""
    assert current() == expected
    if not steps:
        return
    step, rest = steps[0], steps[1:]
    await asyncio.sleep(0)
    assert current() == expected
    if step == "enter":
        with TenantContext.tenant_scope(tenant):
            await walk(tenant, rest, tenant)
        assert current() == expected
        return
    await STEPS_TAKEN[step](tenant, rest, expected)
    await walk(tenant, rest, expected)


async def give_way(_tenant: str, _rest: list[str], _expected: str | None) -> None:
    await asyncio.sleep(0)


async def look_from_a_thread(tenant: str, _rest: list[str], expected: str | None) -> None:
    def look_and_change() -> str | None:
        seen = current()
        TenantContext.set_tenant(f"{tenant[:50]}-thread")
        return seen

    assert await asyncio.to_thread(look_and_change) == expected


async def have_children(tenant: str, rest: list[str], expected: str | None) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(walk(f"{tenant[:50]}-child", ["enter", *rest[:2]], expected))
        group.create_task(walk(tenant, ["yield"], expected))


async def clear(_tenant: str, _rest: list[str], expected: str | None) -> None:
    async def child() -> None:
        TenantContext.clear()
        await asyncio.sleep(0)
        assert current() is None

    await asyncio.create_task(child())
    assert current() == expected


async def fail(tenant: str, _rest: list[str], _expected: str | None) -> None:
    async def failing() -> None:
        with TenantContext.tenant_scope(f"{tenant[:50]}-failed"):
            await asyncio.sleep(0)
            raise LookupError

    with pytest.raises(LookupError):
        await failing()


STEPS_TAKEN: dict[str, Callable[[str, list[str], str | None], Coroutine[Any, Any, None]]] = {
    "yield": give_way,
    "thread": look_from_a_thread,
    "children": have_children,
    "clear": clear,
    "fail": fail,
}


@given(plans)
def test_interleaved_tasks_keep_their_own_tenant(plan: list[tuple[str, list[str]]]) -> None:
    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for tenant, steps in plan:
                group.create_task(walk(tenant, steps, None))
        assert current() is None

    asyncio.run(main())


@given(st.lists(legal_ids, min_size=2, max_size=10, unique=True), st.randoms(use_true_random=False))
def test_interleaved_events_are_handled_in_their_own_tenant(tenants: list[str], random: Random) -> None:
    async def main() -> None:
        gates = {tenant: asyncio.Event() for tenant in tenants}

        async def handler(event: dict[str, str]) -> str:
            await gates[event["tenant_id"]].wait()
            return TenantContext.get_current_tenant()

        running = [asyncio.create_task(process_event_with_tenant({"tenant_id": t}, handler)) for t in tenants]
        for tenant in random.sample(tenants, len(tenants)):
            gates[tenant].set()
            await asyncio.sleep(0)
        assert await asyncio.gather(*running) == tenants

    asyncio.run(main())


@given(st.lists(legal_ids, min_size=2, max_size=6, unique=True))
def test_threads_start_without_a_tenant_and_keep_their_own(tenants: list[str]) -> None:
    barrier = threading.Barrier(len(tenants))

    def work(tenant: str) -> tuple[str | None, str | None]:
        before = current()
        with TenantContext.tenant_scope(tenant):
            barrier.wait(30)
            during = current()
            barrier.wait(30)
        return before, during

    with TenantContext.tenant_scope("outer"), ThreadPoolExecutor(len(tenants)) as pool:
        assert list(pool.map(work, tenants)) == [(None, tenant) for tenant in tenants]


async def test_a_cancelled_task_leaves_nothing_behind() -> None:
    inside = asyncio.Event()

    async def wait() -> None:
        with TenantContext.tenant_scope("acme"):
            inside.set()
            await asyncio.Event().wait()

    context = contextvars.copy_context()
    task = asyncio.get_running_loop().create_task(wait(), context=context)
    await inside.wait()
    assert context.run(current) == "acme"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert context.run(current) is None


async def test_a_callback_of_the_loop_runs_for_whom_it_was_scheduled() -> None:
    seen: list[str | None] = []
    done = asyncio.Event()
    loop = asyncio.get_running_loop()
    with TenantContext.tenant_scope("acme"):
        loop.call_soon(lambda: seen.append(current()))
    with TenantContext.tenant_scope("globex"):
        loop.call_soon(lambda: seen.append(current()))
        loop.call_soon(done.set)
    await done.wait()
    assert seen == ["acme", "globex"]
    with pytest.raises(TenantNotSetError):
        TenantContext.get_current_tenant()
