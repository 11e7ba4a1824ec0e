"""The rows of the gate list, with what sorting and filtering 100,000 of them needs. Plain Python, no Qt."""

from collections.abc import Iterable
from copy import copy
from datetime import datetime
from enum import StrEnum
from math import inf
from sys import intern

from hitl_desktop.domain.gate import Gate, Quarantined
from hitl_desktop.domain.outbox import OutboxEntry
from hitl_desktop.domain.projection import Queue, is_expiring, queue_of


class Order(StrEnum):
    """How the gate list is sorted; the values are what the reviewer reads. Of one rank, what waits longest is first."""

    WAITING = "Waiting longest"
    NEWEST = "Newest"
    EXPIRY = "Expires soonest"
    TYPE = "Type"


class Row:
    """A gate, with the reviewer's own decision about it, or a quarantined record, and what sorting and filtering need.

    `home` is the queue in which it stands first of all; `type_name` is its kind's name, or a raw type.
    """

    __slots__ = ("entry", "expires", "home", "name", "newest", "record", "requested", "text", "type_name", "type_rank")

    def __init__(self, record: Gate | Quarantined, entry: OutboxEntry | None = None) -> None:
        self.record = record
        self.entry = entry
        if isinstance(record, Gate):
            self.home = queue_of(record, entry)
            self.name = record.request_id
            self.requested = record.requested_at.timestamp()
            # There are few types: one text for each, rather than one for each gate, is looked at sooner.
            decided, expires, self.type_rank = record.decided_at, record.expires_at, intern(record.gate_type)
            self.newest = -self.requested if decided is None else -decided.timestamp()
            self.expires = inf if expires is None else expires.timestamp()
            self.type_name: str = record.kind or self.type_rank
            self.text = (
                f"{record.bundle.summary}\n{record.task_id}\n{record.requested_by}\n{self.type_rank}\n{record.reviewer}"
            ).lower()
        else:
            self.home, self.name = Queue.QUARANTINE, record.key
            self.requested, self.newest, self.expires, self.type_name, self.type_rank = 0.0, 0.0, inf, "", ""
            self.text = f"{record.key}\n{record.reason}".lower()


def with_entry(row: Row, entry: OutboxEntry | None) -> Row:
    """Return a gate's row with another decision of the reviewer's own; all else is as it was."""
    made = copy(row)
    made.entry = entry
    if isinstance(row.record, Gate):
        made.home = queue_of(row.record, entry)
    return made


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
        found = [row for row in found if row.type_name == gate_type]
    for word in words:
        found = [row for row in found if word in row.text]
    return list(found)
