import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hitl_desktop.services.chroma import NoEmbedding
from hitl_desktop.services.errors import Conflict, Malformed, NotFound, Refused, Unavailable
from hitl_desktop.services.knowledge import EXCERPT_LENGTH, KnowledgeStore, NewDocument, connect_chroma
from hitl_desktop.tenancy import TenantContext, TenantMismatchError, TenantNames, TenantNotSetError
from tests.services.chroma_server import ChromaServer, chroma_server, free_port, impostor

DOCUMENTS = "asdlc_documents"
SPECS = "asdlc_specs"
VECTOR = [0.5] * 384
MODELS = Path.home() / ".cache" / "chroma"

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChromaServer]:
    with chroma_server(tmp_path_factory.mktemp("chroma")) as running:
        yield running


@pytest.fixture(params=["embedded", "http"])
async def client(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Any]:
    over_http = request.param == "http"
    made: Any = await connect_chroma(request.getfixturevalue("server").url) if over_http else embedded(tmp_path)
    yield made
    for collection in made.list_collections():
        made.delete_collection(collection.name)
    made.close()


def embedded(folder: Path) -> Any:
    import chromadb
    from chromadb.config import Settings

    return chromadb.PersistentClient(folder, settings=Settings(anonymized_telemetry=False))


def store_of(client: Any, tenant_id: str | None = "acme-corp") -> KnowledgeStore:
    return KnowledgeStore(client, TenantNames(tenant_id))


def new(document_id: str, content: str, **metadata: str | int) -> NewDocument:
    return NewDocument(document_id, content, VECTOR, metadata)


@pytest.fixture
def acme() -> Iterator[None]:
    """Run the test for tenant acme-corp; synchronous, as an asynchronous fixture's context would not reach the test."""
    with TenantContext.tenant_scope("acme-corp"):
        yield


async def ids(store: KnowledgeStore, text: str) -> list[str]:
    return [hit.document_id for hit in await store.search(text)]


async def test_finds_documents_that_contain_every_word_in_any_case_and_order(client: Any, acme: None) -> None:
    store = store_of(client)
    await store.put(DOCUMENTS, [new("login", "The Sign-in page of the shop"), new("logout", "The sign-out page")])
    assert await ids(store, "PAGE sign-in") == ["login"]
    assert await ids(store, "  page\tsign ") == ["login", "logout"]
    assert await ids(store, "page basket") == []


async def test_finds_beyond_ascii_in_any_case(client: Any, acme: None) -> None:
    store = store_of(client)
    await store.put(DOCUMENTS, [new("1", "Änderung der Σίσυφος-Regeln 😀")])
    assert await ids(store, "änderung ΣΊΣΥΦΟΣ 😀") == ["1"]


@pytest.mark.parametrize("nothing", ["", "  \n", "\ud800", "shop \udfff"])
async def test_a_text_that_no_document_can_contain_finds_nothing(client: Any, acme: None, nothing: str) -> None:
    store = store_of(client)
    await store.put(DOCUMENTS, [new("1", "shop")])
    assert await store.search(nothing) == ()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=ANY_TEXT)
async def test_any_text_matches_literally(client: Any, text: str) -> None:
    store = store_of(client)
    with TenantContext.tenant_scope("acme-corp"):
        await store.put(DOCUMENTS, [new("holds", f"before {text} after"), new("other", "☃")])
        found = await ids(store, text)
    words = text.split()
    assert ("holds" in found) == bool(words)
    assert ("other" in found) == (set(words) == {"☃"})


@pytest.mark.parametrize("text", [".*", "a|b", "^", "$", "[a-z]", "(?i)", "\\w", "x{1,}", "\\", "(", "a&&b", "#", "-~"])
async def test_nothing_in_a_text_is_a_wildcard(client: Any, acme: None, text: str) -> None:
    store = store_of(client)
    await store.put(DOCUMENTS, [new("plain", "some words, ab"), new("verbatim", f"here is {text} itself")])
    assert await ids(store, text) == ["verbatim"]


async def test_a_pasted_page_is_a_legal_text(client: Any, acme: None) -> None:
    store = store_of(client)
    await store.put(DOCUMENTS, [new("1", "shop")])
    assert await store.search("k" * 200_000) == ()
    assert await store.search("many different words " * 10_000) == ()


