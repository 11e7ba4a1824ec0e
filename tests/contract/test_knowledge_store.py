"""The knowledge store's contract: the same cases over Chroma in this process, over HTTP, and over the one in memory."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hitl_desktop.services.chroma import NoEmbedding, connect_chroma
from hitl_desktop.services.chroma_memory import MemoryChroma
from hitl_desktop.services.documents import EXCERPT_LENGTH
from hitl_desktop.services.errors import Conflict, NotFound, Refused
from hitl_desktop.services.knowledge import KnowledgeResults, NewDocument
from hitl_desktop.services.meaning import LocalModel
from hitl_desktop.services.searching import OTHER_MODEL
from hitl_desktop.tenancy import TenantContext, TenantMismatchError, TenantNotSetError
from tests.knowledge import DOCUMENTS, MODELS, SPECS, VECTOR, collection, embedded, ids, new, of_another_model, store_of
from tests.models import meaning_of, models_in, write_model
from tests.services.chroma_server import ChromaServer, chroma_server

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChromaServer]:
    with chroma_server(tmp_path_factory.mktemp("chroma")) as running:
        yield running


@pytest.fixture(params=["memory", "embedded", "http"])
async def client(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Any]:
    made: Any = None
    if request.param == "memory":
        made = MemoryChroma()
    elif request.param == "embedded":
        made = embedded(tmp_path)
    else:
        made = await connect_chroma(request.getfixturevalue("server").url)
    yield made
    for one in made.list_collections():
        made.delete_collection(one.name)
    made.close()


@pytest.fixture
def no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalModel]:
    with models_in(tmp_path / "model", monkeypatch):
        yield LocalModel()


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_model: LocalModel) -> LocalModel:
    write_model(tmp_path / "model", monkeypatch)
    return no_model


def meant(document_id: str, word: str) -> NewDocument:
    return NewDocument(document_id, word, meaning_of(word))


def opened(client: Any, name: str) -> Any:
    return client.get_collection(name, embedding_function=NoEmbedding())


@pytest.fixture
def acme() -> Iterator[None]:
    """Run the test for tenant acme-corp; synchronous, as an asynchronous fixture's context would not reach the test."""
    with TenantContext.tenant_scope("acme-corp"):
        yield


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
    assert await store.search(nothing) == KnowledgeResults()


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
    assert (await store.search("k" * 200_000)).hits == ()
    assert (await store.search("many different words " * 10_000)).hits == ()


async def test_a_hit_carries_what_the_document_says_of_itself(client: Any, acme: None) -> None:
    store = store_of(client)
    await store.put(SPECS, [new("s1", "Users\nmay  sign in.", title="Sign-in", path="docs/sign-in.md", revision=3)])
    (hit,) = (await store.search("sign")).hits
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
    (hit,) = (await store.search("text")).hits
    assert (hit.title, hit.path) == (title, path)


async def test_an_excerpt_is_one_printable_line_around_the_first_match(client: Any, acme: None) -> None:
    store = store_of(client)
    hostile = "\x1b[31mred \u202eesrever\u2028<img src=x> "
    await store.put(DOCUMENTS, [new("long", "word " * 500 + hostile + "needle " + "after " * 500)])
    (hit,) = (await store.search("NEEDLE")).hits
    assert len(hit.excerpt) <= EXCERPT_LENGTH
    assert hit.excerpt.isprintable()
    assert "[31mred esrever <img src=x> needle after" in hit.excerpt
    assert hit.excerpt[0] == hit.excerpt[-1] == "…"


async def test_the_limit_holds_across_collections(client: Any, acme: None) -> None:
    store = store_of(client)
    await store.put(DOCUMENTS, [new(f"d{n}", "shop") for n in range(3)])
    await store.put(SPECS, [new(f"s{n}", "shop") for n in range(3)])
    assert [len((await store.search("shop", limit)).hits) for limit in (0, 1, 4, 20)] == [0, 1, 4, 6]
    assert {hit.collection for hit in (await store.search("shop", 3)).hits} == {DOCUMENTS}


