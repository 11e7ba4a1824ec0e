"""Through the gateway, with chromadb's own client: a tenant works with its own collections and reaches no other's."""

import threading
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from hitl_desktop.services.chroma import connect_chroma, gateway_headers
from hitl_desktop.services.errors import NotFound, Refused
from hitl_desktop.services.knowledge import KnowledgeStore, NewDocument
from hitl_desktop.tenancy import TenantContext, TenantNames
from tests.gateway import held
from tests.gateway.gateway_process import TENANTS, GatewayProcess
from tests.services.chroma_server import ChromaServer

DOCUMENTS = "asdlc_documents"
A, B = "acme-corp", "widgets-inc"
OF_A, OF_B = f"{A}_{DOCUMENTS}", f"{B}_{DOCUMENTS}"
NEW = {"ids": ["stolen"], "documents": ["x"], "embeddings": [[1.0, 1.0]]}


@pytest.fixture(autouse=True)
def collections(chroma: ChromaServer) -> Iterator[None]:
    """Give each tenant a collection, written past the gateway, and look afterwards that no model was fetched."""
    had_models = held.MODELS.exists()
    held.clear(chroma.url)
    with held.own_client(chroma.url, {}) as client:
        for tenant_id in TENANTS:
            held.make_collection(client, f"{tenant_id}_{DOCUMENTS}", f"plan of {tenant_id}")
        held.make_collection(client, DOCUMENTS, "unprefixed")
    yield
    assert held.MODELS.exists() == had_models


@pytest.fixture
def id_of_a(chroma: ChromaServer) -> UUID:
    return UUID(held.snapshot(chroma.url)[OF_A][0])


@pytest.fixture
def mallory(gateway: GatewayProcess) -> Iterator[Any]:
    """Tenant B's client, with which a test tries what it must not be able to do."""
    with held.tenant_client(gateway, B) as client:
        yield client


def forged(client: Any, collection_id: UUID) -> Any:
    """Return B's collection object with another UUID, for which the client then asks without a doubt."""
    opened = held.open_collection(client, OF_B)
    opened._model.id = collection_id
    return opened


BY_NAME: dict[str, Callable[[Any], Any]] = {
    "get": lambda client: held.open_collection(client, OF_A),
    "get or create": lambda client: held.create_collection(client, OF_A, get_or_create=True),
    "create": lambda client: held.create_collection(client, OF_A),
    "create another": lambda client: held.create_collection(client, f"{A}_new"),
    "create unprefixed": lambda client: held.create_collection(client, "mine"),
    "get unprefixed": lambda client: held.open_collection(client, DOCUMENTS),
    "delete": lambda client: client.delete_collection(OF_A),
    "rename into": lambda client: held.open_collection(client, OF_B).modify(name=f"{A}_new"),
    "rename out": lambda client: held.open_collection(client, OF_B).modify(name="mine"),
    "fork": lambda client: held.open_collection(client, OF_B).fork(f"{A}_fork"),
}
BY_UUID: dict[str, Callable[[Any], Any]] = {
    "count": lambda there: there.count(),
    "get": lambda there: there.get(),
    "get one": lambda there: there.get(ids=["d1"], include=["documents", "embeddings"]),
    "peek": lambda there: there.peek(),
    "query": lambda there: there.query(query_embeddings=[[1.0, 0.0]], n_results=1),
    "add": lambda there: there.add(**NEW),
    "upsert": lambda there: there.upsert(**NEW),
    "update": lambda there: there.update(ids=["d1"], documents=["x"], embeddings=[[1.0, 1.0]]),
    "delete": lambda there: there.delete(ids=["d1"]),
    "delete where": lambda there: there.delete(where={"n": 1}),
    "rename": lambda there: there.modify(name=f"{B}_taken"),
    "change": lambda there: there.modify(metadata={"of": "B"}),
    "fork": lambda there: there.fork(f"{B}_fork"),
    "fork count": lambda there: there.fork_count(),
    "status": lambda there: there.get_indexing_status(),
}
AS_ADMINISTRATOR: dict[str, Callable[[Any], Any]] = {
    "reset": lambda client: client.reset(),
    "another tenant": lambda client: client.set_tenant("other_tenant"),
    "another database": lambda client: client.set_database("other_database"),
    "create a tenant": lambda client: client._server.create_tenant("other_tenant"),
    "create a database": lambda client: client._server.create_database("other_database"),
    "delete the database": lambda client: client._server.delete_database("default_database"),
    "list databases": lambda client: client._server.list_databases(),
}


def refused(call: Callable[[], Any]) -> None:
    from chromadb.errors import ChromaAuthError

    with pytest.raises((ChromaAuthError, ValueError)) as refusal:
        call()
    # set_tenant and set_database say only that they could not connect.
    assert isinstance(refusal.value, ChromaAuthError) or "Could not connect" in str(refusal.value)


