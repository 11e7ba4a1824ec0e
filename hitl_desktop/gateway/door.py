"""The door before the border: the token decides the tenant, the header must agree; what is refused is written down."""

import re
from collections.abc import MutableMapping
from typing import Any

from hitl_desktop.domain import allowlist
from hitl_desktop.gateway import audit
from hitl_desktop.gateway.border import Border, ClientLeftError, respond, told
from hitl_desktop.gateway.errors import GatewayError, RefusedError, TwoLengthsError
from hitl_desktop.gateway.tokens import TokenFile
from hitl_desktop.gateway.upstream import Upstream
from hitl_desktop.settings import ANY_TENANT
from hitl_desktop.tenancy import TenantConfig, TenantMiddleware
from hitl_desktop.tenancy.middleware import Receive, Send

_BEARER = re.compile(rb"bearer +([A-Za-z0-9._~+/=-]{1,512})", re.IGNORECASE)
_POLICY_VIOLATION = 1008
_UNSHOWN = "(no tenant id)"


class Gateway:
    """An ASGI 3 application before one Chroma server.

    Args:
        tokens: whose each token is.
        config: the allowlist and the header; tenancy is on here and nothing is a default, whatever it says.
        upstream: the server.
    """

    def __init__(self, tokens: TokenFile, config: TenantConfig, upstream: Upstream) -> None:
        own = TenantConfig(
            enabled=True,
            default_tenant=None,
            allowed_tenants=config.allowed_tenants,
            tenant_header=config.tenant_header,
        )
        self._tokens = tokens
        self._config = own
        self._header = own.tenant_header.lower().encode("ascii")
        self._inside = TenantMiddleware(Border(upstream), own)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Handle one request; a websocket is refused, as Chroma has none."""
        if scope["type"] == "lifespan":
            raise NotImplementedError("the gateway has nothing to start or to stop")  # how ASGI says it
        tenant_id = None
        try:
            if _values(scope, b"content-length") and _values(scope, b"transfer-encoding"):
                raise TwoLengthsError("The request gives its length in two ways.")
            tenant_id = self._bearer(scope)
            self._agree(scope, tenant_id)
            if scope["type"] != "http":
                raise RefusedError("This route is not served.")
            await self._inside(scope, receive, send)
        except ClientLeftError:
            return  # drop: nobody waits for an answer
        except GatewayError as error:
            if isinstance(error, RefusedError):
                self._record(scope, tenant_id, str(error))
            if scope["type"] == "http":
                await respond(send, told(error), last=error.ends_connection)
            else:
                await receive()
                await send({"type": "websocket.close", "code": _POLICY_VIOLATION})

    def _bearer(self, scope: MutableMapping[str, Any]) -> str:
        values = _values(scope, b"authorization")
        found = _BEARER.fullmatch(values[0]) if len(values) == 1 else None
        tenant_id = self._tokens.tenant_of(found[1].decode("ascii")) if found else None
        if tenant_id is None:
            raise RefusedError("The request has no valid token.")
        return tenant_id

    def _agree(self, scope: MutableMapping[str, Any], tenant_id: str) -> None:
        values = _values(scope, self._header)
        if len(values) != 1 or values[0].strip(b" \t") != tenant_id.encode():
            raise RefusedError(f"The {self._config.tenant_header} header does not name the token's tenant.")

    def _record(self, scope: MutableMapping[str, Any], tenant_id: str | None, reason: str) -> None:
        values = [value.decode("latin-1").strip() for value in _values(scope, self._header)]
        # Only what has the form of an id is shown: a client that mixes its headers up sends its token in this one.
        shown = [value if self._is_id(value) else _UNSHOWN for value in values[:3]]
        path = (scope.get("raw_path") or b"").decode("latin-1")
        audit.refused(tenant_id, ", ".join(shown) if shown else None, scope.get("method", "WEBSOCKET"), path, reason)

    def _is_id(self, value: str) -> bool:
        return allowlist.refusal(value, (ANY_TENANT,)) is None or self._config.allows(value)


def _values(scope: MutableMapping[str, Any], header: bytes) -> list[bytes]:
    return [bytes(value) for name, value in scope["headers"] if bytes(name).lower() == header]
