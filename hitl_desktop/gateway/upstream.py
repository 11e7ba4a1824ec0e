"""The real Chroma server behind the gateway: each answer whole, every failure one kind of error."""

import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx

from hitl_desktop.gateway.errors import UnreachableError
from hitl_desktop.gateway.routes import DATABASE, ROOT

_ANSWER_WITHIN = 60.0
_CONNECT_WITHIN = 5.0
_OK = 200
_NOT_FOUND = 404
_COLLECTIONS = f"{ROOT}/tenants/{DATABASE[0]}/databases/{DATABASE[1]}/collections"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """What Chroma answered. Of its headers only the type goes on: the others are about its own connection."""

    status: int
    body: bytes
    content_type: str = "application/json"

    @property
    def is_ok(self) -> bool:
        """Whether Chroma did what it was asked."""
        return self.status == _OK


class Upstream:
    """Asks the server, to which of a client's request go the checked path and query and the body, and no header."""

    def __init__(self, client: httpx.AsyncClient, base: str) -> None:
        self._client = client
        self._base = base

    async def ask(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        """Return the server's answer to one request.

        Raises:
            UnreachableError: there is none.
        """
        try:
            answer = await self._client.request(
                method,
                self._base + path,
                params=dict(query) if query else None,
                content=body,
                headers={} if body is None else {"content-type": "application/json"},
            )
        except httpx.HTTPError as error:
            _log.warning("The Chroma server does not answer: %s", type(error).__name__)
            raise UnreachableError("The knowledge store behind the gateway does not answer.") from None
        return Answer(answer.status_code, answer.content, answer.headers.get("content-type", "application/json"))

    async def collection(self, collection_id: UUID) -> tuple[str, Answer] | None:
        """Return the name that a collection has now, with the whole answer; None where there is none of this UUID.

        It is asked anew each time. A UUID never becomes another collection's, but its collection may be deleted or, by
        whoever reaches Chroma past the gateway, be given to another tenant by its name.

        Raises:
            UnreachableError: the server does not answer, or not as Chroma does.
        """
        answer = await self.ask("GET", f"{_COLLECTIONS}/by-id/{collection_id}")
        if answer.status == _NOT_FOUND:
            return None
        if not answer.is_ok:
            raise UnreachableError("The knowledge store behind the gateway cannot tell whose the collection is.")
        described = parsed(answer)
        if not is_described(described) or described["id"] != str(collection_id):
            raise UnreachableError("The knowledge store behind the gateway answered as no Chroma server does.")
        return described["name"], answer

    async def collections(self) -> "list[dict[str, Any]] | Answer":
        """Return all collections of all tenants; the server's own answer where it is no list of them.

        Raises:
            UnreachableError: the server does not answer, or not as Chroma does.
        """
        answer = await self.ask("GET", _COLLECTIONS)
        if not answer.is_ok:
            return answer
        found = parsed(answer)
        if not isinstance(found, list) or not all(map(is_described, found)):
            raise UnreachableError("The knowledge store behind the gateway answered as no Chroma server does.")
        return found


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Upstream]:
    """Yield the server at `url`; it is not asked anything yet. No proxy of the environment is used."""
    timeout = httpx.Timeout(_ANSWER_WITHIN, connect=_CONNECT_WITHIN)
    async with httpx.AsyncClient(timeout=timeout, trust_env=False, follow_redirects=False) as client:
        yield Upstream(client, url.rstrip("/"))


def is_address(url: str) -> bool:
    """Whether `url` can be a Chroma server's: http or https, a host, perhaps a path, and nothing else."""
    try:
        parts = urlsplit(url)
        is_legal = parts.port is None or parts.port > 0
    except ValueError:
        return False
    is_plain = parts.username is None and not parts.query and not parts.fragment
    return is_legal and is_plain and parts.scheme in {"http", "https"} and bool(parts.hostname)


def parsed(answer: Answer) -> Any:
    """Return the JSON of `answer`.

    Raises:
        UnreachableError: it is none.
    """
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        raise UnreachableError("The knowledge store behind the gateway answered as no Chroma server does.") from None


def is_described(found: Any) -> bool:
    """Whether `found` describes a collection of the database that is served."""
    return (
        isinstance(found, dict)
        and isinstance(found.get("name"), str)
        and isinstance(found.get("id"), str)
        and (found.get("tenant"), found.get("database")) == DATABASE
    )
