"""The routes of Chroma's API (v2) that are served, and for each what of it must be the tenant's. No other is.

A path is taken apart here and put together anew: what Chroma gets is made of the checked parts, never what came in. Its
parts are letters, digits, dots, underscores and hyphens, which is all that a collection's name or UUID consists of, so
no encoded slash, no dot segment and no second reading of a part can pass.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from urllib.parse import unquote_to_bytes
from uuid import UUID

from hitl_desktop.gateway.errors import RefusedError

DATABASE = ("default_tenant", "default_database")
"""The only tenant and database of Chroma's own that are served; ours are told apart by the collections' names."""
ROOT = "/api/v2"
_LONGEST_PATH = 2048
_LONGEST_BODY = 64 * 1024 * 1024
_LONGEST_DOCUMENT = 1024 * 1024
_PART = re.compile(rb"[A-Za-z0-9._-]+")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_BAD_ENCODING = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_NUMBER = re.compile(r"[0-9]{1,9}")
_LEVEL = re.compile(r"[a-z_]{1,40}")


class Check(Enum):
    """What a route is about, which says what must be looked at before and after Chroma is asked."""

    NOTHING = auto()  # of a tenant is in it
    ALL = auto()  # collections: those of others are left out
    HOW_MANY = auto()  # collections: those of others do not count
    NEW_NAME = auto()  # in the body is the tenant's
    NAME = auto()  # in the path is the tenant's
    COLLECTION = auto()  # by its UUID in the path is the tenant's
    RENAMED = auto()  # the collection and, if there is one, its new name in the body


@dataclass(frozen=True, slots=True)
class Route:
    """One method and path; `{name}` and `{id}` stand for a part, `fields` are what a checked body may have."""

    method: str
    path: str
    check: Check
    query: Mapping[str, re.Pattern[str]] = field(default_factory=dict)
    fields: frozenset[str] = frozenset()

    @property
    def longest_body(self) -> int:
        """How many bytes a body may have; 0 where none is passed on."""
        if self.fields:
            return _LONGEST_DOCUMENT
        return _LONGEST_BODY if self.method == "POST" else 0


@dataclass(frozen=True, slots=True)
class Call:
    """A request for a route, with the parts of its path and its query checked for their form."""

    route: Route
    path: str
    name: str = ""
    collection_id: UUID | None = None
    query: Mapping[str, str] = field(default_factory=dict)


def _routes() -> tuple[Route, ...]:
    database = f"/tenants/{DATABASE[0]}/databases/{DATABASE[1]}"
    every, one = f"{database}/collections", f"{database}/collections/{{id}}"
    plain = ("/heartbeat", "/healthcheck", "/version", "/pre-flight-checks", "/auth/identity")
    created = frozenset({"name", "metadata", "configuration", "schema", "get_or_create"})
    changed = frozenset({"new_name", "new_metadata", "new_configuration"})
    return (
        *(Route("GET", path, Check.NOTHING) for path in (*plain, f"/tenants/{DATABASE[0]}", database)),
        Route("GET", every, Check.ALL, {"limit": _NUMBER, "offset": _NUMBER}),
        Route("GET", f"{every}_count", Check.HOW_MANY),
        Route("POST", every, Check.NEW_NAME, fields=created),
        Route("GET", f"{every}/{{name}}", Check.NAME),
        Route("DELETE", f"{every}/{{name}}", Check.NAME),
        Route("GET", f"{every}/by-id/{{id}}", Check.COLLECTION),
        Route("PUT", one, Check.RENAMED, fields=changed),
        Route("GET", f"{one}/count", Check.COLLECTION, {"read_level": _LEVEL}),
        Route("GET", f"{one}/indexing_status", Check.COLLECTION),
        *(
            Route("POST", f"{one}/{verb}", Check.COLLECTION)
            for verb in ("add", "delete", "get", "query", "search", "update", "upsert")
        ),
    )


ROUTES = _routes()


def route(method: str, raw_path: bytes, query: bytes) -> Call:
    """Return what is called.

    Args:
        method: the method, as it came.
        raw_path: the path as it came, percent-encoded.
        query: the query as it came, without its question mark.

    Raises:
        RefusedError: no such route is served, or a part has not its form.
    """
    parts = _parts(raw_path)
    for candidate in ROUTES:
        if candidate.method == method and (found := _match(candidate, parts)) is not None:
            name, collection_id = found
            return Call(candidate, ROOT + "/" + "/".join(parts), name, collection_id, _query(candidate, query))
    raise RefusedError("This route is not served.")


def _parts(raw_path: bytes) -> list[str]:
    """Return the parts behind `/api/v2`, percent-encoding undone once."""
    if len(raw_path) > _LONGEST_PATH or _BAD_ENCODING.search(raw_path) is not None:
        raise RefusedError("The path is too long or badly encoded.")
    parts = [unquote_to_bytes(part) for part in raw_path.split(b"/")]
    if parts[0] or any(_PART.fullmatch(part) is None or part.strip(b".") == b"" for part in parts[1:]):
        raise RefusedError("The path has a part that is empty, dots alone, or of other characters than names have.")
    texts = [_lowered(part.decode("ascii")) for part in parts[1:]]
    if texts[:2] != ROOT.strip("/").split("/"):
        raise RefusedError("This route is not served.")
    return texts[2:]


def _lowered(part: str) -> str:
    """Return a UUID as Chroma writes it; other parts keep their case, as names do in Chroma."""
    return part.lower() if _UUID.fullmatch(part) else part


def _match(candidate: Route, parts: list[str]) -> tuple[str, UUID | None] | None:
    """Return the name and the UUID that stand where `candidate` has them; None where the path is another's."""
    pattern = candidate.path.strip("/").split("/")
    if len(pattern) != len(parts):
        return None
    name, collection_id = "", None
    for expected, part in zip(pattern, parts, strict=True):
        if expected == "{name}":
            name = part
        elif expected == "{id}" and _UUID.fullmatch(part):
            collection_id = UUID(part)
        elif expected != part:
            return None
    return name, collection_id


def _query(candidate: Route, query: bytes) -> dict[str, str]:
    if not query:
        return {}
    found: dict[str, str] = {}
    for pair in query.decode("latin-1").split("&"):
        name, _, value = pair.partition("=")
        form = candidate.query.get(name)
        if form is None or name in found or form.fullmatch(value) is None:
            raise RefusedError("The query has what this route does not take.")
        found[name] = value
    return found
