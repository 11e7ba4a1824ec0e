"""The documents that agents left in one tenant's Chroma collections: search by words and by meaning, and reading.

Chroma is never left to embed text, so nothing downloads a model, and reading never creates a collection.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

from hitl_desktop.services.chroma import ANSWER_WITHIN, Chroma, NoEmbedding, ask, connect_chroma
from hitl_desktop.services.documents import KnowledgeDocument, KnowledgeHit, NewDocument, documents_of, is_encodable
from hitl_desktop.services.errors import Conflict, NotFound, Refused
from hitl_desktop.services.meaning import Model, NoModelError, local_model
from hitl_desktop.services.searching import KnowledgeResults, Search, words_of
from hitl_desktop.tenancy import TenantNames, require_tenant
from hitl_desktop.tenancy.naming import unprefixed

__all__ = ["KnowledgeDocument", "KnowledgeHit", "KnowledgeResults", "KnowledgeStore", "NewDocument", "connect_chroma"]

DIMENSIONS = 384
"""Length of an embedding: that of all-MiniLM-L6-v2, with which the orchestrator writes (wire.md, Chroma)."""

_AT_ONCE = 1_000

_Answer = TypeVar("_Answer")


class KnowledgeStore:
    """The knowledge of the tenant that `names` was made for, in the collections of `bases` and no others.

    Args:
        client: an embedded one, one over HTTP, or one in memory.
        names: those of the tenant.
        bases: the collections, without the tenant.
        model: for searching by meaning; None takes the one on this machine's disk, if it is there.
        within: the seconds in which the store must answer.
    """

    def __init__(
        self,
        client: Chroma,
        names: TenantNames,
        bases: Sequence[str] = ("asdlc_documents", "asdlc_specs"),
        *,
        model: Model | None = None,
        within: float = ANSWER_WITHIN,
    ) -> None:
        self._client = client
        self._names = names
        self._bases = tuple(dict.fromkeys(bases))
        self._model = model or local_model()
        self._within = within

    async def search(self, text: str, limit: int = 20) -> KnowledgeResults:
        """Return up to `limit` documents that contain every word of `text`, in any case and order, then those near it.

        Every character counts as itself, there are no wildcards. Collections that are absent contain nothing. Without a
        model, or where the collections are another model's, only words are looked for, and the results say so.

        Raises:
            ServiceError: the store is unavailable, refuses, or cannot be read.
        """
        require_tenant(self._names.tenant_id)
        words = words_of(text)
        if not words or limit < 1:
            return KnowledgeResults()
        vector, why_not = await asyncio.to_thread(self._embedded, " ".join(words))

        def find() -> KnowledgeResults:
            search = Search(words, limit, vector, why_not)
            for base, collection in self._all_opened():
                search.ask(base, collection)
            return search.results()

        return await self._ask(find)

    async def document(self, collection_base: str, document_id: str) -> KnowledgeDocument:
        """Return one document.

        Raises:
            NotFound: there is no such document, or the collection is none of this tenant's.
            ServiceError: as for `search`.
        """
        require_tenant(self._names.tenant_id)

        if collection_base in self._bases and is_encodable(document_id):
            for document in await self._ask(lambda: self._read(collection_base, ids=[document_id])):
                return document
        raise NotFound("This document is not in the knowledge store; decisions are not affected, search for it again.")

    async def put(self, base: str, documents: Sequence[NewDocument]) -> None:
        """Write `documents` into the collection of `base`, creating it where absent; a same id is replaced.

        They are written by the thousand, as Chroma takes some thousands at once; each part is written whole or not.

        Raises:
            ValueError: `base` is none of this store's, or an embedding is not 384 numbers long.
            ServiceError: as for `search`.
        """
        require_tenant(self._names.tenant_id)
        if base not in self._bases:
            raise ValueError(f"{base!r} is none of this store's collections {self._bases}")
        if any(len(document.embedding) != DIMENSIONS for document in documents):
            raise ValueError(f"an embedding has {DIMENSIONS} numbers")

        last = tuple({document.document_id: document for document in documents}.values())
        for start in range(0, len(last), _AT_ONCE):
            await self._ask(partial(self._write, base, last[start : start + _AT_ONCE]))

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

    async def keyword_only(self) -> str:
        """Return the clause that says why searches look for words alone; empty where a model is there for more."""
        require_tenant(self._names.tenant_id)
        return (await asyncio.to_thread(self._embedded, "meaning"))[1]

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

    def _embedded(self, text: str) -> tuple[Sequence[float] | None, str]:
        """Return the meaning of `text`, or None and why it is not known. Blocks, as the following do."""
        try:
            return self._model.embed(text), ""
        except NoModelError as error:
            return None, str(error)

    def _all_opened(self) -> Iterator[tuple[str, Any]]:
        for base in self._bases:
            if (collection := self._opened(self._names.collection(base))) is not None:
                yield base, collection

    def _read(self, base: str, **selected: Any) -> list[KnowledgeDocument]:
        """Return the documents `selected` as chromadb's get() takes it."""
        collection = self._opened(self._names.collection(base))
        return [] if collection is None else documents_of(base, collection.get(**selected))

    def _write(self, base: str, documents: Sequence[NewDocument]) -> None:
        self._created(base).upsert(
            ids=[document.document_id for document in documents],
            documents=[document.content for document in documents],
            embeddings=[list(document.embedding) for document in documents],
            metadatas=[dict(document.metadata) or None for document in documents],
        )

    def _opened(self, name: str) -> Any:
        """Return the collection, or None if it is absent."""
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
