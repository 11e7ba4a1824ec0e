"""What is taken for a route, and what Chroma is asked for it: never what came in, always what was checked."""

import re
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hitl_desktop.gateway.errors import RefusedError
from hitl_desktop.gateway.routes import ROUTES, route

EVERY = "/api/v2/tenants/default_tenant/databases/default_database/collections"
ID = "f8a6db96-834a-4f65-b52a-2cb9c28499c7"
CANONICAL = re.compile(r"/api/v2(/[A-Za-z0-9._-]+)+")


@pytest.mark.parametrize("served", ROUTES, ids=lambda served: f"{served.method} {served.path}")
def test_a_route_is_found_by_its_own_path_and_by_no_other_method(served: object) -> None:
    for one in ROUTES:
        path = "/api/v2" + one.path.format(name="acme_docs", id=ID)
        found = route(one.method, path.encode(), b"")
        assert (found.route, found.path) == (one, path)
        assert found.name == ("acme_docs" if "{name}" in one.path else "")
        assert found.collection_id == (UUID(ID) if "{id}" in one.path else None)
        for method in {"GET", "POST", "PUT", "DELETE"} - {o.method for o in ROUTES if _is_alike(o.path, one.path)}:
            with pytest.raises(RefusedError):
                route(method, path.encode(), b"")


def _is_alike(one: str, other: str) -> bool:
    return re.sub(r"\{\w+\}", "{}", one) == re.sub(r"\{\w+\}", "{}", other)


@pytest.mark.parametrize(
    ("given_path", "asked"),
    [
        (f"{EVERY}/{ID.upper()}/count", f"{EVERY}/{ID}/count"),
        (f"{EVERY}/by-id/{ID.title()}", f"{EVERY}/by-id/{ID}"),
        (f"{EVERY}/%61cme%5Fdocs", f"{EVERY}/acme_docs"),
        ("/%61pi/v2/heartbeat", "/api/v2/heartbeat"),
        (f"{EVERY}/Acme_Docs", f"{EVERY}/Acme_Docs"),
    ],
)
def test_a_path_is_brought_into_one_form(given_path: str, asked: str) -> None:
    assert route("GET", given_path.encode(), b"").path == asked


@pytest.mark.parametrize("query", ["limit=1", "offset=0", "offset=3&limit=999999999"])
def test_a_query_is_taken_where_it_has_its_form(query: str) -> None:
    assert (
        "&".join(f"{name}={value}" for name, value in route("GET", EVERY.encode(), query.encode()).query.items())
        == query
    )


@pytest.mark.parametrize(
    "query",
    [
        "limit",
        "limit=",
        "limit=-1",
        "limit=1&limit=2",
        "limit=1&",
        "&",
        "limit=1e3",
        "limit=%31",
        "limit=1\n",
        "Limit=1",
    ],
)
def test_a_query_of_another_form_is_refused(query: str) -> None:
    with pytest.raises(RefusedError):
        route("GET", EVERY.encode(), query.encode())


@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    raw=st.one_of(
        st.binary(max_size=60),
        st.lists(st.sampled_from([b"/", b".", b"%2f", b"%2e", b"by-id", ID.encode(), b"count", b"a_b", b"%"])).map(
            lambda pieces: EVERY.encode() + b"".join(pieces)
        ),
    ),
    query=st.one_of(st.just(b""), st.binary(max_size=20)),
)
@example("GET", b"/api/v2/heartbeat\n", b"")
@example("GET", EVERY.encode() + b"/..", b"")
@example("GET", EVERY.encode() + b"/%2e%2E", b"")
@example("GET", EVERY.encode() + b"/.", b"")
@example("GET", EVERY.encode() + b"/a_b\n", b"")
@example("GET", EVERY.encode() + b"/by-id/" + ID.encode() + b"%0a", b"")
@example("GET", EVERY.encode() + "/\u0661".encode(), b"")
def test_whatever_comes_in_chroma_is_asked_for_a_plain_path_or_for_nothing(
    method: str, raw: bytes, query: bytes
) -> None:
    try:
        found = route(method, raw, query)
    except RefusedError:
        return
    assert CANONICAL.fullmatch(found.path)
    assert not {".", ".."} & set(found.path.split("/"))
    assert route(method, found.path.encode(), query) == found
