"""The middleware as a server calls it, message by message; test_middleware_server.py has it under a real one."""

import asyncio
import json
from collections.abc import Callable, MutableMapping
from typing import Any

import pytest

from hitl_desktop.settings import SettingsError
from hitl_desktop.tenancy import TenantConfig, TenantContext, TenantMiddleware

pytestmark = pytest.mark.logs("Refused a ")
Scope = MutableMapping[str, Any]

ON = TenantConfig(enabled=True, allowed_tenants=("acme-corp", "widgets-inc", "Old_Client"))


class Called:
    """An application that remembers for which tenant it was called; `then` runs inside it."""

    def __init__(self, then: Callable[[], Any] | None = None) -> None:
        self.tenants: list[str | None] = []
        self._then = then

    async def __call__(self, _scope: Scope, _receive: Any, _send: Any) -> None:
        self.tenants.append(TenantContext.get_current_tenant() if TenantContext.is_set() else None)
        await asyncio.sleep(0)
        if self._then is not None:
            await self._then()


async def call(
    app: TenantMiddleware,
    *headers: tuple[bytes, bytes],
    kind: str = "http",
    extensions: dict[str, Any] | None = None,
    first: str = "websocket.connect",
) -> list[Any]:
    sent = []

    async def receive() -> Scope:
        return {"type": first}

    async def send(message: Scope) -> None:
        sent.append(message)

    await app({"type": kind, "headers": list(headers), "extensions": extensions}, receive, send)
    assert not TenantContext.is_set()
    return sent


def refusal(sent: list[Any]) -> dict[str, Any]:
    start, body = sent
    assert start["status"] == 403
    assert dict(start["headers"]) == {
        b"content-type": b"application/json",
        b"content-length": str(len(body["body"])).encode(),
    }
    told = json.loads(body["body"])
    assert told.keys() == {"detail", "tenant_id"}
    return dict(told)


@pytest.mark.parametrize("name", [b"x-tenant-id", b"X-Tenant-ID", b"X-TENANT-ID"])
@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("value", [b"acme-corp", b" acme-corp\t"])
async def test_the_application_runs_for_the_tenant_of_the_header(name: bytes, kind: str, value: bytes) -> None:
    app = Called()
    assert await call(TenantMiddleware(app, ON), (name, value), kind=kind) == []
    assert app.tenants == ["acme-corp"]


async def test_a_listed_legacy_tenant_is_served() -> None:
    app = Called()
    await call(TenantMiddleware(app, ON), (b"x-tenant-id", b"Old_Client"))
    assert app.tenants == ["Old_Client"]


@pytest.mark.parametrize(
    ("headers", "named"),
    [
        ([], None),
        ([b""], None),
        ([b"evil-corp"], "evil-corp"),
        ([b"Other_Client"], "Other_Client"),
        ([b"acme-corp", b"acme-corp"], None),
        ([b"acme-corp", b"widgets-inc"], None),
        ([b"acme-corp,widgets-inc"], None),
        ([b"acme-corp:asdlc:x"], None),
        ([b"*"], None),
        ([b"\xff\x00<script>"], None),
        (["\uff41cme".encode()], None),
        ([b'"},{"'], None),
        ([b"a" * 5000], None),
    ],
)
async def test_everything_else_is_refused_without_calling_the_application(
    headers: list[bytes], named: str | None
) -> None:
    app = Called()
    told = refusal(await call(TenantMiddleware(app, ON), *[(b"x-tenant-id", value) for value in headers]))
    assert told["tenant_id"] == named
    assert app.tenants == []
    assert "script" not in told["detail"]
    assert len(told["detail"]) < 120
    others = {"acme-corp", "widgets-inc", "Old_Client"} - {named}
    assert not any(other in told["detail"] for other in others)


async def test_a_missing_header_has_a_default_only_where_one_is_configured() -> None:
    app = Called()
    on = {"MULTI_TENANCY_ENABLED": "true"}
    told = refusal(await call(TenantMiddleware(app, TenantConfig.from_env(on))))
    assert told == {"detail": "The request names no tenant: send its id in the X-Tenant-ID header.", "tenant_id": None}
    await call(TenantMiddleware(app, TenantConfig.from_env(on | {"DEFAULT_TENANT_ID": "acme-corp"})))
    assert app.tenants == ["acme-corp"]