async def test_a_hit_carries_what_the_document_says_of_itself(client: Any, acme: None) -> None:
    store = store_of(client)
    await store.put(SPECS, [new("s1", "Users\nmay  sign in.", title="Sign-in", path="docs/sign-in.md", revision=3)])
    (hit,) = await store.search("sign")
    assert (hit.document_id, hit.collection, hit.title, hit.path) == ("s1", SPECS, "Sign-in", "docs/sign-in.md")
    assert hit.excerpt == "Users may sign in."
    assert hit.content == "Users\nmay  sign in."
    assert hit.metadata["revision"] == 3
    assert (await store.document(hit.collection, hit.document_id)).content == hit.content


@pytest.mark.parametrize(
    ("metadata", "title", "path"),
    [
        ({}, "d1", ""),
        ({"path": "a/b.md"}, "a/b.md", "a/b.md"),
        ({"source": "wiki", "title": " "}, "wiki", "wiki"),
        ({"title": 7, "source": "wiki", "path": "p"}, "p", "p"),
        ({"title": "\u202egnp\x00.exe\n<b>"}, "gnp .exe <b>", ""),
        ({"title": "\u200b"}, "d1", ""),
    ],
)
async def test_a_title_falls_back_and_is_one_printable_line(
    client: Any, acme: None, metadata: dict[str, str | int], title: str, path: str
) -> None:
    store = store_of(client)
    await store.put(DOCUMENTS, [new("d1", "text", **metadata)])
    (hit,) = await store.search("text")
    assert (hit.title, hit.path) == (title, path)


async def test_an_excerpt_is_one_printable_line_around_the_first_match(client: Any, acme: None) -> None:
    store = store_of(client)
    hostile = "\x1b[31mred \u202eesrever\u2028<img src=x> "
    await store.put(DOCUMENTS, [new("long", "word " * 500 + hostile + "needle " + "after " * 500)])
    (hit,) = await store.search("NEEDLE")
    assert len(hit.excerpt) <= EXCERPT_LENGTH
    assert hit.excerpt.isprintable()
    assert "[31mred esrever <img src=x> needle after" in hit.excerpt
    assert hit.excerpt[0] == hit.excerpt[-1] == "…"


async def test_the_limit_holds_across_collections(client: Any, acme: None) -> None:
    store = store_of(client)
    await store.put(DOCUMENTS, [new(f"d{n}", "shop") for n in range(3)])
    await store.put(SPECS, [new(f"s{n}", "shop") for n in range(3)])
    assert [len(await store.search("shop", limit)) for limit in (0, 1, 4, 20)] == [0, 1, 4, 6]
    assert {hit.collection for hit in await store.search("shop", 3)} == {DOCUMENTS}


async def test_reading_finds_nothing_in_absent_collections_and_creates_none(client: Any, acme: None) -> None:
    store = store_of(client)
    assert await store.search("anything") == ()
    with pytest.raises(NotFound):
        await store.document(DOCUMENTS, "d1")
    assert client.list_collections() == []


async def test_an_unknown_document_is_not_found(client: Any, acme: None) -> None:
    store = store_of(client)
    await store.put(DOCUMENTS, [new("d1", "text")])
    for document_id in ("d2", "", "\ud800", "../d1"):
        with pytest.raises(NotFound):
            await store.document(DOCUMENTS, document_id)


async def test_writing_twice_writes_once(client: Any, acme: None) -> None:
    store = store_of(client)
    await store.put(DOCUMENTS, [new("d1", "first"), new("d2", "second")])
    await store.put(DOCUMENTS, [new("d1", "changed"), new("d2", "second")])
    await store.put(DOCUMENTS, [])
    assert client.get_collection(f"acme-corp_{DOCUMENTS}", embedding_function=NoEmbedding()).count() == 2
    assert (await store.document(DOCUMENTS, "d1")).content == "changed"


async def test_writing_refuses_what_does_not_belong(client: Any, acme: None) -> None:
    store = store_of(client)
    with pytest.raises(ValueError, match="384"):
        await store.put(DOCUMENTS, [NewDocument("d1", "text", [1.0])])
    with pytest.raises(ValueError, match="collections"):
        await store.put("elsewhere", [new("d1", "text")])
    assert client.list_collections() == []


async def test_what_is_written_can_be_opened_with_chromas_defaults(client: Any, acme: None) -> None:
    await store_of(client).put(DOCUMENTS, [new("d1", "text")])
    opened = client.get_collection(f"acme-corp_{DOCUMENTS}")
    assert opened.configuration_json["embedding_function"]["name"] == "default"
    assert opened.get()["ids"] == ["d1"]


