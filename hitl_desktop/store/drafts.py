"""What a reviewer has written and seen so far, gate by gate: it outlives a crash."""

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from hitl_desktop.domain.decision import Draft
from hitl_desktop.store.database import storable, transaction

if TYPE_CHECKING:  # only the store's thread needs it
    import apsw

DRAFT_KEPT = 30 * 86_400.0
"""Seconds for which a draft outlives its gate: one that is away for a while may come back."""
_drafts = msgspec.msgpack.Decoder(Draft)
_pack = msgspec.msgpack.Encoder().encode


class Drafts:
    """Drafts and marks of what was viewed."""

    def __init__(self, connection: "apsw.Connection") -> None:
        self._connection = connection

    def keep(self, drafts: Mapping[str, Draft]) -> None:
        """Keep what is written about each gate; an empty draft is forgotten."""
        with transaction(self._connection, durable=True):
            for request_id, draft in drafts.items():
                if draft == Draft():
                    self._connection.execute("DELETE FROM drafts WHERE request_id = ?", (request_id,))
                else:
                    self._connection.execute(
                        "INSERT OR REPLACE INTO drafts VALUES (?, ?, ?)",
                        (request_id, _pack(_storable(draft)), time.time()),
                    )

    def all(self) -> dict[str, Draft]:
        """Return every draft by its gate; one that cannot be read is left out."""
        found = {}
        for request_id, body in self._connection.execute("SELECT request_id, body FROM drafts"):
            try:
                found[request_id] = _drafts.decode(body)
            except (msgspec.MsgspecError, TypeError, RecursionError):  # go on: the others can be read
                continue
        return found

    def mark_viewed(self, request_id: str, bundle_id: str, item: int) -> None:
        """Note that one piece of a gate's evidence was seen."""
        with transaction(self._connection):
            self._connection.execute("INSERT OR IGNORE INTO viewed VALUES (?, ?, ?)", (request_id, bundle_id, item))

    def viewed(self) -> dict[tuple[str, str], set[int]]:
        """Return which pieces were seen, by gate and bundle."""
        found: dict[tuple[str, str], set[int]] = {}
        for request_id, bundle_id, item in self._connection.execute("SELECT request_id, bundle_id, item FROM viewed"):
            found.setdefault((request_id, bundle_id), set()).add(item)
        return found

    def forget_old(self, now: float) -> None:
        """Forget drafts, long after, whose gates are no longer kept."""
        with transaction(self._connection):
            self._connection.execute(
                "DELETE FROM drafts WHERE saved_at < ? AND request_id NOT IN (SELECT request_id FROM gates)",
                (now - DRAFT_KEPT,),
            )

    def forget_marks(self) -> None:
        """Forget what was viewed of gates that are not kept: right only once all gates that wait are."""
        with transaction(self._connection):
            self._connection.execute(
                "DELETE FROM viewed WHERE request_id NOT IN (SELECT request_id FROM gates) "
                "AND request_id NOT IN (SELECT request_id FROM drafts)"
            )


def _storable(draft: Draft) -> Draft:
    return replace(draft, reason=storable(draft.reason), conditions=tuple(map(storable, draft.conditions)))
