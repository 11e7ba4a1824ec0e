"""Chroma in this process's memory, in the shape that is used of chromadb's clients (`Chroma`): the third kind of store.

For where no Chroma runs: tests of other code, and demonstrations. Nothing is written to disk and nothing is sent.
"""

import math
import re
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_IGNORING_CASE = "(?i)"
# Two code points for one letter each, whose full folding is several characters and hides that they are the same.
_ALIKE = {"\u1fd3": "\u0390", "\u1fe3": "\u03b0", "\ufb05": "\ufb06"}


@dataclass(frozen=True, slots=True)
class _Record:
    document: str | None
    metadata: Mapping[str, Any] | None
    embedding: tuple[float, ...]


class MemoryChroma:
    """A client that is its own server. Its calls may come from any thread."""

    def __init__(self) -> None:
        self._collections: dict[str, MemoryCollection] = {}
        self._lock = threading.RLock()

    def get_collection(self, name: str, embedding_function: Any) -> "MemoryCollection":
        """Return a collection.

        Raises:
            NotFoundError: chromadb's, as its clients raise it: there is none of this name.
        """
        from chromadb.errors import NotFoundError

        with self._lock:
            if name not in self._collections:
                raise NotFoundError(f"Collection [{name}] does not exist")
            return self._collections[name].opened_with(embedding_function)

    def get_or_create_collection(
        self, name: str, *, configuration: Mapping[str, Any] | None = None, embedding_function: Any
    ) -> "MemoryCollection":
        """Return a collection, made if there is none; it records whose embedding function it was made with."""
        recorded = (configuration or {}).get("embedding_function", embedding_function)
        with self._lock:
            if name not in self._collections:
                self._collections[name] = MemoryCollection(self, name, {}, recorded.name(), embedding_function)
            return self._collections[name].opened_with(embedding_function)

    def list_collections(self) -> list["MemoryCollection"]:
        """Return all collections."""
        with self._lock:
            return list(self._collections.values())

    def delete_collection(self, name: str) -> None:
        """Delete a collection with all that is in it."""
        with self._lock:
            del self._collections[name]

    def rename(self, old: str, new: str) -> None:
        """Give a collection another name; `MemoryCollection.modify` is for callers.

        Raises:
            InternalError: chromadb's: there is one of that name.
        """
        from chromadb.errors import InternalError

        with self._lock:
            if new in self._collections:
                raise InternalError(f"Collection [{new}] already exists")
            self._collections[new] = self._collections.pop(old).renamed(new)

    def get_version(self) -> str:
        """Return that of chromadb, whose shape this has."""
        import chromadb

        return chromadb.__version__

    def heartbeat(self) -> int:
        """Return the time in nanoseconds since the epoch."""
        return time.time_ns()

    def close(self) -> None:
        """Nothing is open."""


