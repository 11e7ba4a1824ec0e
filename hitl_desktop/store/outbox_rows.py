"""A row of the outbox as the file has it: what is written, and reading it back, which may fail."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from hitl_desktop.domain.decision import Decided, Decision
from hitl_desktop.domain.gate import Gate
from hitl_desktop.domain.outbox import Cause, OutboxEntry, OutboxState
from hitl_desktop.store.gates import listed

ENTRY = "decision_id, request_id, decision, gate, device, state, held_until, attempts, cause, problem, theirs"
"""The columns that make an entry."""
RESCUED = f"{ENTRY}, fields"
"""The columns that are read from a file that can no longer be used."""
_MOST_ATTEMPTS = 2**31
_decisions = msgspec.msgpack.Decoder(Decision)
_gates = msgspec.msgpack.Decoder(Gate)
_theirs = msgspec.msgpack.Decoder(Decided)
_fields = msgspec.msgpack.Decoder(dict[bytes, bytes])
_UNREADABLE = (msgspec.MsgspecError, ValueError, TypeError, OverflowError, OSError, RecursionError)
pack = msgspec.msgpack.Encoder().encode
"""Packs what a row holds."""

Fields = dict[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Claimed:
    """A row that this process sends: the decision, and the bundle's fields as the reviewer saw them."""

    entry: OutboxEntry
    fields: Fields


def readable(row: Sequence[Any]) -> OutboxEntry | None:
    """Return the entry that the columns `ENTRY` make; None if they cannot be read."""
    try:
        return _entry(row)
    except _UNREADABLE:
        return None


def readable_fields(fields: Any) -> Fields | None:
    """Return the bundle's fields of a row; None if they cannot be read."""
    try:
        return _fields.decode(fields)
    except _UNREADABLE:
        return None


def claimed_from(row: Sequence[Any], fields: Any) -> Claimed | None:
    """Return a row with its fields; None if they cannot be read."""
    entry, found = readable(row), readable_fields(fields)
    return None if entry is None or found is None else Claimed(entry, found)


def _entry(row: Sequence[Any]) -> OutboxEntry:
    decision_id, request_id, decision, gate, device, state, held_until, attempts, cause, problem, theirs = row
    entry = OutboxEntry(
        decision=_decisions.decode(decision),
        gate=_gates.decode(gate),
        device=device,
        state=OutboxState(state),
        held_until=None if held_until is None else datetime.fromtimestamp(held_until, UTC),
        attempts=attempts,
        cause=Cause(cause),
        problem=problem,
        theirs=None if theirs is None else _theirs.decode(theirs),
    )
    if not 0 <= attempts <= _MOST_ATTEMPTS:
        raise ValueError("nobody tries that often")
    if (entry.decision_id, entry.request_id, entry.gate.request_id) != (decision_id, request_id, request_id):
        raise ValueError("the row's parts are not of one decision")
    return entry


def entry_of(decision: Decision, gate: Gate, device: str, held_until: datetime | None) -> OutboxEntry:
    """Return a new entry about `gate` as the reviewer saw it."""
    return OutboxEntry(decision, listed(gate), device, held_until=held_until)