async def test_reads_what_others_wrote_without_fetching_a_model(client: Any, acme: None) -> None:
    had_models = MODELS.exists()
    by_default = client.create_collection(f"acme-corp_{DOCUMENTS}")
    by_default.upsert(ids=["d1"], documents=["the shop"], metadatas=[{"source": "wiki"}], embeddings=[VECTOR])
    by_another = client.create_collection(f"acme-corp_{SPECS}", embedding_function=of_another_model())
    by_another.upsert(ids=["s1", "s2"], documents=["the shop", None], embeddings=[[1.0, 2.0]] * 2)
    store = store_of(client)
    assert await ids(store, "shop") == ["d1", "s1"]
    assert (await store.document(SPECS, "s2")).content == ""
    assert MODELS.exists() == had_models


def of_another_model() -> Any:
    from chromadb import Documents, EmbeddingFunction, Embeddings

    class Another(EmbeddingFunction[Documents]):
        def __init__(self) -> None:
            """Chroma warns where this is missing."""

        def __call__(self, input: Documents) -> Embeddings:  # noqa: A002 - chromadb compares the signature by name
            raise AssertionError(input)

        @staticmethod
        def name() -> str:
            return "another-model"

        def get_config(self) -> dict[str, Any]:
            return {}

        @staticmethod
        def build_from_config(config: dict[str, Any]) -> "EmbeddingFunction[Documents]":  # noqa: ARG004 - as above
            return Another()

    return Another()


async def test_a_tenant_sees_its_own_documents_alone(client: Any) -> None:
    for tenant_id in ("acme-corp", "widgets-inc"):
        with TenantContext.tenant_scope(tenant_id):
            await store_of(client, tenant_id).put(DOCUMENTS, [new(f"of-{tenant_id}", f"plan of {tenant_id}")])
    with TenantContext.tenant_scope("acme-corp"):
        store = store_of(client)
        assert await ids(store, "plan") == ["of-acme-corp"]
        assert await ids(store, "widgets-inc") == []
        for base in (DOCUMENTS, f"widgets-inc_{DOCUMENTS}", f"../widgets-inc_{DOCUMENTS}"):
            with pytest.raises(NotFound):
                await store.document(base, "of-widgets-inc")


async def test_collections_whose_names_begin_alike_are_kept_apart(client: Any) -> None:
    for name in (f"a_{DOCUMENTS}", f"a_b_{DOCUMENTS}", f"a-b_{DOCUMENTS}", DOCUMENTS, f"a_{DOCUMENTS}_old"):
        client.create_collection(name).upsert(ids=[f"in {name}"], documents=["plan"], embeddings=[VECTOR])
    for tenant_id in ("a", "a-b"):
        with TenantContext.tenant_scope(tenant_id):
            assert await ids(store_of(client, tenant_id), "plan") == [f"in {tenant_id}_{DOCUMENTS}"]
    assert await ids(store_of(client, None), "plan") == [f"in {DOCUMENTS}"]
    with pytest.raises(NotFound):
        await store_of(client, None).document(f"a_{DOCUMENTS}", f"in a_{DOCUMENTS}")


async def test_every_call_is_refused_outside_its_tenant(client: Any) -> None:
    store = store_of(client)
    calls = (
        lambda: store.search("plan"),
        lambda: store.document(DOCUMENTS, "d1"),
        lambda: store.put(DOCUMENTS, [new("d1", "plan")]),
        store.probe,
    )
    for call in calls:
        with pytest.raises(TenantNotSetError):
            await call()
        with TenantContext.tenant_scope("widgets-inc"), pytest.raises(TenantMismatchError):
            await call()
    with TenantContext.tenant_scope("acme-corp"), pytest.raises(TenantMismatchError):
        await store_of(client, None).search("plan")
    assert client.list_collections() == []


async def test_the_probe_tells_the_version(client: Any, acme: None) -> None:
    assert (await store_of(client).probe())[0].isdigit()


async def test_no_server_is_unavailable() -> None:
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:\d+ cannot be reached; decisions are not affected"):
        await connect_chroma(f"http://127.0.0.1:{free_port()}")


