"""The rows of the gate list: sorting and filtering 100,000 of them within a few frames. Plain Python, no Qt."""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from datetime import datetime
from enum import StrEnum
from math import inf
from operator import attrgetter
from typing import Any

from hitl_desktop.domain.gate import Gate, Quarantined
from hitl_desktop.domain.outbox import OutboxEntry
from hitl_desktop.domain.projection import Queue, is_expiring, queue_of


class Order(StrEnum):
    """How the gate list is sorted; the values are what the reviewer reads."""

    WAITING = "Waiting longest"
    NEWEST = "Newest"
    EXPIRY = "Expires soonest"
    TYPE = "Type"


class Row:
    """A gate, with the reviewer's own decision about it, or a quarantined record, and what sorting and filtering need.

    `home` is the queue in which it stands first of all.
    """

    __slots__ = ("entry", "expires", "home", "kind", "name", "newest", "record", "requested", "text", "type_rank")

    def __init__(self, record: Gate | Quarantined, entry: OutboxEntry | None = None) -> None:
        self.record = record
        self.entry = entry
        self.home = queue_of(record, entry) if isinstance(record, Gate) else Queue.QUARANTINE
        if isinstance(record, Gate):
            self.name = record.request_id
            self.requested = record.requested_at.timestamp()
            self.expires = inf if record.expires_at is None else record.expires_at.timestamp()
            self.kind = record.kind
            self.type_rank = record.gate_type
            self.text = (
                f"{record.bundle.summary}\n{record.task_id}\n{record.requested_by}\n{record.gate_type}\n{record.reviewer}"
            ).lower()
        else:
            self.name = record.key
            self.requested, self.expires, self.kind, self.type_rank = 0.0, inf, None, ""
            self.text = f"{record.key}\n{record.reason}".lower()
        decided = record.decided_at if isinstance(record, Gate) else None
        self.newest = -(self.requested if decided is None else decided.timestamp())


def with_entry(row: Row, entry: OutboxEntry | None) -> Row:
    """Return a gate's row with another decision of the reviewer's own; all else is as it was."""
    made = Row.__new__(Row)
    for name in Row.__slots__:  # copy() takes thrice as long
        setattr(made, name, getattr(row, name))
    made.entry = entry
    if isinstance(row.record, Gate):
        made.home = queue_of(row.record, entry)
    return made


_KEYS: dict[Order, Callable[[Row], Any]] = {
    Order.WAITING: attrgetter("requested"),
    Order.NEWEST: attrgetter("newest"),
    Order.EXPIRY: attrgetter("expires"),
    Order.TYPE: attrgetter("type_rank"),
}


def key_of(order: Order) -> Callable[[Row], Any]:
    """Return the function that gives a row's place in `order`."""
    return _KEYS[order]


def belongs(row: Row, queue: Queue, now: datetime) -> bool:
    """Whether `row` stands in `queue` at `now`."""
    if queue is Queue.EXPIRING:
        return row.home is Queue.PENDING and isinstance(row.record, Gate) and is_expiring(row.record, now)
    return row.home is queue


def belonging(rows: Iterable[Row], queue: Queue, now: datetime) -> list[Row]:
    """Return the rows that stand in `queue` at `now`."""
    if queue is not Queue.EXPIRING:
        return [row for row in rows if row.home is queue]
    return [row for row in rows if belongs(row, queue, now)]


def matching(rows: Iterable[Row], words: tuple[str, ...], gate_type: str | None) -> list[Row]:
    """Return the rows whose text holds every one of `words`, of `gate_type` (a kind's name or a raw type) if given."""
    found = rows
    if gate_type is not None:
        found = [row for row in found if _type_name(row) == gate_type]
    for word in words:
        found = [row for row in found if word in row.text]
    return list(found)


def place_of(row: Row, rows: list[Row], order: Order) -> int:
    """Return where `row` stands in `rows`, which are sorted by `order`; -1 if it does not.

    The bisection finds the first of equal rank; among those the row is found by identity.
    """
    key = _KEYS[order]
    rank = key(row)
    position = bisect_left(rows, rank, key=key)
    while position < len(rows) and key(rows[position]) == rank:
        if rows[position] is row:
            return position
        position += 1
    return -1


def _type_name(row: Row) -> str:
    return row.kind.value if row.kind is not None else row.type_rank
