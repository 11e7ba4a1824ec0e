"""Evidence of one tenant kept for work without a network: whole bundles, contents by digest, and an index of words."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgpack

from hitl_desktop.store.database import first_row, storable, transaction

if TYPE_CHECKING:  # only the store's thread needs it
    import apsw

_INDEXED = 200_000
"""Characters of one gate's evidence that are indexed."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A bundle as it is kept: its fields, its digest, and the contents that were found elsewhere, by position."""

    fields: dict[bytes, bytes]
    digest: str
    contents: Mapping[int, bytes]


@dataclass(frozen=True, slots=True)
class Found:
    """One gate whose summary or evidence holds the words searched for."""

    request_id: str
    title: str
    excerpt: str


class EvidenceCache:
    """The kept evidence. What a decision on its way refers to is never evicted."""

    def __init__(self, connection: "apsw.Connection") -> None:
        self._connection = connection

    def put(self, request_id: str, bundle_id: str, kept: Kept, title: str, texts: Sequence[str]) -> None:
        """Keep a gate's bundle in place of an older one; `texts` are what can be searched."""
        size = sum(len(name) + len(value) for name, value in kept.fields.items())
        size += sum(len(content) for content in kept.contents.values())
        with transaction(self._connection):
            self._drop(request_id)
            self._connection.execute(
                "INSERT INTO bundles VALUES (?, ?, ?, ?, ?, ?)",
                (request_id, bundle_id, kept.digest, msgpack.packb(kept.fields), size, time.time()),
            )
            for position, content in kept.contents.items():
                digest = sha256(content).hexdigest()
                self._connection.execute("INSERT OR IGNORE INTO contents VALUES (?, ?)", (digest, content))
                self._connection.execute("INSERT INTO pieces VALUES (?, ?, ?)", (request_id, position, digest))
            body = "\n".join(texts)[:_INDEXED]
            self._connection.execute(
                "INSERT INTO words(rowid, request_id, title, body) "
                "SELECT rowid, request_id, ?, ? FROM bundles WHERE request_id = ?",
                (storable(title), storable(body), request_id),
            )

    def find(self, request_id: str) -> Kept | None:
        """Return a gate's bundle; None if it is not kept."""
        row = first_row(self._connection, "SELECT fields, digest FROM bundles WHERE request_id = ?", (request_id,))
        if row is None:
            return None
        contents = dict(
            self._connection.execute(
                "SELECT position, content FROM pieces JOIN contents USING (digest) WHERE request_id = ?", (request_id,)
            )
        )
        return Kept(msgpack.unpackb(row[0]), row[1], contents)

    def bundle_ids(self) -> dict[str, str]:
        """Return which bundle is kept for each gate: request id to bundle id."""
        return dict(self._connection.execute("SELECT request_id, bundle_id FROM bundles"))

    def size(self) -> int:
        """Return how many bytes of evidence are kept."""
        (size,) = self._connection.execute("SELECT coalesce(sum(size), 0) FROM bundles").fetchall()[0]
        return int(size)  # type: ignore[arg-type]  # SQLite's sum of integers

    def evict(self, limit: int, wanted: Sequence[str]) -> None:
        """Make room until at most `limit` bytes are kept: first what is not `wanted`, oldest first, then its end.

        Args:
            limit: bytes.
            wanted: request ids, the most wanted first.
        """
        rank = {request_id: place for place, request_id in enumerate(wanted)}
        with transaction(self._connection):
            excess = self.size() - limit
            if excess <= 0:
                return
            rows: list[Any] = self._connection.execute(
                "SELECT request_id, size, kept_at FROM bundles WHERE request_id NOT IN "
                "(SELECT request_id FROM outbox WHERE state <> 'delivered') "
                "AND request_id NOT IN (SELECT request_id FROM drafts)"
            ).fetchall()
            rows.sort(key=lambda row: (row[0] in rank, -rank.get(row[0], 0), row[2]))
            for request_id, size, _ in rows:
                if excess <= 0:
                    break
                self._drop(request_id)
                excess -= size

    def search(self, text: str, limit: int = 20) -> tuple[Found, ...]:
        """Return gates whose kept evidence holds every word of `text`, best first."""
        # A NUL would end the query; quoted, nothing else in it is an operator.
        words = [
            f'"{word.replace(chr(34), chr(34) * 2)}"*' for word in storable(text[:1_000].replace("\0", " ")).split()
        ]
        if not words:
            return ()
        rows = self._connection.execute(
            "SELECT request_id, title, snippet(words, 2, '', '', '…', 24) FROM words WHERE words MATCH ? "
            "ORDER BY rank LIMIT ?",
            (" ".join(words), limit),
        )
        return tuple(Found(*row) for row in rows)

    def _drop(self, request_id: str) -> None:
        for statement in (
            "DELETE FROM words WHERE rowid = (SELECT rowid FROM bundles WHERE request_id = ?1)",
            """DELETE FROM contents WHERE digest IN (SELECT digest FROM pieces WHERE request_id = ?1)
            AND digest NOT IN (SELECT digest FROM pieces WHERE request_id <> ?1)""",
            "DELETE FROM bundles WHERE request_id = ?1",
        ):
            self._connection.execute(statement, (request_id,))