async def test_a_server_that_goes_away_is_unavailable(tmp_path: Path, acme: None) -> None:
    with chroma_server(tmp_path) as gone:
        client: Any = await connect_chroma(gone.url)
        store = store_of(client)
        assert await store.search("plan") == ()
    for call in (lambda: store.search("plan"), lambda: store.document(DOCUMENTS, "d1"), store.probe):
        with pytest.raises(Unavailable):
            await call()
    client.close()


async def test_a_stalled_server_is_unavailable_until_it_answers_and_holds_no_thread(
    server: ChromaServer, acme: None
) -> None:
    client: Any = await connect_chroma(server.url, within=0.3)
    store = KnowledgeStore(client, TenantNames("acme-corp"), within=0.3)
    with server.stalled(), pytest.raises(Unavailable):
        await store.search("plan")
    assert await store_of(client).search("plan") == ()
    with server.stalled():
        with pytest.raises(Unavailable):
            await store.search("plan")
        async with asyncio.timeout(10):
            await asyncio.get_running_loop().shutdown_default_executor()
    client.close()


async def test_a_server_that_never_answers_is_unavailable_and_holds_no_thread() -> None:
    async with impostor(None) as silent:
        with pytest.raises(Unavailable):
            await connect_chroma(silent.url, within=0.2)
        async with asyncio.timeout(10):
            await asyncio.get_running_loop().shutdown_default_executor()


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
@pytest.mark.parametrize("body", ["no", '{"error":"AuthError","message":"Forbidden"}'])
async def test_a_server_that_wants_another_password_refuses(status: str, body: str) -> None:
    async with impostor(status, body) as guarded:
        with pytest.raises(Refused) as refusal:
            await connect_chroma(guarded.url.replace("//", "//reviewer:s3%40cret@"))
    assert "s3" not in str(refusal.value)
    assert "authorization: basic cmv2awv3zxi6cznay3jlda==" in guarded.requests[0].lower()


@pytest.mark.parametrize(("status", "body"), [("200 OK", "<html>hello</html>"), ("200 OK", "[1]")])
async def test_something_else_that_answers_is_malformed(status: str, body: str) -> None:
    async with impostor(status, body) as other:
        with pytest.raises(Malformed):
            await connect_chroma(other.url)


async def test_a_server_in_trouble_is_unavailable_and_a_wrong_path_is_refused() -> None:
    async with impostor("503 Service Unavailable", "busy") as busy:
        with pytest.raises(Unavailable, match="Service Unavailable"):
            await connect_chroma(busy.url)
    async with impostor("404 Not Found", "nothing here") as elsewhere:
        with pytest.raises(Refused, match="Not Found"):
            await connect_chroma(f"{elsewhere.url}/below/")
    assert elsewhere.requests[0].startswith("GET /below/api/v2/")


async def test_unprefixed_collections_beside_a_tenants_are_named(client: Any) -> None:
    with TenantContext.tenant_scope("acme-corp"):
        await store_of(client).put(DOCUMENTS, [new("1", "own")])
        assert await store_of(client).stray_collections() == ()
    await store_of(client, None).put(SPECS, [new("2", "left behind")])
    assert await store_of(client, None).stray_collections() == ()
    with TenantContext.tenant_scope("acme-corp"):
        assert await store_of(client).stray_collections() == (SPECS,)


async def test_a_tenant_adopts_what_single_tenant_mode_left(client: Any) -> None:
    await store_of(client, None).put(DOCUMENTS, [new("d-1", "Retry with jitter")])
    with TenantContext.tenant_scope("acme-corp"):
        store = store_of(client)
        assert await store.adopt(execute=False) == {DOCUMENTS: 1}
        assert await store.search("jitter") == ()
        assert await store.adopt(execute=True) == {DOCUMENTS: 1}
        assert [hit.document_id for hit in await store.search("jitter")] == ["d-1"]
        assert await store.adopt(execute=True) == {}
    assert await store_of(client, None).search("jitter") == ()


async def test_a_collection_of_both_names_is_left_to_a_person(client: Any) -> None:
    await store_of(client, None).put(DOCUMENTS, [new("d-1", "Retry with jitter")])
    with TenantContext.tenant_scope("acme-corp"):
        await store_of(client).put(DOCUMENTS, [new("d-2", "Ours")])
        with pytest.raises(Conflict, match="beside the unprefixed one"):
            await store_of(client).adopt(execute=True)
    assert len(await store_of(client, None).search("jitter")) == 1