class MemoryCollection:
    """A collection as one caller opened it; all of the same name hold the same records, in their order of arrival."""

    def __init__(
        self, client: MemoryChroma, name: str, records: dict[str, _Record], made_by: str, embedding_function: Any
    ) -> None:
        self._client = client
        self._records = records
        self._made_by = made_by
        self._embed = embedding_function
        self.name = name

    @property
    def configuration_json(self) -> dict[str, Any]:
        """What the collection records of itself: the name of the embedding function that it was made with."""
        return {"embedding_function": {"type": "known", "name": self._made_by, "config": {}}}

    def opened_with(self, embedding_function: Any) -> "MemoryCollection":
        """Return the same collection for a caller with another embedding function."""
        return MemoryCollection(self._client, self.name, self._records, self._made_by, embedding_function)

    def renamed(self, name: str) -> "MemoryCollection":
        """Return the same collection under another name."""
        return MemoryCollection(self._client, name, self._records, self._made_by, self._embed)

    def modify(self, *, name: str) -> None:
        """Rename the collection."""
        self._client.rename(self.name, name)
        self.name = name

    def count(self) -> int:
        """Return how many records there are."""
        return len(self._records)

    def upsert(
        self,
        *,
        ids: Sequence[str],
        documents: Sequence[str | None],
        embeddings: Sequence[Sequence[float]] | None = None,
        metadatas: Sequence[Mapping[str, Any] | None] | None = None,
    ) -> None:
        """Write records; one with the same id is replaced, in its place.

        Raises:
            InvalidArgumentError: chromadb's: an id is empty, or an embedding's length is not that of the others.
        """
        from chromadb.errors import InvalidArgumentError

        if not all(ids):
            raise InvalidArgumentError("Empty ID, ID must have at least one character")
        vectors = [tuple(one) for one in (self._embed(documents) if embeddings is None else embeddings)]
        self._check_lengths(vectors)
        rows = zip(ids, documents, metadatas or [None] * len(ids), vectors, strict=True)
        fresh = {one: _Record(document, metadata, vector) for one, document, metadata, vector in rows}
        with self._client._lock:  # noqa: SLF001 - the client's own part
            self._records.update(fresh)

    def get(
        self,
        *,
        ids: Sequence[str] | None = None,
        where_document: Mapping[str, Any] | None = None,
        limit: int | None = None,
    ) -> dict[str, Any]:
        """Return up to `limit` records that have one of `ids` and whose document fits, in their order of arrival."""
        found = [
            (one, record)
            for one, record in self._snapshot()
            if (ids is None or one in ids) and (where_document is None or _fits(record.document, where_document))
        ][:limit]
        return {
            "ids": [one for one, _ in found],
            "documents": [record.document for _, record in found],
            "metadatas": [record.metadata for _, record in found],
        }

    def query(
        self, *, query_embeddings: Sequence[Sequence[float]], n_results: int, include: Sequence[str]
    ) -> dict[str, Any]:
        """Return, for each of `query_embeddings`, the `n_results` records that are nearest, the nearest first.

        Raises:
            InvalidArgumentError: chromadb's: an embedding has not the length of those that are there.
        """
        self._check_lengths(query_embeddings)
        records = self._snapshot()
        ranked = [
            sorted(records, key=lambda entry: math.dist(entry[1].embedding, wanted))[:n_results]
            for wanted in query_embeddings
        ]
        fields = {
            "documents": [[record.document for _, record in found] for found in ranked],
            "metadatas": [[record.metadata for _, record in found] for found in ranked],
            "embeddings": [[record.embedding for _, record in found] for found in ranked],
        }
        kept = {field: value if field in include else None for field, value in fields.items()}
        return {"ids": [[one for one, _ in found] for found in ranked], **kept}

    def _snapshot(self) -> list[tuple[str, _Record]]:
        with self._client._lock:  # noqa: SLF001 - the client's own part
            return list(self._records.items())

    def _check_lengths(self, vectors: Iterable[Sequence[float]]) -> None:
        from chromadb.errors import InvalidArgumentError

        expected = {len(record.embedding) for _, record in self._snapshot()[:1]}
        if len(expected | {len(one) for one in vectors}) > 1:
            raise InvalidArgumentError(f"Collection expecting embedding with dimension of {sorted(expected)}")


def _fits(document: str | None, condition: Mapping[str, Any]) -> bool:
    """Whether `document` meets a filter of $and and $regex, the only ones that are taken."""
    if "$and" in condition:
        return all(_fits(document, part) for part in condition["$and"])
    pattern: str = condition["$regex"]
    if document is None:
        return False
    if not pattern.startswith(_IGNORING_CASE):
        return re.search(pattern, document) is not None
    return re.search(_folded(pattern.removeprefix(_IGNORING_CASE)), _folded(document)) is not None


def _folded(text: str) -> str:
    """Return `text` without case, character by character: Unicode's simple folding, as Chroma's engine has it.

    Python's own re.IGNORECASE takes the Turkish letters (U+0130, U+0131) for an i.
    """
    return "".join(map(_folded_character, text))


def _folded_character(char: str) -> str:
    if char in _ALIKE:
        return _ALIKE[char]
    return next((one for one in (char.casefold(), char.lower()) if len(one) == 1), char)