@pytest.mark.parametrize("operation", BY_NAME)
def test_nothing_of_another_tenant_is_reached_by_name(
    gateway: GatewayProcess, chroma: ChromaServer, mallory: Any, operation: str
) -> None:
    before, known = held.snapshot(chroma.url), len(gateway.refusals())
    refused(lambda: BY_NAME[operation](mallory))
    assert held.snapshot(chroma.url) == before
    written = gateway.refusals()[known:]
    assert [(line["tenant"], line["header"]) for line in written] == [(B, B)]


@pytest.mark.parametrize("operation", BY_UUID)
def test_nothing_of_another_tenant_is_reached_by_uuid(
    gateway: GatewayProcess, chroma: ChromaServer, mallory: Any, id_of_a: UUID, operation: str
) -> None:
    there = forged(mallory, id_of_a)
    before, known = held.snapshot(chroma.url), len(gateway.refusals())
    refused(lambda: BY_UUID[operation](there))
    assert held.snapshot(chroma.url) == before
    assert [line["tenant"] for line in gateway.refusals()[known:]] == [B]


@pytest.mark.parametrize("operation", AS_ADMINISTRATOR)
def test_what_is_about_all_tenants_is_served_to_none(chroma: ChromaServer, mallory: Any, operation: str) -> None:
    before = held.snapshot(chroma.url)
    refused(lambda: AS_ADMINISTRATOR[operation](mallory))
    assert held.snapshot(chroma.url) == before


def test_a_uuid_is_no_way_to_a_collection_by_the_route_for_names(
    chroma: ChromaServer, mallory: Any, id_of_a: UUID
) -> None:
    before = held.snapshot(chroma.url)
    refused(lambda: held.open_collection(mallory, str(id_of_a)))
    refused(lambda: mallory.delete_collection(str(id_of_a)))
    refused(lambda: mallory._server.get_collection_by_id(id_of_a))
    assert held.snapshot(chroma.url) == before


def test_the_own_client_of_a_tenant_does_all_it_does_without_a_gateway(
    gateway: GatewayProcess, chroma: ChromaServer
) -> None:
    before = held.snapshot(chroma.url)
    with held.tenant_client(gateway, A) as client:
        assert client.heartbeat() > 0
        assert client.get_version()
        assert client.get_max_batch_size() > 0
        made = held.make_collection(client, f"{A}_other")
        assert client._server.get_collection_by_id(made.id).name == f"{A}_other"
        made.add(ids=["d3"], documents=["three"], embeddings=[[1.0, 1.0]])
        made.update(ids=["d3"], documents=["drei"], embeddings=[[1.0, 1.0]])
        assert made.count() == 3
        assert made.get(ids=["d3"])["documents"] == ["drei"]
        assert made.query(query_embeddings=[[0.0, 1.0]], n_results=1)["ids"] == [["d2"]]
        made.delete(ids=["d3"])
        assert made.peek()["ids"] == ["d1", "d2"]
        made.modify(name=f"{A}_renamed", metadata={"of": "A"})
        assert held.open_collection(client, f"{A}_renamed").metadata == {"of": "A"}
        client.delete_collection(f"{A}_renamed")
    assert held.snapshot(chroma.url) == before


def test_an_absent_collection_is_not_found_by_its_own_tenant(gateway: GatewayProcess) -> None:
    from chromadb.errors import NotFoundError

    with held.tenant_client(gateway, A) as client:
        with pytest.raises(NotFoundError):
            held.open_collection(client, f"{A}_none")
        with pytest.raises(NotFoundError):
            client.delete_collection(f"{A}_none")


def test_a_list_holds_the_own_collections_alone_and_is_cut_into_pages_of_those(gateway: GatewayProcess) -> None:
    with held.tenant_client(gateway, A) as client:
        for number in range(4):
            held.make_collection(client, f"{A}_more{number}")
        names = {one.name for one in client.list_collections()}
        assert names == {OF_A, *(f"{A}_more{number}" for number in range(4))}
        assert client.count_collections() == 5
        pages = [[one.name for one in client.list_collections(limit=2, offset=start)] for start in (0, 2, 4, 6)]
        assert [len(page) for page in pages] == [2, 2, 1, 0]
        assert {name for page in pages for name in page} == names


@pytest.mark.parametrize("tenant_id", TENANTS)
def test_tenants_whose_ids_begin_alike_see_one_collection_each(gateway: GatewayProcess, tenant_id: str) -> None:
    with held.tenant_client(gateway, tenant_id) as client:
        assert [one.name for one in client.list_collections()] == [f"{tenant_id}_{DOCUMENTS}"]
        assert client.count_collections() == 1