async def test_reading_finds_nothing_in_absent_collections_and_creates_none(client: Any, acme: None) -> None:
    store = store_of(client)
    assert await ids(store, "anything") == []
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
    assert opened(client, f"acme-corp_{DOCUMENTS}").count() == 2
    assert (await store.document(DOCUMENTS, "d1")).content == "changed"


async def test_the_last_of_one_id_counts_in_one_writing_too(client: Any, acme: None) -> None:
    store = store_of(client)
    await store.put(DOCUMENTS, [new("d1", "first"), new("d2", "second"), new("d1", "last")])
    assert (await store.document(DOCUMENTS, "d1")).content == "last"
    assert await ids(store, "first") == []


async def test_more_is_written_than_chroma_takes_at_once(client: Any, acme: None, *, full: bool) -> None:
    count = 6_000 if full else 1_001
    store = store_of(client)
    await store.put(DOCUMENTS, [new(f"d{n}", f"number {n}.") for n in range(count)])
    assert opened(client, f"acme-corp_{DOCUMENTS}").count() == count
    assert await ids(store, f"{count - 1}.") == [f"d{count - 1}"]


async def test_a_document_without_an_id_is_refused(client: Any, acme: None) -> None:
    with pytest.raises(Refused):
        await store_of(client).put(DOCUMENTS, [new("", "text")])


async def test_writing_refuses_what_does_not_belong(client: Any, acme: None) -> None:
    store = store_of(client)
    with pytest.raises(ValueError, match="384"):
        await store.put(DOCUMENTS, [NewDocument("d1", "text", [1.0])])
    with pytest.raises(ValueError, match="collections"):
        await store.put("elsewhere", [new("d1", "text")])
    assert client.list_collections() == []


async def test_reads_what_others_wrote_without_fetching_a_model(client: Any, acme: None) -> None:
    had_models = MODELS.exists()
    by_default = collection(client, f"acme-corp_{DOCUMENTS}")
    by_default.upsert(ids=["d1"], documents=["the shop"], metadatas=[{"source": "wiki"}], embeddings=[VECTOR])
    by_another = collection(client, f"acme-corp_{SPECS}", made_by=of_another_model())
    by_another.upsert(ids=["s1", "s2"], documents=["the shop", None], embeddings=[[1.0, 2.0]] * 2)
    store = store_of(client)
    assert await ids(store, "shop") == ["d1", "s1"]
    assert (await store.document(SPECS, "s2")).content == ""
    assert MODELS.exists() == had_models


async def test_a_client_that_is_left_to_embed_refuses(client: Any, acme: None) -> None:
    await store_of(client).put(DOCUMENTS, [new("d1", "text")])
    there = opened(client, f"acme-corp_{DOCUMENTS}")
    with pytest.raises(RuntimeError, match="never computed here"):
        there.upsert(ids=["d2"], documents=["text"])
    assert there.count() == 1


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
        collection(client, name).upsert(ids=[f"in {name}"], documents=["plan"], embeddings=[VECTOR])
    for tenant_id in ("a", "a-b"):
        with TenantContext.tenant_scope(tenant_id):
            assert await ids(store_of(client, tenant_id), "plan") == [f"in {tenant_id}_{DOCUMENTS}"]
    assert await ids(store_of(client, None), "plan") == [f"in {DOCUMENTS}"]
    with pytest.raises(NotFound):
        await store_of(client, None).document(f"a_{DOCUMENTS}", f"in a_{DOCUMENTS}")


async def test_a_tenant_finds_its_own_documents_alone_by_meaning(client: Any, model: LocalModel) -> None:
    for tenant_id in ("acme-corp", "widgets-inc"):
        with TenantContext.tenant_scope(tenant_id):
            store = store_of(client, tenant_id, model)
            await store.put(DOCUMENTS, [meant(f"of-{tenant_id}", "login")])
            assert [hit.document_id for hit in (await store.search("authenticate")).hits] == [f"of-{tenant_id}"]


