"""The border between tenants: an ASGI application that runs in a tenant's context and asks Chroma only for its own."""

import json
from collections.abc import MutableMapping
from typing import Any

from hitl_desktop.gateway.errors import GatewayError, RefusedError, TooLargeError
from hitl_desktop.gateway.routes import Call, Check, route
from hitl_desktop.gateway.upstream import Answer, Upstream, is_described, parsed
from hitl_desktop.tenancy import TenantContext, TenantNames
from hitl_desktop.tenancy.middleware import Receive, Send

_NOT_YOURS = "This collection is not the tenant's, or there is no such collection."


class ClientLeftError(Exception):
    """The client closed its connection before its request was whole: there is nobody to answer."""


class Border:
    """Serves one request of the tenant in context, or raises before it sends anything."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Handle one request.

        Raises:
            RefusedError: it is not the tenant's to ask.
            UnreachableError: Chroma did not answer, or not as it does.
            ClientLeftError: the client went away.
        """
        names = TenantNames(TenantContext.get_current_tenant())
        called = route(scope["method"], scope.get("raw_path") or b"", scope["query_string"])
        # Whose the collection is comes first: nobody makes the gateway hold a body for what it then refuses.
        described = await self._own(called, names)
        body = await _body(scope, receive, called.route.longest_body)
        await respond(send, described or await self._answer(called, names, body))

    async def _own(self, called: Call, names: TenantNames) -> Answer | None:
        """Check the path's collection; return Chroma's answer where it is the one that was asked for."""
        if called.route.check is Check.NAME:
            _require(called.name, names)
        if called.collection_id is None:
            return None
        found = await self._upstream.collection(called.collection_id)
        if found is None or names.base_of_collection(found[0]) is None:
            # The same words in both cases: whether another tenant has it is not the client's business.
            raise RefusedError(_NOT_YOURS)
        return found[1] if "/by-id/" in called.route.path else None

    async def _answer(self, called: Call, names: TenantNames, body: bytes | None) -> Answer:
        if called.route.check in {Check.ALL, Check.HOW_MANY}:
            return await self._listed(called, names)
        expected = called.name
        if called.route.fields:
            document = _document(body, called.route.fields)
            expected = document.get("name", "")
            renamed = called.route.check is Check.RENAMED and document.get("new_name") is None
            if not renamed:
                _require(document.get("new_name" if called.route.check is Check.RENAMED else "name"), names)
            # Written anew, so that Chroma reads what was checked, whatever its parser makes of a field given twice.
            body = json.dumps(document).encode()
        answer = await self._upstream.ask(called.route.method, called.path, called.query, body)
        if answer.is_ok and expected and called.route.method != "DELETE":
            described = parsed(answer)
            if not is_described(described) or described["name"] != expected:
                raise RefusedError("The knowledge store answered about another collection.")
        return answer

    async def _listed(self, called: Call, names: TenantNames) -> Answer:
        """Return the tenant's collections, or their number. The pages are cut here, from what is left."""
        found = await self._upstream.collections()
        if isinstance(found, Answer):
            return found
        own = [one for one in found if names.base_of_collection(one["name"]) is not None]
        if called.route.check is Check.HOW_MANY:
            return Answer(200, json.dumps(len(own)).encode())
        start = int(called.query.get("offset", "0"))
        page = own[start : start + int(called.query["limit"])] if "limit" in called.query else own[start:]
        return Answer(200, json.dumps(page).encode())


async def respond(send: Send, answer: Answer, *, last: bool = False) -> None:
    """Send `answer`; where it is the `last`, the connection ends with it."""
    headers = [(b"content-type", answer.content_type.encode("latin-1")), (b"content-length", b"%d" % len(answer.body))]
    if last:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


def told(error: GatewayError) -> Answer:
    """Return the answer that tells of `error`, in the form of Chroma's own."""
    return Answer(error.status, json.dumps({"error": error.name, "message": str(error)}).encode())


def _require(name: Any, names: TenantNames) -> None:
    if not isinstance(name, str) or names.base_of_collection(name) is None:
        raise RefusedError(_NOT_YOURS)


def _document(body: bytes | None, allowed: frozenset[str]) -> dict[str, Any]:
    try:
        document = json.loads(body or b"", parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise RefusedError("The body is not JSON.") from None
    if not isinstance(document, dict) or not document.keys() <= allowed:
        raise RefusedError("The body has what this route does not take.")
    return document


def _no_constant(constant: str) -> None:
    raise ValueError(constant)  # NaN and the infinities, which Python reads and JSON has not


async def _body(scope: MutableMapping[str, Any], receive: Receive, longest: int) -> bytes | None:
    """Return the body, or None where none is passed on; it is never read past `longest` bytes."""
    if not longest:
        return None
    fault = TooLargeError(f"The body is longer than the {longest} bytes that are taken.")
    declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    if not declared.isdigit() or int(declared) > longest:
        raise fault
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientLeftError
        body += message.get("body", b"")
        if len(body) > longest:
            raise fault
        if not message.get("more_body", False):
            return bytes(body)
