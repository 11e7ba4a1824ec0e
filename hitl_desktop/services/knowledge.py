"""The documents that agents left in one tenant's Chroma collections: keyword search and reading.

Nothing here embeds text, so nothing downloads a model, and reading never creates a collection.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeVar
from unicodedata import category

from hitl_desktop.services.chroma import ANSWER_WITHIN, Chroma, NoEmbedding, ask, connect_chroma
from hitl_desktop.services.errors import Conflict, NotFound, Refused
from hitl_desktop.tenancy import TenantNames, require_tenant
from hitl_desktop.tenancy.naming import unprefixed

__all__ = ["KnowledgeDocument", "KnowledgeHit", "KnowledgeStore", "NewDocument", "connect_chroma"]

DIMENSIONS = 384
"""Length of an embedding: that of all-MiniLM-L6-v2, with which the orchestrator writes (wire.md, Chroma)."""
EXCERPT_LENGTH = 240
SEARCHED_LENGTH = 1_000
"""Characters of a search text that are looked at; Chroma fails on patterns of a hundred times that length."""
_TITLE_LENGTH = 120
_BEFORE_MATCH = 80

_Answer = TypeVar("_Answer")

Metadata = Mapping[str, str | int | float | bool]


@dataclass(frozen=True, slots=True)
class KnowledgeDocument:
    """A document as an agent wrote it: hostile text, also in title, path and metadata.

    `collection` is the base name, without the tenant; `path` is empty where the metadata names none.
    """

    document_id: str
    collection: str
    title: str
    path: str
    content: str
    metadata: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class KnowledgeHit(KnowledgeDocument):
    """A document that matches; `excerpt` is one printable line around the first match, at most 240 characters."""

    excerpt: str


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A document to write, with its embedding of 384 numbers."""

    document_id: str
    content: str
    embedding: Sequence[float]
    metadata: Metadata = field(default_factory=dict)


class KnowledgeStore:
    """The knowledge of the tenant that `names` was made for, in the collections of `bases` and no others."""

    def __init__(
        self,
        client: Chroma,
        names: TenantNames,
        bases: Sequence[str] = ("asdlc_documents", "asdlc_specs"),
        *,
        within: float = ANSWER_WITHIN,
    ) -> None:
        self._client = client
        self._names = names
        self._bases = tuple(dict.fromkeys(bases))
        self._within = within

    async def search(self, text: str, limit: int = 20) -> tuple[KnowledgeHit, ...]:
        """Return up to `limit` documents that contain every word of `text`, in any case and order.

        Every character counts as itself, there are no wildcards. Collections that are absent contain nothing.

        Raises:
            ServiceError: the store is unavailable, refuses, or cannot be read.
        """
        require_tenant(self._names.tenant_id)
        words = _words(text)
        if not words or limit < 1:
            return ()
        condition = _condition(words)

        first = re.compile("|".join(re.escape(word) for word in words), re.IGNORECASE)

        def find() -> tuple[KnowledgeHit, ...]:
            found: list[KnowledgeDocument] = []
            for base in self._bases:
                if (room := limit - len(found)) > 0:
                    found.extend(self._read(base, where_document=condition, limit=room))
            return tuple(_hit(document, first) for document in found)

        return await self._ask(find)

    async def document(self, collection_base: str, document_id: str) -> KnowledgeDocument:
        """Return one document.

        Raises:
            NotFound: there is no such document, or the collection is none of this tenant's.
            ServiceError: as for `search`.
        """
        require_tenant(self._names.tenant_id)

        if collection_base in self._bases and _is_encodable(document_id):
            for document in await self._ask(lambda: self._read(collection_base, ids=[document_id])):
                return document
        raise NotFound("This document is not in the knowledge store; decisions are not affected, search for it again.")

    async def put(self, base: str, documents: Sequence[NewDocument]) -> None:
        """Write `documents` into the collection of `base`, creating it where absent; a same id is replaced.

        Raises:
            ValueError: `base` is none of this store's, or an embedding is not 384 numbers long.
            ServiceError: as for `search`.
        """
        require_tenant(self._names.tenant_id)
        if base not in self._bases:
            raise ValueError(f"{base!r} is none of this store's collections {self._bases}")
        if any(len(document.embedding) != DIMENSIONS for document in documents):
            raise ValueError(f"an embedding has {DIMENSIONS} numbers")

        def write() -> None:
            self._created(base).upsert(
                ids=[document.document_id for document in documents],
                documents=[document.content for document in documents],
                embeddings=[list(document.embedding) for document in documents],
                metadatas=[dict(document.metadata) or None for document in documents],
            )

        if documents:
            await self._ask(write)

    async def probe(self) -> str:
        """Return the store's version, once it has shown that it is alive.

        Raises:
            ServiceError: as for `search`.
        """
        require_tenant(self._names.tenant_id)

        def check() -> str:
            self._client.heartbeat()
            return str(self._client.get_version())

        return await self._ask(check)

    async def stray_collections(self) -> tuple[str, ...]:
        """Return the unprefixed collections of this store's bases, found beside a tenant's; none in single-tenant mode.

        Raises:
            ServiceError: as for `search`.
        """
        require_tenant(self._names.tenant_id)
        if self._names.tenant_id is None:
            return ()
        try:
            return await self._ask(lambda: tuple(base for base in self._bases if self._opened(unprefixed(base))))
        except Refused:  # drop: a tenant may not look there, and then nothing of ours reads it either
            return ()

    async def adopt(self, *, execute: bool) -> dict[str, int]:
        """Give this tenant the collections of its bases that single-tenant mode left, by renaming them.

        Renaming is one step of the store's: nothing is copied, and nothing can be lost half-way.

        Args:
            execute: whether to do it; otherwise it is only looked at.

        Returns:
            How many documents each of them holds, by base.

        Raises:
            Conflict: the tenant has a collection of that base already; none is renamed.
            ServiceError: as for `search`.
        """
        require_tenant(self._names.tenant_id)

        def rename() -> dict[str, int]:
            left = {base: found for base in self._bases if (found := self._opened(unprefixed(base))) is not None}
            taken = [base for base in left if self._opened(self._names.collection(base)) is not None]
            if taken:
                both = f"The tenant has a collection {taken[0]!r} of its own beside the unprefixed one"
                raise Conflict(f"{both}, so none was renamed; settle by hand which one holds.")
            counts = {base: found.count() for base, found in left.items()}
            if execute:
                for base, found in left.items():
                    found.modify(name=self._names.collection(base))
            return counts

        return await self._ask(rename)

    async def _ask(self, call: Callable[[], _Answer]) -> _Answer:
        return await ask(call, within=self._within)

    def _read(self, base: str, **selected: Any) -> list[KnowledgeDocument]:
        """Return the documents `selected` as chromadb's get() takes it. Blocks, as `_created` does."""
        collection = self._opened(self._names.collection(base))
        return [] if collection is None else _documents(base, collection.get(**selected))

    def _opened(self, name: str) -> Any:
        """Return the collection, or None if it is absent. Blocks."""
        from chromadb.errors import NotFoundError

        try:
            return self._client.get_collection(name, embedding_function=NoEmbedding())
        except NotFoundError:
            return None

    def _created(self, base: str) -> Any:
        from chromadb.api.types import DefaultEmbeddingFunction

        # The collection records the default function, as the orchestrator's do; making one does not load its model.
        return self._client.get_or_create_collection(
            self._names.collection(base),
            configuration={"embedding_function": DefaultEmbeddingFunction()},
            embedding_function=NoEmbedding(),
        )


