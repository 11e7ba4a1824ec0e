import asyncio
import contextvars

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitl_desktop.tenancy import (
    TenantContext,
    TenantMismatchError,
    TenantNotAllowedError,
    TenantNotSetError,
    require_tenant,
)

ids = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)


def isolated(check: object, *arguments: object) -> None:
    contextvars.copy_context().run(check, *arguments)  # type: ignore[arg-type]


def test_there_is_no_tenant_to_fall_back_to() -> None:
    with pytest.raises(TenantNotSetError):
        TenantContext.get_current_tenant()
    assert not TenantContext.is_set()
    assert TenantContext.get_current_tenant_or_default("named-by-the-caller") == "named-by-the-caller"


@given(st.lists(ids, min_size=1, max_size=6))
def test_scopes_nest_and_restore(tenants: list[str]) -> None:
    def nest(left: list[str]) -> None:
        if not left:
            return
        with TenantContext.tenant_scope(left[0]):
            assert TenantContext.get_current_tenant() == left[0]
            nest(left[1:])
            assert TenantContext.get_current_tenant() == left[0]

    isolated(nest, tenants)
    assert not TenantContext.is_set()


@given(ids, ids)
def test_reset_restores_and_clear_really_clears(first: str, second: str) -> None:
    def check() -> None:
        TenantContext.set_tenant(first)
        token = TenantContext.set_tenant(second)
        TenantContext.reset(token)
        assert TenantContext.get_current_tenant() == first
        TenantContext.clear()
        assert not TenantContext.is_set()
        with pytest.raises(TenantNotSetError):
            require_tenant(first)

    isolated(check)


@pytest.mark.parametrize("bad", ["", "A", "a_b", "a:b", "-a", "a-", "a" * 64, "a b", "ä", "a\n", "*", "tenant:a"])
def test_an_illegal_id_is_never_set(bad: str) -> None:
    with pytest.raises(TenantNotAllowedError):
        TenantContext.set_tenant(bad)
    assert not TenantContext.is_set()


@given(st.lists(ids, min_size=2, max_size=12, unique=True))
def test_interleaved_tasks_and_threads_never_see_each_other(tenants: list[str]) -> None:
    async def work(tenant: str, turn: asyncio.Event) -> list[str]:
        seen = []
        with TenantContext.tenant_scope(tenant):
            for _ in range(3):
                await asyncio.sleep(0)
                seen.append(TenantContext.get_current_tenant())
            seen.append(await asyncio.to_thread(TenantContext.get_current_tenant))
            await turn.wait()
            async with asyncio.TaskGroup() as group:
                child = group.create_task(asyncio.to_thread(TenantContext.get_current_tenant))
            seen.append(child.result())
        return seen

    async def main() -> None:
        turn = asyncio.Event()
        running = [asyncio.create_task(work(tenant, turn)) for tenant in tenants]
        await asyncio.sleep(0)
        assert not TenantContext.is_set()
        turn.set()
        for tenant, seen in zip(tenants, await asyncio.gather(*running), strict=True):
            assert set(seen) == {tenant}

    asyncio.run(main())


@given(ids, ids)
def test_code_bound_to_one_tenant_refuses_another(bound: str, current: str) -> None:
    def check() -> None:
        with TenantContext.tenant_scope(current):
            if bound == current:
                require_tenant(bound)
            else:
                with pytest.raises(TenantMismatchError):
                    require_tenant(bound)
            with pytest.raises(TenantMismatchError):
                require_tenant(None)

    isolated(check)
    require_tenant(None)
