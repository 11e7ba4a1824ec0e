"""Knowledge stores for the tests, over each kind of client."""

from pathlib import Path
from typing import Any

from hitl_desktop.services.chroma import NoEmbedding
from hitl_desktop.services.knowledge import KnowledgeStore, NewDocument
from hitl_desktop.services.meaning import Model
from hitl_desktop.tenancy import TenantNames

DOCUMENTS = "asdlc_documents"
SPECS = "asdlc_specs"
VECTOR = [0.5] * 384
MODELS = Path.home() / ".cache" / "chroma"
"""Where chromadb puts models, looked up before a test has another home."""


def embedded(folder: Path) -> Any:
    import chromadb
    from chromadb.config import Settings

    return chromadb.PersistentClient(folder, settings=Settings(anonymized_telemetry=False))


def store_of(client: Any, tenant_id: str | None = "acme-corp", model: Model | None = None) -> KnowledgeStore:
    return KnowledgeStore(client, TenantNames(tenant_id), model=model)


def new(document_id: str, content: str, **metadata: str | int) -> NewDocument:
    return NewDocument(document_id, content, VECTOR, metadata)


async def ids(store: KnowledgeStore, text: str) -> list[str]:
    return [hit.document_id for hit in (await store.search(text)).hits]


def collection(client: Any, name: str, *, made_by: Any = None) -> Any:
    """Return a collection as somebody else makes it, who embeds with `made_by`; by default as Chroma does."""
    from chromadb.api.types import DefaultEmbeddingFunction

    configuration = {"embedding_function": made_by or DefaultEmbeddingFunction()}
    return client.get_or_create_collection(name, configuration=configuration, embedding_function=NoEmbedding())


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
