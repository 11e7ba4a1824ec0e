"""What the application's Chroma client sends with every request, to a real server, from the first to the last."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from hitl_desktop.services.chroma import NoEmbedding, connect_chroma, gateway_headers
from hitl_desktop.services.knowledge import KnowledgeStore, NewDocument
from hitl_desktop.tenancy import TenantContext, TenantNames
from tests.services.chroma_server import ChromaServer, Impostor, chroma_server

A, B = "acme-corp", "widgets-inc"


@pytest.fixture(scope="module")
def chroma(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChromaServer]:
    with chroma_server(tmp_path_factory.mktemp("chroma")) as running:
        yield running


@asynccontextmanager
async def recorded(chroma: ChromaServer) -> AsyncIterator[Impostor]:
    """Pass each request on to `chroma`, one a connection, and keep its head."""
    place = urlsplit(chroma.url)
    relaying: set[asyncio.Task[None] | None] = set()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        relaying.add(asyncio.current_task())
        head = await reader.readuntil(b"\r\n\r\n")
        there.requests.append(head.decode())
        length = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b":0")
        body = await reader.readexactly(int(length.partition(b":")[2]))
        answers, asks = await asyncio.open_connection(place.hostname, place.port)
        asks.write(head.replace(b"keep-alive", b"close") + body)
        writer.write(await answers.read())
        for end in (asks, writer):
            end.close()
            await end.wait_closed()

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    there = Impostor(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    async with server:
        yield there
        await asyncio.gather(*filter(None, relaying))


def sent(there: Impostor, header: str) -> set[tuple[str, ...]]:
    """Return the values of `header` in each request."""
    heads = [request.split("\r\n")[1:] for request in there.requests]
    return {
        tuple(line.partition(":")[2].strip() for line in head if line.lower().startswith(f"{header.lower()}:"))
        for head in heads
    }


def test_the_gateway_wants_the_token_and_the_tenant() -> None:
    assert gateway_headers(A, "t") == {"Authorization": "Bearer t", "X-Tenant-ID": A}
    assert gateway_headers(A, "t", "X-Client") == {"Authorization": "Bearer t", "X-Client": A}


async def test_every_request_has_the_headers_from_the_first_on(chroma: ChromaServer) -> None:
    async with recorded(chroma) as there:
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
    async with recorded(chroma) as there:
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
    async with recorded(chroma) as there:
        given = gateway_headers(A, "t")
        (await connect_chroma(there.url.replace("//", "//reviewer:secret@"), headers=given)).close()
        assert sent(there, "authorization") == {("Bearer t",)}
        assert given == gateway_headers(A, "t")  # chromadb adds its own to what it is given


async def test_without_headers_nothing_is_sent(chroma: ChromaServer) -> None:
    async with recorded(chroma) as there:
        (await connect_chroma(there.url)).close()
        assert sent(there, "authorization") == sent(there, "x-tenant-id") == {()}
