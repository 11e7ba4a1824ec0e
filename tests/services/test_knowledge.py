"""Chroma itself behind the knowledge store: what it makes of our collections, and servers that fail or are none."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hitl_desktop.services.errors import Malformed, Refused, Unavailable
from hitl_desktop.services.knowledge import KnowledgeStore, connect_chroma
from hitl_desktop.tenancy import TenantContext, TenantNames
from tests.knowledge import DOCUMENTS, embedded, ids, new, store_of
from tests.processes import DEADLINE
from tests.servers import free_port
from tests.services.chroma_server import ChromaServer, chroma_server, impostor


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChromaServer]:
    with chroma_server(tmp_path_factory.mktemp("chroma")) as running:
        yield running


@pytest.fixture
def acme() -> Iterator[None]:
    with TenantContext.tenant_scope("acme-corp"):
        yield


async def test_what_is_written_can_be_opened_with_chromas_defaults(tmp_path: Path, acme: None) -> None:
    client = embedded(tmp_path)
    await store_of(client).put(DOCUMENTS, [new("d1", "text")])
    opened = client.get_collection(f"acme-corp_{DOCUMENTS}")
    assert opened.configuration_json["embedding_function"]["name"] == "default"
    assert opened.get()["ids"] == ["d1"]
    client.close()


async def test_no_server_is_unavailable() -> None:
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:\d+ cannot be reached; decisions are not affected"):
        await connect_chroma(f"http://127.0.0.1:{free_port()}")


async def test_a_server_that_goes_away_is_unavailable(tmp_path: Path, acme: None) -> None:
    with chroma_server(tmp_path) as gone:
        client: Any = await connect_chroma(gone.url)
        store = store_of(client)
        assert await ids(store, "plan") == []
    for call in (lambda: store.search("plan"), lambda: store.document(DOCUMENTS, "d1"), store.probe):
        with pytest.raises(Unavailable):
            await call()
    client.close()


async def test_a_stalled_server_is_unavailable_until_it_answers_and_holds_no_thread(
    server: ChromaServer, acme: None
) -> None:
    client: Any = await connect_chroma(server.url)
    hasty = KnowledgeStore(client, TenantNames("acme-corp"), within=0.3)
    with server.stalled(), pytest.raises(Unavailable):
        await hasty.search("plan")
    assert await ids(store_of(client), "plan") == []
    with server.stalled():
        with pytest.raises(Unavailable):
            await hasty.search("plan")
        async with asyncio.timeout(DEADLINE):
            await asyncio.get_running_loop().shutdown_default_executor()
    client.close()


async def test_a_server_that_never_answers_is_unavailable_and_holds_no_thread() -> None:
    async with impostor(None) as silent:
        with pytest.raises(Unavailable):
            await connect_chroma(silent.url, within=0.2)
        async with asyncio.timeout(DEADLINE):
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
