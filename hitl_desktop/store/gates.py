"""The gates of one tenant as the server last told them: for a list that opens at once, and for work offline."""

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from hitl_desktop.domain.evidence import EvidenceBundle
from hitl_desktop.domain.gate import Gate
from hitl_desktop.store.database import first_row, transaction
from hitl_desktop.store.gate_rows import COLUMNS, gate_of, row_of

if TYPE_CHECKING:  # only the store's thread needs it
    import apsw

DECIDED_KEPT = 1_000
"""How many decided gates are kept."""
_PUT = f"INSERT OR REPLACE INTO gates({COLUMNS}) VALUES ({', '.join('?' * 16)})"
_READ = f"SELECT {COLUMNS} FROM gates"
_PAGE = (
    f"SELECT {COLUMNS}, rowid FROM gates WHERE status = 'pending' AND (requested_at, rowid) > (?, ?) "
    "ORDER BY requested_at, rowid LIMIT ?"
)
_REQUESTED_AT = COLUMNS.split(", ").index("requested_at")


class GateCache:
    """The cached gates, listed: without their evidence. Rows change only when the server told so."""

    def __init__(self, connection: "apsw.Connection") -> None:
        self._connection = connection

    def put(self, gates: Iterable[Gate], gone: Iterable[str] = ()) -> None:
        """Keep `gates`, and forget those that are `gone`."""
        with transaction(self._connection):
            self._connection.executemany("DELETE FROM gates WHERE request_id = ?", ((name,) for name in gone))
            self._connection.executemany(_PUT, map(row_of, gates))

    def pages(self, size: int) -> Iterator[list[Gate]]:
        """Yield all gates kept: those that wait first, longest waiting first, in pages of at most `size`.

        A row that cannot be read is left out: its gate comes again from the server. Each page is read as a whole: with
        a half-read one open, nothing could be written once another process has.
        """
        requested_at, rowid = -math.inf, 0
        while rows := list[Any](self._connection.execute(_PAGE, (requested_at, rowid, size))):
            requested_at, rowid = rows[-1][_REQUESTED_AT], rows[-1][-1]
            if page := [gate for row in rows if (gate := gate_of(row[:-1])) is not None]:
                yield page
        decided = self._connection.execute(f"{_READ} WHERE status <> 'pending' ORDER BY decided_at DESC").fetchall()
        for start in range(0, len(decided), size):
            if page := [gate for row in decided[start : start + size] if (gate := gate_of(row)) is not None]:
                yield page

    def undecided(self, count: int) -> list[Gate]:
        """Return the gates that wait and have no decision in the outbox, longest waiting first, at most `count`."""
        rows = self._connection.execute(
            f"{_READ} WHERE status = 'pending' AND request_id NOT IN (SELECT request_id FROM outbox) "
            "ORDER BY requested_at LIMIT ?",
            (count,),
        )
        return [gate for row in rows if (gate := gate_of(row)) is not None]

    def find(self, request_id: str) -> Gate | None:
        """Return one gate; None if it is not kept."""
        row = first_row(self._connection, f"{_READ} WHERE request_id = ?", (request_id,))
        return None if row is None else gate_of(row)

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