def test_a_uuid_is_nobodys_once_its_collection_is_deleted(
    gateway: GatewayProcess, chroma: ChromaServer, mallory: Any
) -> None:
    with held.tenant_client(gateway, A) as client:
        opened = held.open_collection(client, OF_A)
        assert opened.count() == 2
        client.delete_collection(OF_A)
        refused(opened.count)
        refused(forged(mallory, opened.id).count)
        made = held.make_collection(client, OF_A)
        assert made.id != opened.id
        refused(forged(mallory, made.id).count)
        refused(opened.count)


def test_a_collection_that_an_administrator_hands_over_changes_its_tenant_at_once(
    gateway: GatewayProcess, chroma: ChromaServer, mallory: Any, id_of_a: UUID
) -> None:
    with held.tenant_client(gateway, A) as client, held.own_client(chroma.url, {}) as administrator:
        opened = held.open_collection(client, OF_A)
        assert opened.count() == 2
        held.open_collection(administrator, OF_A).modify(name=f"{B}_given")
        refused(opened.count)
        assert forged(mallory, id_of_a).count() == 2


def test_a_collection_of_another_database_is_nobodys(gateway: GatewayProcess, chroma: ChromaServer) -> None:
    with held.own_client(chroma.url, {}) as administrator:
        base = f"other_{uuid4().hex}"
        administrator._server.create_database(base)
        hidden = administrator._server.create_collection(f"{A}_hidden", database=base)
    with held.tenant_client(gateway, A) as client:
        opened = held.open_collection(client, OF_A)
        opened._model.id = hidden.id
        refused(opened.count)
        assert f"{A}_hidden" not in {one.name for one in client.list_collections()}


def test_both_tenants_at_once_see_only_what_is_theirs(gateway: GatewayProcess, chroma: ChromaServer) -> None:
    ids = {name: UUID(found[0]) for name, found in held.snapshot(chroma.url).items()}
    faults: list[BaseException] = []
    together = threading.Barrier(8)

    def work(tenant_id: str, other: str, number: int) -> None:
        try:
            with held.tenant_client(gateway, tenant_id) as client:
                together.wait(60)
                for turn in range(15):
                    name = f"{tenant_id}_{number}-{turn}"
                    made = held.make_collection(client, name, f"of {tenant_id}")
                    assert made.get()["documents"] == [f"of {tenant_id} one", f"of {tenant_id} two"]
                    assert all(one.name.startswith(f"{tenant_id}_") for one in client.list_collections())
                    made._model.id = ids[f"{other}_{DOCUMENTS}"]
                    refused(made.get)
                    refused(lambda: held.open_collection(client, f"{other}_{DOCUMENTS}"))
                    client.delete_collection(name)
        except BaseException as error:  # noqa: BLE001 - told by the test's own thread
            faults.append(error)

    before = held.snapshot(chroma.url)
    threads = [threading.Thread(target=work, args=(*pair, n)) for n in range(4) for pair in ((A, B), (B, A))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert faults == []
    assert not any(thread.is_alive() for thread in threads)
    assert held.snapshot(chroma.url) == before


class OneMeaning:
    """A model to which all texts mean the same."""

    def embed(self, text: str) -> list[float]:
        return [0.5 if text else 0.0] * 384


async def test_the_applications_client_works_through_it_for_its_own_tenant(gateway: GatewayProcess) -> None:
    client: Any = await connect_chroma(gateway.url, headers=gateway.headers(A))
    stores = {tenant_id: KnowledgeStore(client, TenantNames(tenant_id)) for tenant_id in (A, B)}
    client.delete_collection(OF_A)
    with TenantContext.tenant_scope(A):
        await stores[A].put(DOCUMENTS, [NewDocument("d1", "The plan", [0.5] * 384, {})])
        assert [hit.content for hit in (await stores[A].search("plan")).hits] == ["The plan"]
        by_meaning = KnowledgeStore(client, TenantNames(A), model=OneMeaning())
        assert [hit.by_meaning for hit in (await by_meaning.search("unheard-of")).hits] == [True]
        with pytest.raises(NotFound):
            await stores[A].document(DOCUMENTS, "d2")
    with TenantContext.tenant_scope(B), pytest.raises(Refused):
        await stores[B].search("plan")
    client.close()


async def test_the_applications_client_is_refused_without_a_token_that_fits(gateway: GatewayProcess) -> None:
    for headers in ({}, gateway_headers(B, gateway.tokens[A]), gateway_headers(A, "x")):
        with pytest.raises(Refused):
            await connect_chroma(gateway.url, headers=headers)
