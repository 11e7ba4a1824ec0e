import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitl_desktop.tenancy import (
    TenantContext,
    TenantMismatchError,
    TenantNotAllowedError,
    TenantNotSetError,
    extract_tenant_from_event,
    inject_tenant_into_event,
    process_event_with_tenant,
)
from tests.tenancy_ids import legal_ids

events = st.dictionaries(st.text(max_size=8).filter(lambda name: name != "tenant_id"), st.text(max_size=8), max_size=4)


@given(legal_ids, events)
def test_what_is_injected_is_extracted(tenant: str, event: dict[str, str]) -> None:
    before = dict(event)
    with TenantContext.tenant_scope(tenant):
        injected = inject_tenant_into_event(event)
        assert inject_tenant_into_event(injected) == injected
    assert injected == {**before, "tenant_id": tenant}
    assert event == before
    assert extract_tenant_from_event(injected) == tenant


@pytest.mark.parametrize("event", [{}, {"tenant_id": ""}, {"tenant_id": None}, {"Tenant_ID": "acme"}])
def test_an_event_may_name_no_tenant(event: dict[str, Any]) -> None:
    assert extract_tenant_from_event(event) is None


@pytest.mark.parametrize("named", ["a:asdlc:x", "A_b", " acme", "*", b"acme", 7, ["acme"]])
def test_an_event_that_names_no_legal_tenant_is_refused(named: object) -> None:
    with pytest.raises(TenantNotAllowedError):
        extract_tenant_from_event({"tenant_id": named})


def test_an_event_of_a_tenant_off_the_allowlist_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOWED_TENANTS", "acme,Old_Client")
    assert extract_tenant_from_event({"tenant_id": "Old_Client"}) == "Old_Client"
    with pytest.raises(TenantNotAllowedError):
        extract_tenant_from_event({"tenant_id": "evil-corp"})


def test_an_event_is_never_sent_without_a_tenant_or_under_anothers_name() -> None:
    with pytest.raises(TenantNotSetError):
        inject_tenant_into_event({"event_type": "task_created"})
    with TenantContext.tenant_scope("acme"):
        for other in ("globex", b"acme", 7, ["acme"]):
            with pytest.raises(TenantMismatchError):
                inject_tenant_into_event({"tenant_id": other})


async def test_plain_and_coroutine_handlers_run_in_the_events_own_tenant() -> None:
    def plain(event: dict[str, Any]) -> tuple[str, Any]:
        return TenantContext.get_current_tenant(), event["n"]

    async def coroutine(event: dict[str, Any]) -> tuple[str, Any]:
        await asyncio.sleep(0)
        return plain(event)

    for handler in (plain, coroutine):
        assert await process_event_with_tenant({"tenant_id": "acme", "n": 1}, handler) == ("acme", 1)
        assert await process_event_with_tenant({"n": 2}, handler, "globex") == ("globex", 2)
        with TenantContext.tenant_scope("outer"):
            assert await process_event_with_tenant({"tenant_id": "acme", "n": 3}, handler) == ("acme", 3)
            assert TenantContext.get_current_tenant() == "outer"
    assert not TenantContext.is_set()


@pytest.mark.parametrize(
    ("event", "default", "error"),
    [
        ({}, None, TenantNotSetError),
        ({"tenant_id": ""}, None, TenantNotSetError),
        ({}, "", TenantNotAllowedError),
        ({}, "Not_Listed", TenantNotAllowedError),
        ({"tenant_id": "a:b"}, "acme", TenantNotAllowedError),
        ({"tenant_id": 7}, "acme", TenantNotAllowedError),
    ],
)
async def test_a_rejected_event_never_reaches_its_handler(
    event: dict[str, Any], default: str | None, error: type[Exception]
) -> None:
    called: list[Any] = []
    with TenantContext.tenant_scope("outer"), pytest.raises(error):  # the context is no default either
        await process_event_with_tenant(event, called.append, default)
    assert called == []


async def test_the_context_is_restored_when_a_handler_fails() -> None:
    async def fail(_event: object) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await process_event_with_tenant({"tenant_id": "acme"}, fail)
    assert not TenantContext.is_set()
