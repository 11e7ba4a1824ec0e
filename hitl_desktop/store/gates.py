"""The gates of one tenant as the server last told them: for a list that opens at once, and for work offline."""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hitl_desktop.domain.evidence import EvidenceBundle
from hitl_desktop.domain.gate import Gate, GateStatus
from hitl_desktop.domain.time import epoch
from hitl_desktop.store.database import first_row, transaction

if TYPE_CHECKING:  # only the store's thread needs it
    import apsw

DECIDED_KEPT = 1_000
"""How many decided gates are kept."""
_COLUMNS = (
    "request_id, task_id, session_id, gate_type, status, bundle_id, requested_by, requested_at, summary, expires_at, "
    "expires_text, decision_id, reviewer, reason, conditions, decided_at"
)
_PUT = f"INSERT OR REPLACE INTO gates({_COLUMNS}) VALUES ({', '.join('?' * 16)})"
_READ = f"SELECT {_COLUMNS} FROM gates"
_PAGE = (
    f"SELECT {_COLUMNS}, rowid FROM gates WHERE status = 'pending' AND (requested_at, rowid) > (?, ?) "
    "ORDER BY requested_at, rowid LIMIT ?"
)
_REQUESTED_AT = _COLUMNS.split(", ").index("requested_at")
_STATUSES = {status.value: status for status in GateStatus}


class GateCache:
    """The cached gates, listed: without their evidence. Rows change only when the server told so."""

    def __init__(self, connection: "apsw.Connection") -> None:
        self._connection = connection

    def put(self, gates: Iterable[Gate], gone: Iterable[str] = ()) -> None:
        """Keep `gates`, and forget those that are `gone`."""
        with transaction(self._connection):
            self._connection.executemany("DELETE FROM gates WHERE request_id = ?", ((name,) for name in gone))
            self._connection.executemany(_PUT, map(_row, gates))

    def pages(self, size: int) -> Iterator[list[Gate]]:
        """Yield all gates kept: those that wait first, longest waiting first, in pages of `size`.

        Each page is read as a whole: with a half-read one open, nothing could be written once another process has.
        """
        requested_at, rowid = -math.inf, 0
        while rows := list[Any](self._connection.execute(_PAGE, (requested_at, rowid, size))):
            requested_at, rowid = rows[-1][_REQUESTED_AT], rows[-1][-1]
            yield [_gate(row[:-1]) for row in rows]
        decided = self._connection.execute(f"{_READ} WHERE status <> 'pending' ORDER BY decided_at DESC").fetchall()
        for start in range(0, len(decided), size):
            yield [_gate(row) for row in decided[start : start + size]]

    def undecided(self, count: int) -> list[Gate]:
        """Return the gates that wait and have no decision in the outbox, longest waiting first, at most `count`."""
        rows = self._connection.execute(
            f"{_READ} WHERE status = 'pending' AND request_id NOT IN (SELECT request_id FROM outbox) "
            "ORDER BY requested_at LIMIT ?",
            (count,),
        )
        return [_gate(row) for row in rows]

    def find(self, request_id: str) -> Gate | None:
        """Return one gate; None if it is not kept."""
        row = first_row(self._connection, f"{_READ} WHERE request_id = ?", (request_id,))
        return None if row is None else _gate(row)

    def forget_old(self) -> None:
        """Forget all but the newest decided gates."""
        with transaction(self._connection):
            self._connection.execute(
                "DELETE FROM gates WHERE status <> 'pending' AND request_id NOT IN (SELECT request_id FROM gates "
                "WHERE status <> 'pending' ORDER BY decided_at DESC LIMIT ?)",
                (DECIDED_KEPT,),
            )


def listed(gate: Gate) -> Gate:
    """Return `gate` as a list has it: without its evidence."""
    return gate._replace(bundle=EvidenceBundle(gate.bundle.bundle_id, gate.bundle.summary, None, {}))


def _row(gate: Gate) -> tuple[Any, ...]:
    return (
        gate.request_id,
        gate.task_id,
        gate.session_id,
        gate.gate_type,
        gate.status.value,
        gate.evidence_bundle_id,
        gate.requested_by,
        epoch(gate.requested_at),
        gate.bundle.summary,
        None if gate.expires_at is None else epoch(gate.expires_at),
        gate.expires_text,
        gate.decision_id,
        gate.reviewer,
        gate.reason,
        json.dumps(gate.conditions) if gate.conditions else "",
        None if gate.decided_at is None else epoch(gate.decided_at),
    )


def _gate(row: Sequence[Any]) -> Gate:
    (
        request_id,
        task_id,
        session_id,
        gate_type,
        status,
        bundle_id,
        requested_by,
        requested_at,
        summary,
        expires_at,
        expires_text,
        decision_id,
        reviewer,
        reason,
        conditions,
        decided_at,
    ) = row
    return Gate(
        request_id,
        task_id,
        session_id,
        gate_type,
        _STATUSES[status],
        bundle_id,
        requested_by,
        _moment(requested_at),
        EvidenceBundle(bundle_id, summary, None, {}),
        None if expires_at is None else _moment(expires_at),
        expires_text,
        decision_id,
        reviewer,
        reason,
        tuple(json.loads(conditions)) if conditions else (),
        None if decided_at is None else _moment(decided_at),
    )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
