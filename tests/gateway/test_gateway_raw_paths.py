"""Requests that no client of chromadb's makes: whatever the path and the method, A's collections are A's."""

import http.client
import json
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hitl_desktop.gateway.routes import ROUTES
from tests.gateway import held
from tests.gateway.gateway_process import GatewayProcess
from tests.services.chroma_server import ChromaServer

A, B = "acme-corp", "widgets-inc"
OF_A, OF_B = f"{A}_documents", f"{B}_documents"
EVERY = "/api/v2/tenants/default_tenant/databases/default_database/collections"
SECRET = "the secret plan of acme"  # noqa: S105 - what is looked for in every answer
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")


class Mallory:
    """Tenant B over a bare connection, with nothing between what is written here and the wire."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self._place = urlsplit(gateway.url).netloc
        self._headers = gateway.headers(B)

    def ask(self, method: str, target: str, document: Any = None) -> tuple[int, str]:
        connection = http.client.HTTPConnection(self._place, timeout=60)
        try:
            connection.putrequest(method, target, skip_accept_encoding=True)
            body = document if isinstance(document, bytes) else json.dumps(document).encode()
            body = b"" if document is None else body
            for name, value in {**self._headers, "Content-Length": str(len(body))}.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()


@pytest.fixture(scope="module")
def mallory(gateway: GatewayProcess) -> Mallory:
    return Mallory(gateway)


@pytest.fixture(scope="module")
def ids(chroma: ChromaServer) -> dict[str, str]:
    with held.own_client(chroma.url, {}) as client:
        held.make_collection(client, OF_A, SECRET)
        held.make_collection(client, OF_B)
    return {name: found[0] for name, found in held.snapshot(chroma.url).items()}


@pytest.fixture(autouse=True)
def unchanged(chroma: ChromaServer, ids: dict[str, str]) -> Iterator[None]:
    before = held.snapshot(chroma.url)[OF_A]
    yield
    assert held.snapshot(chroma.url)[OF_A] == before


PATHS = [
    "/",
    "",
    "*",
    "/api/v1/collections",
    "/api/v1/collections/{id}",
    "/api/v1/heartbeat",
    "/api/v2",
    "/api/v2/",
    "/api/v3/heartbeat",
    "/API/V2/heartbeat",
    "/docs",
    "/openapi.json",
    "/api/v2/reset",
    "/api/v2/tenants",
    "/api/v2/heartbeat/",
    "/api/v2//heartbeat",
    "//api/v2/heartbeat",
    "/api/v2/./heartbeat",
    "/api/v2/x/../heartbeat",
    "/api/v2/heartbeat%00",
    "/api/v2/heartbeat%0d%0aX-Tenant-ID:%20acme-corp",
    "/api/v2/heartbeat;x=1",
    "/api/v2/heartbeat?x=1",
    "/api/v2/heart%2562eat",
    "/api/v2/%zz",
    "/api/v2/%",
    "/api/v2/heartb%c3%a9at",
    "/api/v2/collections/default_tenant:default_database:{a}",
    "/api/v2/tenants/acme-corp",
    "/api/v2/tenants/default_tenant/databases",
    "/api/v2/tenants/other/databases/default_database/collections/{id}/count",
    "/api/v2/tenants/default_tenant/databases/other/collections/{id}/count",
    "/api/v2/tenants/other/databases/other/collections/{id}/get",
    "/api/v2/tenants/other/databases/default_database/collections",
    "/api/v2/tenants/Default_tenant/databases/default_database/collections",
    "{every}/{a}",
    "{every}/{a}/",
    "{every}//{a}",
    "{every}/./{a}",
    "{every}/{b}/../{a}",
    "{every}/{b}%2f..%2f{a}",
    "{every}/{b}/%2e%2e/{a}",
    "{every}/{b}%252f..%252f{a}",
    "{every}/%61cme-corp_documents",
    "{every}/acme-corp%5fdocuments",
    "{every}/acme-corp%5Fdocuments",
    "{every}%2f{a}",
    "{every}/{a}?name={b}",
    "{every}/{a}#{b}",
    "{every}/{a}%23{b}",
    "{every}/{a}%3f{b}",
    "{every}/{a}%00",
    "{every}/{id}",
    "{every}/{ID}",
    "{every}/{hex}",
    "{every}/{{{id}}}",
    "{every}/urn:uuid:{id}",
    "{every}/by-id/{id}",
    "{every}/by-id/{ID}",
    "{every}/by-id/{hex}",
    "{every}/by-id/{a}",
    "{every}/by-id%2f{id}",
    "{every}/{id}/count",
    "{every}/{ID}/count",
    "{every}/{hex}/count",
    "{every}/urn:uuid:{id}/count",
    "{every}/urn%3auuid%3a{id}/count",
    "{every}/%7b{id}%7d/count",
    "{every}/{own}/../{id}/count",
    "{every}/{own}%2f..%2f{id}/count",
    "{every}/{id}%2fcount",
    "{every}/{id}/count?read_level=index_only",
    "{every}/{own}/count?collection_id={id}",
    "{every}/{own}/count?read_level=index_only&read_level=index_and_wal",
    "{every}/{id}/get",
    "{every}/{id}/query",
    "{every}/{id}/query?limit=1",
    "{every}/{own}/query?collection_id={id}",
    "{every}/{id}/search",
    "{every}/{id}/fork",
    "{every}/{own}/fork",
    "{every}/{id}/fork_count",
    "{every}/{id}/indexing_status",
    "{every}/{id}/functions/attach",
    "{every}/{own}/functions/attach",
    "{every}/{own}/attached_functions/x/detach",
    "{every}?limit=-1",
    "{every}?limit=1%30",
    "{every}?offset=0&limit=5&tenant=other",
    "{every}_count?x",
    "{every}_count/{id}",
    "http://127.0.0.1{every}/{a}",
]


def filled(path: str, ids: dict[str, str]) -> str:
    found = ids[OF_A]
    return path.format(
        every=EVERY, a=OF_A, b=OF_B, id=found, ID=found.upper(), hex=found.replace("-", ""), own=ids[OF_B]
    )


@pytest.mark.parametrize("path", PATHS)
def test_a_path_that_is_not_the_tenants_own_gets_403_as_json(mallory: Mallory, ids: dict[str, str], path: str) -> None:
    target = filled(path, ids)
    for method in METHODS:
        status, text = mallory.ask(method, target or "?", {"name": OF_A, "ids": ["d1"]})
        if target in {"", "*"} or "#" in target:
            assert status in {400, 403}  # the server's own refusal of what is no target of a request
        else:
            assert status == 403, method
        if method != "HEAD" and status == 403:
            assert json.loads(text)["error"] == "AuthError"
        assert SECRET not in text


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_route_that_is_served_keeps_to_the_tenants_own(mallory: Mallory, ids: dict[str, str], route: Any) -> None:
    path = "/api/v2" + route.path.format(name=OF_A, id=ids[OF_A])
    document = {"name": OF_A, "new_name": OF_A, "ids": ["d1"], "query_embeddings": [[1.0, 0.0]]}
    allowed = {name: value for name, value in document.items() if name in route.fields or not route.fields}
    status, text = mallory.ask(route.method, path, allowed)
    is_about_one = "{" in route.path or route.method != "GET"
    assert status == (403 if is_about_one else 200)
    assert SECRET not in text
    assert OF_A not in text


def test_an_escaped_name_and_a_uuid_in_capitals_reach_the_own_collection(mallory: Mallory, ids: dict[str, str]) -> None:
    for path in (f"{EVERY}/widgets%2dinc%5fdocuments", f"{EVERY}/by-id/{ids[OF_B].upper()}"):
        status, text = mallory.ask("GET", path)
        assert (status, json.loads(text)["name"]) == (200, OF_B)
    assert mallory.ask("GET", f"{EVERY}/{ids[OF_B].upper()}/count?read_level=index_and_wal") == (200, "2")


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        "x",
        7,
        {},
        {"name": None},
        {"name": 1},
        {"name": ""},
        {"name": [OF_B]},
        {"name": OF_A},
        {"name": f"{OF_B}/../{OF_A}"},
        {"name": f"{B}_"},
        {"name": f"{B}_é"},
        {"name": f" {OF_B}"},
        {"name": OF_B, "tenant": "other_tenant"},
        {"name": OF_B, "database": "other"},
        {"name": OF_B, "id": "{id}"},
        {"name": OF_B, "Name": OF_A},
        {"name": OF_B, "get_or_create": True, "metadata": {"x": float("nan")}},
    ],
)
def test_a_body_that_names_anything_else_creates_nothing(mallory: Mallory, chroma: ChromaServer, document: Any) -> None:
    before = held.snapshot(chroma.url)
    assert mallory.ask("POST", EVERY, document)[0] == 403
    assert held.snapshot(chroma.url) == before


def test_a_field_given_twice_means_to_chroma_what_it_meant_to_the_gateway(
    mallory: Mallory, chroma: ChromaServer, ids: dict[str, str]
) -> None:
    before = held.snapshot(chroma.url)
    for first, second, expected in ((OF_A, f"{B}_twice", 200), (f"{B}_twice", OF_A, 403)):
        body = f'{{"name": "{first}", "name": "{second}", "get_or_create": true}}'.encode()
        assert mallory.ask("POST", EVERY, body)[0] == expected
        body = f'{{"new_name": "{first}", "new_name": "{second}"}}'.encode()
        made = held.snapshot(chroma.url)[f"{B}_twice"][0]
        assert mallory.ask("PUT", f"{EVERY}/{made}", body)[0] in {expected, 409, 500}
    assert mallory.ask("DELETE", f"{EVERY}/{B}_twice")[0] == 200
    assert held.snapshot(chroma.url) == before


@pytest.mark.parametrize("document", [{"new_name": OF_A}, {"new_name": 1}, {"new_name": ""}, {"name": OF_B}, [], None])
def test_a_body_that_names_anything_else_renames_nothing(
    mallory: Mallory, ids: dict[str, str], chroma: ChromaServer, document: Any
) -> None:
    before = held.snapshot(chroma.url)
    assert mallory.ask("PUT", f"{EVERY}/{ids[OF_B]}", document)[0] == 403
    assert held.snapshot(chroma.url) == before


PIECES = st.one_of(
    st.sampled_from(
        ["{id}", "{ID}", "{a}", "{b}", "{own}", "by-id", "..", ".", "%2e%2e", "%2f", "count", "get", "query"]
    ),
    st.sampled_from(
        ["add", "delete", "tenants", "databases", "default_tenant", "default_database", "collections", "//"]
    ),
    st.text("abz019._-~%", max_size=6),
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(method=st.sampled_from(METHODS), pieces=st.lists(PIECES, max_size=7), from_root=st.booleans())
def test_no_path_shows_or_changes_anything_of_another_tenant(
    mallory: Mallory, ids: dict[str, str], method: str, pieces: list[str], *, from_root: bool
) -> None:
    path = ("/api/v2" if from_root else EVERY) + "".join(f"/{piece}" for piece in pieces)
    for known in ("{id}", "{ID}", "{a}", "{b}", "{own}"):
        path = path.replace(known, filled(known, ids))
    status, text = mallory.ask(
        method, path, {"name": OF_A, "new_name": OF_A, "ids": ["d1"], "query_embeddings": [[1, 0]]}
    )
    assert status < 500
    assert SECRET not in text
    assert ids[OF_A] not in text
    assert status != 200 or OF_A not in text


def test_a_uuid_of_nothing_gets_the_same_answer_as_one_of_another_tenant(mallory: Mallory, ids: dict[str, str]) -> None:
    asked = [mallory.ask("GET", f"{EVERY}/{found}/count") for found in (str(uuid.uuid4()), ids[OF_A])]
    assert asked[0] == asked[1]
