"""A document of the knowledge store: what Chroma says of it, and what of it may be shown on one line."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from unicodedata import category

EXCERPT_LENGTH = 240
_TITLE_LENGTH = 120
_BEFORE_MATCH = 80

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
    """A document that was found; `excerpt` is one printable line around the first match, at most 240 characters.

    `by_meaning` is for one that comes near what was searched for without holding all its words.
    """

    excerpt: str
    by_meaning: bool = False


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A document to write, with its embedding of 384 numbers."""

    document_id: str
    content: str
    embedding: Sequence[float]
    metadata: Metadata = field(default_factory=dict)


def is_encodable(text: str) -> bool:
    """Whether a document can hold `text`, which half a character prevents."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def documents_of(base: str, answer: Mapping[str, Any]) -> list[KnowledgeDocument]:
    """Return the documents in an answer of chromadb's get()."""
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


def hit_of(document: KnowledgeDocument, first: re.Pattern[str], *, by_meaning: bool = False) -> KnowledgeHit:
    """Return `document` with its excerpt, around the first match of `first`."""
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
        by_meaning=by_meaning,
    )


def _printable(text: str) -> str:
    """Return `text` as one line without control characters and without those that reorder or hide others."""
    visible = (c if c.isprintable() else "" if category(c) == "Cf" else " " for c in text)
    return " ".join("".join(visible).split())


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1].rstrip()}…"
