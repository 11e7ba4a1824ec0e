"""What a tenant holds in Chroma, seen past the gateway, and chromadb's own client through it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hitl_desktop.services.chroma import NoEmbedding
from tests.gateway.gateway_process import GatewayProcess

MODELS = Path.home() / ".cache" / "chroma"
VECTORS = [[1.0, 0.0], [0.0, 1.0]]


@contextmanager
def own_client(url: str, headers: dict[str, str]) -> Iterator[Any]:
    """Yield chromadb's own client, as anybody has it who installs chromadb."""
    import chromadb
    from chromadb.config import Settings

    place = urlsplit(url)
    client: Any = chromadb.HttpClient(
        host=place.hostname or "",
        port=place.port or 0,
        headers=dict(headers),
        settings=Settings(_env_file=None, anonymized_telemetry=False),  # type: ignore[call-arg]  # pydantic's argument
    )
    try:
        yield client
    finally:
        # close() leaves its two connections open, and Python warns of them.
        client._admin_client._server._session.close()
        client._server._session.close()
        client.close()


@contextmanager
def tenant_client(gateway: GatewayProcess, tenant_id: str) -> Iterator[Any]:
    with own_client(gateway.url, gateway.headers(tenant_id)) as client:
        yield client


def open_collection(client: Any, name: str) -> Any:
    return client.get_collection(name, embedding_function=NoEmbedding())


def create_collection(client: Any, name: str, *, get_or_create: bool = False) -> Any:
    from chromadb.api.types import DefaultEmbeddingFunction

    # Making the default function does not load its model, and chromadb warns where the configuration has another.
    configuration = {"embedding_function": DefaultEmbeddingFunction()}
    return client.create_collection(
        name,
        configuration=configuration,
        metadata={"of": name},
        embedding_function=NoEmbedding(),
        get_or_create=get_or_create,
    )


def make_collection(client: Any, name: str, text: str = "plan") -> Any:
    made = create_collection(client, name, get_or_create=True)
    made.upsert(
        ids=["d1", "d2"], documents=[f"{text} one", f"{text} two"], metadatas=[{"n": 1}, {"n": 2}], embeddings=VECTORS
    )
    return made


def snapshot(url: str) -> dict[str, Any]:
    """Return all that Chroma at `url` holds, by collection; asked of Chroma itself."""
    with own_client(url, {}) as client:
        return {
            one.name: (str(one.id), one.metadata, one.configuration_json, _records(client, one.name))
            for one in client.list_collections()
        }


def _records(client: Any, name: str) -> Any:
    found = open_collection(client, name).get(include=["documents", "metadatas", "embeddings"])
    return found["ids"], found["documents"], found["metadatas"], [list(map(float, one)) for one in found["embeddings"]]


def clear(url: str) -> None:
    with own_client(url, {}) as client:
        for one in client.list_collections():
            client.delete_collection(one.name)
