"""The tenant of a request, for services with an ASGI 3 server. The application itself has no such server.

Stricter than the orchestrator's on purpose: a request names its tenant once, in one header, or is refused; a default is
taken only where DEFAULT_TENANT_ID names one; and websockets are checked as well as plain requests.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from hitl_desktop.domain.allowlist import is_nameable
from hitl_desktop.tenancy.context import TenantContext
from hitl_desktop.tenancy.errors import TenantNotAllowedError
from hitl_desktop.tenancy.policy import TenantConfig, validate_tenant

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

_FORBIDDEN = 403
_POLICY_VIOLATION = 1008
_DENIAL = "websocket.http.response"


class TenantMiddleware:
    """Runs `app` in the context of the tenant that a request names, or answers 403 without calling it.

    A plain request gets its 403 as JSON: `{"detail": one sentence, "tenant_id": the id, or null where it has no form of
    one}`. A websocket is refused before it is accepted, with the same answer where the server can give one, otherwise
    with close code 1008. Other scopes (lifespan) reach `app` as they are, without a tenant, and so does everything
    where multi-tenancy is off. The tenant is unset when `app` returns, raises or is cancelled.

    Args:
        app: the ASGI 3 application behind it.
        config: the allowlist, the header and the default; None takes the environment's. A `default_tenant` stands for
            a missing header, so pass one only where it was configured, as `TenantConfig.from_env` does.

    Raises:
        SettingsError: the environment's configuration is not valid.
    """

    def __init__(self, app: App, config: TenantConfig | None = None) -> None:
        self._app = app
        self._config = TenantConfig.from_env() if config is None else config
        self._header = self._config.tenant_header.lower().encode("ascii")

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Handle one request, websocket or lifespan."""
        if not self._config.enabled or scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        try:
            tenant_id = self._tenant(scope)
        except _RefusedError as refused:
            import logging  # a launch reads this module, too, and has no use for it

            logging.getLogger(__name__).warning("Refused a %s: %s", scope["type"], refused)
            await refused.answer(scope, receive, send)
            return
        with TenantContext.tenant_scope(tenant_id, self._config.allowed_tenants):
            await self._app(scope, receive, send)

    def _tenant(self, scope: MutableMapping[str, Any]) -> str:
        values = [bytes(value) for name, value in scope["headers"] if bytes(name).lower() == self._header]
        name = self._config.tenant_header
        if len(values) > 1:
            raise _RefusedError(f"The request has more than one {name} header, and may name only one tenant.")
        if not values and self._config.default_tenant is None:
            raise _RefusedError(f"The request names no tenant: send its id in the {name} header.")
        given = values[0].strip(b" \t") if values else (self._config.default_tenant or "").encode()
        if not given.isascii() or not is_nameable(given.decode("ascii")):
            raise _RefusedError(f"The {name} header has no tenant id.")
        tenant_id = given.decode("ascii")
        try:
            validate_tenant(tenant_id, self._config.allowed_tenants)
        except TenantNotAllowedError:
            # The reason may name other tenants, and who they are is not the client's business.
            raise _RefusedError(f"Tenant {tenant_id} is not allowed here.", tenant_id) from None
        return tenant_id


class _RefusedError(Exception):
    """A request that is refused; the message is for the client and holds nothing of it but a well-formed id."""

    def __init__(self, detail: str, tenant_id: str | None = None) -> None:
        super().__init__(detail)
        self._detail = detail
        self._tenant_id = tenant_id

    async def answer(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._respond(send, "http.response")
            return
        message = await receive()
        if message["type"] != "websocket.connect":
            return  # gone already
        if _DENIAL in (scope.get("extensions") or {}):
            await self._respond(send, _DENIAL)
        else:
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": self._detail[:120]})

    async def _respond(self, send: Send, kind: str) -> None:
        import json

        body = json.dumps({"detail": self._detail, "tenant_id": self._tenant_id}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": f"{kind}.start", "status": _FORBIDDEN, "headers": headers})
        await send({"type": f"{kind}.body", "body": body})
