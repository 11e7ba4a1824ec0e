"""What the application's Chroma client sends with every request, to a real server, from the first to the last."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from hitl_desktop.services.chroma import NoEmbedding, connect_chroma, gateway_headers
from hitl_desktop.services.knowledge import KnowledgeStore, NewDocument
from hitl_desktop.tenancy import TenantContext, TenantNames
from tests.services.chroma_server import ChromaServer, chroma_server, recorded, sent

A, B = "acme-corp", "widgets-inc"


@pytest.fixture(scope="module")
def chroma(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChromaServer]:
    with chroma_server(tmp_path_factory.mktemp("chroma")) as running:
        yield running


def test_the_gateway_wants_the_token_and_the_tenant() -> None:
    assert gateway_headers(A, "t") == {"Authorization": "Bearer t", "X-Tenant-ID": A}
    assert gateway_headers(A, "t", "X-Client") == {"Authorization": "Bearer t", "X-Client": A}


async def test_every_request_has_the_headers_from_the_first_on(chroma: ChromaServer) -> None:
    async with recorded(chroma.url) as there:
        client: Any = await connect_chroma(there.url, headers=gateway_headers(A, "t"))
        connecting = len(there.requests)
        store = KnowledgeStore(client, TenantNames(A))
        with TenantContext.tenant_scope(A):
            await store.put("asdlc_documents", [NewDocument("d1", "The plan", [0.5] * 384, {})])
            assert [hit.document_id for hit in (await store.search("plan")).hits] == ["d1"]
            assert (await store.document("asdlc_documents", "d1")).content == "The plan"
            await store.probe()
        opened = await asyncio.to_thread(client.get_collection, f"{A}_asdlc_documents", NoEmbedding())
        for call in (opened.count, client.list_collections, lambda: opened.delete(ids=["d1"]), client.heartbeat):
            await asyncio.to_thread(call)
        client.close()
    assert connecting == 3
    assert len(there.requests) > connecting + 10
    assert sent(there, "authorization") == {("Bearer t",)}
    assert sent(there, "x-tenant-id") == {(A,)}


async def test_two_clients_of_one_server_keep_their_headers_apart(chroma: ChromaServer) -> None:
    async with recorded(chroma.url) as there:
        clients: dict[str, Any] = {
            tenant_id: await connect_chroma(there.url, headers=gateway_headers(tenant_id, f"of {tenant_id}"))
            for tenant_id in (A, B)
        }
        for tenant_id, client in clients.items():
            there.requests.clear()
            await asyncio.to_thread(client.get_version)
            assert sent(there, "authorization") == {(f"Bearer of {tenant_id}",)}
            assert sent(there, "x-tenant-id") == {(tenant_id,)}
            client.close()


async def test_a_token_beats_the_password_of_the_address(chroma: ChromaServer) -> None:
    async with recorded(chroma.url) as there:
        given = gateway_headers(A, "t")
        (await connect_chroma(there.url.replace("//", "//reviewer:secret@"), headers=given)).close()
        assert sent(there, "authorization") == {("Bearer t",)}
        assert given == gateway_headers(A, "t")  # chromadb adds its own to what it is given


async def test_without_headers_nothing_is_sent(chroma: ChromaServer) -> None:
    async with recorded(chroma.url) as there:
        (await connect_chroma(there.url)).close()
        assert sent(there, "authorization") == sent(there, "x-tenant-id") == {()}