def _words(text: str) -> tuple[str, ...]:
    """Return the words to search for; none where no document can match, as no document holds half a character."""
    return tuple(dict.fromkeys(text[:SEARCHED_LENGTH].split())) if _is_encodable(text) else ()


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _condition(words: Sequence[str]) -> dict[str, Any]:
    """Return Chroma's filter for documents with all `words`; its $contains heeds the case, so each is a $regex.

    All that Python escapes, Chroma's engine (Rust's regex crate) takes for the character itself.
    """
    conditions = [{"$regex": f"(?i){re.escape(word)}"} for word in words]
    return conditions[0] if len(conditions) == 1 else {"$and": conditions}


def _documents(base: str, answer: Mapping[str, Any]) -> list[KnowledgeDocument]:
    metadatas = answer["metadatas"] or [None] * len(answer["ids"])
    contents = answer["documents"] or [None] * len(answer["ids"])
    return [
        _document(base, document_id, content or "", metadata or {})
        for document_id, content, metadata in zip(answer["ids"], contents, metadatas, strict=True)
    ]


def _document(base: str, document_id: str, content: str, metadata: Mapping[str, object]) -> KnowledgeDocument:
    title = _printable(_named(metadata, "title", "path", "source")) or _printable(document_id)
    return KnowledgeDocument(
        document_id=document_id,
        collection=base,
        title=_shortened(title, _TITLE_LENGTH),
        path=_named(metadata, "path", "source"),
        content=content,
        metadata=MappingProxyType(dict(metadata)),
    )


def _named(metadata: Mapping[str, object], *names: str) -> str:
    return next((value for name in names if isinstance(value := metadata.get(name), str) and value.strip()), "")


def _hit(document: KnowledgeDocument, first: re.Pattern[str]) -> KnowledgeHit:
    match = first.search(document.content)
    start = max(0, match.start() - _BEFORE_MATCH) if match else 0
    # Some characters vanish, and a run of spaces becomes one: what is shown needs more than its own length.
    piece = _printable(document.content[start : start + 4 * EXCERPT_LENGTH])
    excerpt = _shortened(f"…{piece}" if start else piece, EXCERPT_LENGTH)
    return KnowledgeHit(
        document_id=document.document_id,
        collection=document.collection,
        title=document.title,
        path=document.path,
        content=document.content,
        metadata=document.metadata,
        excerpt=excerpt,
    )


def _printable(text: str) -> str:
    """Return `text` as one line without control characters and without those that reorder or hide others."""
    visible = (c if c.isprintable() else "" if category(c) == "Cf" else " " for c in text)
    return " ".join("".join(visible).split())


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1].rstrip()}…"
