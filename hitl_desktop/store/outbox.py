"""The outbox of one tenant on disk: each decision one committed row, until it is delivered or taken back.

Several processes may share it. Who sends a row claims it with a lease first; a row whose sender is gone is `unknown`
and sent again by its decision_id, which the server answers without writing twice.
"""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from hitl_desktop.domain.decision import Decided
from hitl_desktop.domain.outbox import AlreadyQueuedError, Cause, NotWithdrawableError, OutboxEntry, OutboxState
from hitl_desktop.store.database import first_row, transaction
from hitl_desktop.store.outbox_rows import ENTRY, ROWS, Claimed, Fields, claimed_from, pack, readable, readable_fields
from hitl_desktop.store.senders import has_ended, new_sender

if TYPE_CHECKING:  # only the store's thread needs it
    import apsw

DELIVERED_KEPT = 30 * 86_400.0
"""Seconds for which a delivered row is kept, to be delivered again should the server have forgotten it."""
LEASE = 12.0
"""Seconds after which a row that is being sent is another process's to take up: longer than the server may take."""
_DAMAGED = "What this decision was made on is damaged on this machine, so it was not sent; review the gate again."
_OPEN = "state IN ('queued', 'sending', 'unknown')"
_LISTED = "(SELECT value FROM json_each(?))"
_ORPHANED = f"state = 'sending' AND (coalesce(lease, 0) <= ? OR sender IN {_LISTED})"
"""Rows being sent whose sender has ended, or has not answered for a lease."""
Known = Mapping[str, OutboxEntry]
_NONE_KNOWN: Known = MappingProxyType({})
_SUPERSEDED = "You have decided about this gate again since, so this decision from a file moved aside was not sent."


class Outcome(NamedTuple):
    """What became of one sending; `queued` says that it certainly wrote nothing."""

    decision_id: str
    state: OutboxState
    cause: Cause = Cause.NONE
    problem: str = ""
    theirs: Decided | None = None


