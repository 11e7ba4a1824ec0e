"""What a search of the knowledge store asks each of a tenant's collections, and how the answers become one list.

Documents that hold every word come first, by collection; those that hold not all but come near in meaning follow, the
nearest first. Nearness is the cosine of two vectors, computed here, whatever distance a collection was made with.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hitl_desktop.services.documents import KnowledgeDocument, KnowledgeHit, documents_of, hit_of, is_encodable

SEARCHED_LENGTH = 1_000
"""Characters of a search text that are looked at; Chroma fails on patterns of a hundred times that length."""
NEAR = 0.3
"""The cosine from which on a document's meaning counts as near: the model gives unrelated texts about 0.1."""
OTHER_MODEL = "the documents were embedded by another model"
_DEFAULT_FUNCTIONS = frozenset({"default", "onnx_mini_lm_l6_v2"})


@dataclass(frozen=True, slots=True)
class KnowledgeResults:
    """What a search found; `keyword_only` is empty, or the clause that says why meaning was not looked at."""

    hits: tuple[KnowledgeHit, ...] = ()
    keyword_only: str = ""


class Search:
    """One search for `words`, as it goes from collection to collection. `vector` is their meaning, None if unknown."""

    def __init__(self, words: Sequence[str], limit: int, vector: Sequence[float] | None, why_not: str) -> None:
        self._condition = _condition(words)
        self._first = re.compile("|".join(re.escape(word) for word in words), re.IGNORECASE)
        self._limit = limit
        self._vector = vector
        self._why_not = why_not
        self._with_words: list[KnowledgeDocument] = []
        self._near: list[tuple[float, KnowledgeDocument]] = []
        self._compared: set[bool] = set()

    def ask(self, base: str, collection: Any) -> None:
        """Ask one collection, chromadb's, unless enough is found already. Blocks."""
        if (room := self._limit - len(self._with_words)) <= 0:
            return
        self._with_words.extend(documents_of(base, collection.get(where_document=self._condition, limit=room)))
        if self._vector is not None:
            self._compared.add(self._compare(base, collection, self._vector))

    def results(self) -> KnowledgeResults:
        """Return what was found."""
        hits = [hit_of(document, self._first) for document in self._with_words]
        found = {(hit.collection, hit.document_id) for hit in hits}
        for _, document in sorted(self._near, key=lambda entry: -entry[0]):
            if (document.collection, document.document_id) not in found:
                hits.append(hit_of(document, self._first, by_meaning=True))
        return KnowledgeResults(tuple(hits[: self._limit]), OTHER_MODEL if self._compared == {False} else self._why_not)

    def _compare(self, base: str, collection: Any, vector: Sequence[float]) -> bool:
        """Look for what is near; return whether the collection's vectors are the same model's at all."""
        from chromadb.errors import InvalidArgumentError

        if _made_by(collection) not in _DEFAULT_FUNCTIONS:
            return False
        wanted = ["documents", "metadatas", "embeddings"]
        try:
            answer = collection.query(query_embeddings=[list(vector)], n_results=self._limit, include=wanted)
        except InvalidArgumentError:  # go on: its vectors have another length, whatever it records
            return False
        rows = {field: answer[field][0] for field in ("ids", *wanted)}
        for document, embedding in zip(documents_of(base, rows), rows["embeddings"], strict=True):
            if (nearness := _cosine(vector, [float(number) for number in embedding])) >= NEAR:
                self._near.append((nearness, document))
        return True


def words_of(text: str) -> tuple[str, ...]:
    """Return the words to search for; none where no document can match, as no document holds half a character."""
    return tuple(dict.fromkeys(text[:SEARCHED_LENGTH].split())) if is_encodable(text) else ()


def _condition(words: Sequence[str]) -> dict[str, Any]:
    """Return Chroma's filter for documents with all `words`; its $contains heeds the case, so each is a $regex.

    All that Python escapes, Chroma's engine (Rust's regex crate) takes for the character itself.
    """
    conditions = [{"$regex": f"(?i){re.escape(word)}"} for word in words]
    return conditions[0] if len(conditions) == 1 else {"$and": conditions}


def _made_by(collection: Any) -> object:
    """Return the name of the embedding function that the collection records; None where it records none."""
    recorded = collection.configuration_json.get("embedding_function")
    return recorded.get("name") if isinstance(recorded, Mapping) else None


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    lengths = math.hypot(*one) * math.hypot(*other)
    return sum(a * b for a, b in zip(one, other, strict=True)) / lengths if lengths else 0.0