async def test_what_comes_near_in_meaning_follows_what_has_the_words(
    client: Any, model: LocalModel, acme: None
) -> None:
    store = store_of(client, model=model)
    await store.put(DOCUMENTS, [meant("password", "password"), meant("jitter", "jitter")])
    await store.put(SPECS, [meant("authenticate", "authenticate"), meant("login", "login"), meant("refund", "refund")])
    results = await store.search("authenticate")
    assert results.keyword_only == ""
    assert [(hit.document_id, hit.by_meaning) for hit in results.hits][:1] == [("authenticate", False)]
    assert {(hit.document_id, hit.by_meaning) for hit in results.hits[1:]} == {("password", True), ("login", True)}
    assert [len((await store.search("authenticate", limit)).hits) for limit in (1, 2, 3, 9)] == [1, 2, 3, 3]
    assert (await store.search("unheard-of")).hits == ()


async def test_the_nearest_comes_first_across_collections(client: Any, model: LocalModel, acme: None) -> None:
    store = store_of(client, model=model)
    mixed = [a + b / 2 for a, b in zip(meaning_of("login"), meaning_of("retry"), strict=True)]
    await store.put(DOCUMENTS, [NewDocument("both", "mixed", [8 * number for number in mixed])])
    await store.put(SPECS, [meant("login", "login")])
    found = [[hit.document_id for hit in (await store.search(text)).hits] for text in ("password", "jitter", "refund")]
    assert found == [["login", "both"], ["both"], []]


async def test_without_a_model_a_search_says_that_it_is_for_words(
    client: Any, acme: None, no_model: LocalModel
) -> None:
    store = store_of(client, model=no_model)
    await store.put(DOCUMENTS, [meant("login", "login")])
    assert (await store.search("authenticate")) == KnowledgeResults((), "the embedding model is not on this machine")
    results = await store.search("LOGIN")
    assert [(hit.document_id, hit.by_meaning) for hit in results.hits] == [("login", False)]
    assert results.keyword_only == await store.keyword_only() == "the embedding model is not on this machine"


async def test_another_models_vectors_are_not_compared(client: Any, model: LocalModel, acme: None) -> None:
    theirs = collection(client, f"acme-corp_{DOCUMENTS}", made_by=of_another_model())
    theirs.upsert(ids=["d1"], documents=["login"], embeddings=[meaning_of("login")])
    falsely = collection(client, f"acme-corp_{SPECS}")
    falsely.upsert(ids=["s1"], documents=["login"], embeddings=[[1.0, 2.0]])
    results = await store_of(client, model=model).search("login")
    assert [hit.document_id for hit in results.hits] == ["d1", "s1"]
    assert results.keyword_only == OTHER_MODEL
    assert (await store_of(client, model=model).search("password")).hits == ()


async def test_one_model_among_others_is_compared(client: Any, model: LocalModel, acme: None) -> None:
    theirs = collection(client, f"acme-corp_{SPECS}", made_by=of_another_model())
    theirs.upsert(ids=["s1"], documents=["login"], embeddings=[[1.0, 2.0]])
    store = store_of(client, model=model)
    await store.put(DOCUMENTS, [meant("d1", "login")])
    results = await store.search("password")
    assert [hit.document_id for hit in results.hits] == ["d1"]
    assert results.keyword_only == ""


async def test_every_call_is_refused_outside_its_tenant(client: Any) -> None:
    store = store_of(client)
    calls = (
        lambda: store.search("plan"),
        lambda: store.document(DOCUMENTS, "d1"),
        lambda: store.put(DOCUMENTS, [new("d1", "plan")]),
        store.probe,
        store.keyword_only,
        lambda: store.adopt(execute=True),
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
        assert await ids(store, "jitter") == []
        assert await store.adopt(execute=True) == {DOCUMENTS: 1}
        assert await ids(store, "jitter") == ["d-1"]
        assert await store.adopt(execute=True) == {}
    assert await ids(store_of(client, None), "jitter") == []


async def test_a_collection_of_both_names_is_left_to_a_person(client: Any) -> None:
    await store_of(client, None).put(DOCUMENTS, [new("d-1", "Retry with jitter")])
    with TenantContext.tenant_scope("acme-corp"):
        await store_of(client).put(DOCUMENTS, [new("d-2", "Ours")])
        with pytest.raises(Conflict, match="beside the unprefixed one"):
            await store_of(client).adopt(execute=True)
    assert await ids(store_of(client, None), "jitter") == ["d-1"]