class Outbox:
    """The rows, and every way in which they change."""

    def __init__(self, connection: "apsw.Connection") -> None:
        self._connection = connection
        self._sender = new_sender()

    def add(self, entry: OutboxEntry, fields: Fields) -> None:
        """Add a decision; it is on the disk when this returns.

        Raises:
            AlreadyQueuedError: a decision about the same gate is still on its way.
        """
        with transaction(self._connection, durable=True):
            row = first_row(
                self._connection,
                f"SELECT {ENTRY} FROM {ROWS} WHERE request_id = ? AND {_OPEN}",
                (entry.request_id,),
            )
            if row is not None:
                if (before := readable(row)) is not None:
                    raise AlreadyQueuedError(before)
                self._set_aside(row[0])
            self._insert(entry, pack(fields))

    def entries(self, delivered_since: float | None = None) -> list[OutboxEntry]:
        """Return the rows in their order; delivered ones only since that time, and where the kept gate still waits.

        Rows that cannot be read stay aside.
        """
        rows = self._connection.execute(
            f"SELECT {ENTRY} FROM {ROWS} WHERE state <> 'delivered' OR delivered_at >= ?1 "
            "OR (?1 IS NOT NULL AND request_id IN (SELECT request_id FROM gates WHERE status = 'pending')) "
            "ORDER BY seq",
            (delivered_since,),
        )
        return [entry for row in rows if (entry := readable(row)) is not None]

    def find(self, decision_id: str) -> OutboxEntry | None:
        """Return one row, delivered or not."""
        row = first_row(self._connection, f"SELECT {ENTRY} FROM {ROWS} WHERE decision_id = ?", (decision_id,))
        return None if row is None else readable(row)

    def fields(self, decision_id: str) -> Fields:
        """Return the bundle's fields that a row's decision is about; nothing if there is no such row."""
        row = first_row(self._connection, f"SELECT fields FROM {ROWS} WHERE decision_id = ?", (decision_id,))
        return {} if row is None else readable_fields(row[0]) or {}

    def unreadable(self) -> int:
        """Return how many rows that are not delivered cannot be read: they are neither shown nor sent, and stay."""
        rows = self._connection.execute(f"SELECT {ENTRY} FROM {ROWS} WHERE state <> 'delivered'")
        return sum(readable(row) is None for row in rows)

    def claim(self, now: float, limit: int, only: str | None = None, known: Known = _NONE_KNOWN) -> list[Claimed]:
        """Take rows that are due, at most `limit`, or the one named: they are `sending` until settled.

        What rows are about is not read again where they are among the `known` ones, by decision_id.
        """
        # On the disk before anything is sent: after a loss of power, what may have been written must not look unsent.
        with transaction(self._connection, durable=True):
            return self._claim(now, limit, only, known)

    def _claim(self, now: float, limit: int, only: str | None, known: Known) -> list[Claimed]:
        self._take_up(now)
        claimed: list[Claimed] = []
        rows: list[Any] = self._connection.execute(
            f"SELECT {ENTRY}, fields FROM (SELECT * FROM outbox WHERE state IN ('unknown', 'queued') "
            "AND (held_until IS NULL OR held_until <= ?1) AND (?3 IS NULL OR decision_id = ?3) "
            "ORDER BY seq LIMIT ?2) LEFT JOIN outbox_contents USING (seq) ORDER BY seq",
            (now, limit, only),
        ).fetchall()
        for *row, fields in rows:
            if (one := claimed_from(row, fields, known.get(row[0]))) is None:
                self._set_aside(row[0])
            else:
                claimed.append(one)
        self._connection.execute(
            "UPDATE outbox SET state = 'sending', attempts = attempts + 1, sender = ?, lease = ? "
            f"WHERE decision_id IN {_LISTED}",
            (self._sender, now + LEASE, json.dumps([one.entry.decision_id for one in claimed])),
        )
        return claimed

    def take_up(self, now: float) -> None:
        """Say of rows whose sender has ended what they are: unknown, until the server is asked."""
        found = first_row(self._connection, f"SELECT 1 FROM outbox WHERE {_ORPHANED} LIMIT 1", self._orphaned(now))
        if found is not None:
            with transaction(self._connection):
                self._take_up(now)

    def settle(
        self,
        outcomes: Sequence[Outcome],
        now: float,
        history_id: str = "",
        more: int = 0,
        known: Known = _NONE_KNOWN,
    ) -> list[Claimed]:
        """Enter what became of rows that were sent, and claim at most `more`, as one step.

        A delivery is a fact, whoever learns of it. All else counts only for rows that are still this outbox's to send:
        a sender that was slow must not undo what another has found out meanwhile.

        Args:
            outcomes: of each row what became of it.
            now: seconds since 1970.
            history_id: of the server's data, by which deliveries are checked later.
            more: how many rows to claim, see `claim`.
            known: see `claim`.
        """
        delivered = [one.decision_id for one in outcomes if one.state is OutboxState.DELIVERED]
        with transaction(self._connection, durable=more > 0):
            self._connection.execute(
                "UPDATE outbox SET state = 'delivered', cause = '', problem = '', theirs = NULL, sender = NULL, "
                f"lease = NULL, delivered_at = ?, history_id = ? WHERE decision_id IN {_LISTED}",
                (now, history_id, json.dumps(delivered)),
            )
            for outcome in outcomes:
                if outcome.state is OutboxState.QUEUED:
                    self._put_back(outcome)
                elif outcome.state is not OutboxState.DELIVERED:
                    self._entered(outcome)
            return self._claim(now, more, None, known) if more else []

    def _put_back(self, outcome: Outcome) -> None:
        self._connection.execute(
            "UPDATE outbox SET state = CASE WHEN attempts > 1 THEN 'unknown' ELSE 'queued' END, "
            "problem = CASE WHEN attempts > 1 THEN problem ELSE ? END, "
            "cause = CASE WHEN attempts > 1 THEN cause ELSE ? END, attempts = attempts - 1, "
            "sender = NULL, lease = NULL "
            "WHERE decision_id = ? AND state = 'sending' AND sender = ?",
            (outcome.problem, outcome.cause.value, outcome.decision_id, self._sender),
        )

    def _entered(self, outcome: Outcome) -> None:
        theirs = None if outcome.theirs is None else pack(outcome.theirs)
        self._connection.execute(
            "UPDATE outbox SET state = ?1, cause = ?, problem = ?, theirs = ?, sender = NULL, lease = NULL, "
            "attempts = CASE ?1 WHEN 'unknown' THEN attempts ELSE 0 END "
            "WHERE decision_id = ? AND state = 'sending' AND sender = ?",
            (
                outcome.state.value,
                outcome.cause.value,
                outcome.problem,
                theirs,
                outcome.decision_id,
                self._sender,
            ),
        )

    def refuse_queued(self, cause: Cause, problem: str) -> int:
        """Let all rows that were never sent wait for an answer, for they can never be; return how many."""
        with transaction(self._connection, durable=True):
            self._connection.execute(
                "UPDATE outbox SET state = 'refused', cause = ?, problem = ? WHERE state = 'queued'",
                (cause.value, problem),
            )
            return int(self._connection.changes())

    def withdraw(self, decision_id: str) -> None:
        """Take a decision back.

        Raises:
            NotWithdrawableError: it was sent, or there is no such row.
        """
        with transaction(self._connection, durable=True):
            entry = self.find(decision_id)
            if entry is None or not entry.can_be_withdrawn:
                raise NotWithdrawableError
            self._connection.execute("DELETE FROM outbox WHERE decision_id = ?", (decision_id,))

    def close(self, decision_id: str) -> None:
        """Forget a row that waits for an answer, now that it has one; nothing happens to one that is on its way."""
        with transaction(self._connection, durable=True):
            self._connection.execute(
                "DELETE FROM outbox WHERE decision_id = ? AND state IN ('conflict', 'expired', 'refused')",
                (decision_id,),
            )

    def note_login(self, problem: str) -> bool:
        """Note on all rows that are queued that the server refuses the login, or (empty) that it takes it.

        Return whether that is news about any.
        """
        cause = Cause.CREDENTIALS if problem else Cause.NONE
        told = "state = 'queued' AND (cause = 'credentials') <> (?1 = 'credentials')"
        if first_row(self._connection, f"SELECT 1 FROM outbox WHERE {told}", (cause.value,)) is None:
            return False
        with transaction(self._connection):
            self._connection.execute(f"UPDATE outbox SET cause = ?1, problem = ?2 WHERE {told}", (cause.value, problem))
        return True

    def readmit(self) -> int:
        """Queue again what was refused because its tenant was not allowed, now that it is; return how many."""
        stranded = "state = 'refused' AND cause = 'not_allowed'"
        if first_row(self._connection, f"SELECT 1 FROM outbox WHERE {stranded}") is None:
            return 0
        return self._queue_again(stranded)

    def retry(self, decision_id: str | None = None) -> int:
        """Queue one row that waits for an answer again, or all that were refused; return how many."""
        if decision_id is None:
            return self._queue_again("state = 'refused'")
        return self._queue_again("state IN ('refused', 'conflict', 'expired') AND decision_id = ?", decision_id)

    def _queue_again(self, chosen: str, *names: str) -> int:
        with transaction(self._connection, durable=True):
            self._connection.execute(
                f"UPDATE OR IGNORE outbox SET state = 'queued', cause = '', problem = '', theirs = NULL, "
                f"held_until = NULL WHERE {chosen}",
                names,
            )
            return int(self._connection.changes())

    def release(self, decision_id: str | None = None) -> None:
        """End the time in which a decision, or every one, can be undone."""
        with transaction(self._connection, durable=True):
            self._connection.execute(
                "UPDATE outbox SET held_until = NULL WHERE state = 'queued' AND (?1 IS NULL OR decision_id = ?1)",
                (decision_id,),
            )

    def next_due(self) -> float | None:
        """Return when, in seconds since 1970, the next row is due to be sent; None if none is left to send."""
        (due,) = first_row(
            self._connection,
            "SELECT min(coalesce(CASE state WHEN 'sending' THEN lease ELSE held_until END, 0)) FROM outbox "
            f"WHERE {_OPEN}",
        )
        return None if due is None else float(due)

    def delivered_under_another(self, history_id: str) -> list[str]:
        """Return the ids of delivered rows that were not found yet in the history `history_id` of the server's data."""
        rows = self._connection.execute(
            "SELECT decision_id FROM outbox WHERE state = 'delivered' AND history_id IS NOT ? ORDER BY seq",
            (history_id,),
        )
        return [str(decision_id) for (decision_id,) in rows]

    def confirm(self, decision_ids: Iterable[str], history_id: str) -> None:
        """Note that the history `history_id` of the server's data has these decisions."""
        with transaction(self._connection):
            self._connection.executemany(
                "UPDATE outbox SET history_id = ? WHERE decision_id = ?", ((history_id, one) for one in decision_ids)
            )

    def forgotten(self, decision_ids: Iterable[str]) -> None:
        """Queue delivered rows again, which the server has lost.

        One about whose gate a later decision is on its way stays as it is: it is asked about again after that one.
        """
        with transaction(self._connection, durable=True):
            self._connection.executemany(
                "UPDATE OR IGNORE outbox SET state = 'unknown' WHERE decision_id = ? AND state = 'delivered'",
                ((one,) for one in decision_ids),
            )

    def forget_old(self, now: float) -> None:
        """Forget what was delivered long ago."""
        with transaction(self._connection):
            self._connection.execute(
                "DELETE FROM outbox WHERE state = 'delivered' AND delivered_at < ?", (now - DELIVERED_KEPT,)
            )

    def insert_rescued(self, row: Sequence[Any]) -> bool:
        """Add a row of another file, its columns as `RESCUED` names them; return whether it is one to be answered for.

        Where another decision about the same gate is on its way, it waits for the reviewer's answer instead.

        Raises:
            ValueError: it cannot be read.
        """
        *columns, fields = row
        entry = readable(columns)
        if entry is None:
            raise ValueError("the row cannot be read")
        if self.find(entry.decision_id) is not None:
            return False
        if entry.state.is_open and readable_fields(fields) is None:
            entry = entry._replace(state=OutboxState.REFUSED, cause=Cause.DAMAGED, problem=_DAMAGED)
        elif entry.state.is_open and self._is_on_its_way(entry.request_id):
            entry = entry._replace(state=OutboxState.REFUSED, cause=Cause.REFUSED, problem=_SUPERSEDED)
        elif entry.state is OutboxState.SENDING:
            entry = entry._replace(state=OutboxState.UNKNOWN)
        *_, held_until, _attempts, _cause, _problem, theirs, decision, gate = columns
        self._connection.execute(
            "INSERT INTO outbox(decision_id, request_id, state, device, held_until, attempts, cause, problem, theirs, "
            "delivered_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                entry.decision_id,
                entry.request_id,
                entry.state.value,
                entry.device,
                held_until,
                entry.attempts,
                entry.cause.value,
                entry.problem,
                theirs,
                time.time() if entry.state is OutboxState.DELIVERED else None,
            ),
        )
        self._insert_contents(decision, gate, fields)
        return entry.state is not OutboxState.DELIVERED

    def _is_on_its_way(self, request_id: str) -> bool:
        found = first_row(self._connection, f"SELECT 1 FROM outbox WHERE request_id = ? AND {_OPEN}", (request_id,))
        return found is not None

    def _insert(self, entry: OutboxEntry, fields: bytes) -> None:
        self._connection.execute(
            "INSERT INTO outbox(decision_id, request_id, state, device, held_until) VALUES (?, ?, ?, ?, ?)",
            (
                entry.decision_id,
                entry.request_id,
                entry.state.value,
                entry.device,
                None if entry.held_until is None else entry.held_until.timestamp(),
            ),
        )
        self._insert_contents(pack(entry.decision), pack(entry.gate), fields)

    def _insert_contents(self, decision: bytes, gate: bytes, fields: bytes) -> None:
        self._connection.execute(
            "INSERT INTO outbox_contents VALUES (?, ?, ?, ?)",
            (self._connection.last_insert_rowid(), decision, gate, fields),
        )

    def _take_up(self, now: float) -> None:
        self._connection.execute(
            f"UPDATE outbox SET state = 'unknown', sender = NULL, lease = NULL WHERE {_ORPHANED}", self._orphaned(now)
        )

    def _orphaned(self, now: float) -> tuple[float, str]:
        """Return what `_ORPHANED` takes: the time, and which senders have ended."""
        rows: list[Any] = self._connection.execute(
            "SELECT DISTINCT sender FROM outbox WHERE state = 'sending'"
        ).fetchall()
        return now, json.dumps([sender for (sender,) in rows if has_ended(sender)])

    def _set_aside(self, decision_id: str) -> None:
        self._connection.execute(
            "UPDATE outbox SET state = 'refused', cause = 'damaged', problem = ? WHERE decision_id = ?",
            (_DAMAGED, decision_id),
        )