async def test_a_blank_header_does_not_get_the_default() -> None:
    config = TenantConfig(enabled=True, default_tenant="acme-corp")
    assert refusal(await call(TenantMiddleware(Called(), config), (b"x-tenant-id", b" ")))["tenant_id"] is None


async def test_a_default_off_the_allowlist_is_refused() -> None:
    config = TenantConfig(enabled=True, default_tenant="default", allowed_tenants=("acme-corp",))
    assert refusal(await call(TenantMiddleware(Called(), config)))["tenant_id"] == "default"


async def test_the_configuration_is_the_environments_where_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MULTI_TENANCY_ENABLED", "1")
    monkeypatch.setenv("ALLOWED_TENANTS", "acme-corp")
    monkeypatch.setenv("TENANT_HEADER", "X-Client")
    app = Called()
    middleware = TenantMiddleware(app)
    await call(middleware, (b"x-client", b"acme-corp"))
    refusal(await call(middleware, (b"x-tenant-id", b"acme-corp")))
    assert app.tenants == ["acme-corp"]
    monkeypatch.setenv("TENANT_HEADER", "X Client")
    with pytest.raises(SettingsError, match="TENANT_HEADER"):
        TenantMiddleware(app)


async def test_off_means_no_tenant_whatever_the_header_says() -> None:
    app = Called()
    middleware = TenantMiddleware(app, TenantConfig())
    assert await call(middleware, (b"x-tenant-id", b"acme-corp")) == []
    assert await call(middleware, kind="websocket") == []
    assert app.tenants == [None, None]


@pytest.mark.parametrize("kind", ["lifespan", "something.else"])
async def test_other_scopes_pass_through_without_a_tenant(kind: str) -> None:
    app = Called()
    assert await call(TenantMiddleware(app, ON), (b"x-tenant-id", b"acme-corp"), kind=kind) == []
    assert app.tenants == [None]


async def test_a_websocket_is_closed_before_it_is_accepted() -> None:
    app = Called()
    (closed,) = await call(TenantMiddleware(app, ON), (b"x-tenant-id", b"evil-corp"), kind="websocket")
    assert (closed["type"], closed["code"]) == ("websocket.close", 1008)
    assert app.tenants == []


async def test_a_websocket_is_answered_where_the_server_can() -> None:
    sent = await call(
        TenantMiddleware(Called(), ON),
        (b"x-tenant-id", b"evil-corp"),
        kind="websocket",
        extensions={"websocket.http.response": {}},
    )
    assert [message["type"] for message in sent] == ["websocket.http.response.start", "websocket.http.response.body"]
    assert refusal(sent)["tenant_id"] == "evil-corp"


async def test_a_websocket_that_is_gone_already_gets_nothing() -> None:
    assert await call(TenantMiddleware(Called(), ON), kind="websocket", first="websocket.disconnect") == []


async def test_the_tenant_is_unset_after_a_failure_and_an_outer_one_restored() -> None:
    async def fail() -> None:
        raise LookupError

    middleware = TenantMiddleware(Called(fail), ON)
    with pytest.raises(LookupError):
        await call(middleware, (b"x-tenant-id", b"acme-corp"))
    assert not TenantContext.is_set()
    with TenantContext.tenant_scope("outer"):
        with pytest.raises(LookupError):
            await middleware({"type": "http", "headers": [(b"x-tenant-id", b"acme-corp")]}, None, None)  # type: ignore[arg-type]
        assert TenantContext.get_current_tenant() == "outer"


async def test_the_tenant_is_unset_after_a_cancellation() -> None:
    reached = asyncio.Event()
    after: list[bool] = []

    async def wait() -> None:
        reached.set()
        await asyncio.Event().wait()

    async def request() -> None:
        try:
            await call(TenantMiddleware(Called(wait), ON), (b"x-tenant-id", b"acme-corp"))
        finally:
            after.append(TenantContext.is_set())

    task = asyncio.create_task(request())
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert after == [False]
