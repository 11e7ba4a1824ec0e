"""A row of the outbox as the file has it: what is written, and reading it back, which may fail."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from hitl_desktop.domain.decision import Decided, Decision
from hitl_desktop.domain.gate import Gate
from hitl_desktop.domain.outbox import Cause, OutboxEntry, OutboxState
from hitl_desktop.store.gates import listed

HEAD = "decision_id, request_id, device, state, held_until, attempts, cause, problem, theirs"
"""The columns of `outbox` that make an entry."""
CONTENTS = "decision, gate, fields"
"""The columns of `outbox_contents`: what a row is about."""
ENTRY = f"{HEAD}, decision, gate"
"""The columns of `ROWS` that make an entry."""
RESCUED = f"{ENTRY}, fields"
"""The columns that are read from a file that can no longer be used."""
ROWS = "outbox LEFT JOIN outbox_contents USING (seq)"
"""Whole rows; one whose contents are gone cannot be read, and is counted as such."""
_MOST_ATTEMPTS = 2**31
_decisions = msgspec.msgpack.Decoder(Decision)
_gates = msgspec.msgpack.Decoder(Gate)
_theirs = msgspec.msgpack.Decoder(Decided)
_fields = msgspec.msgpack.Decoder(dict[bytes, bytes])
_STATES: Mapping[str, OutboxState] = {state.value: state for state in OutboxState}
_CAUSES: Mapping[str, Cause] = {cause.value: cause for cause in Cause}
_UNREADABLE = (msgspec.MsgspecError, ValueError, TypeError, LookupError, OverflowError, OSError, RecursionError)
pack = msgspec.msgpack.Encoder().encode
"""Packs what a row holds."""

Fields = dict[bytes, bytes]


class Claimed(NamedTuple):
    """A row that this process sends: the decision, and the bundle's fields as the reviewer saw them."""

    entry: OutboxEntry
    fields: Fields


def readable(row: Sequence[Any], known: OutboxEntry | None = None) -> OutboxEntry | None:
    """Return the entry that the columns `ENTRY` make; None if they cannot be read.

    What the row is about is taken from `known`, if that was read from it before: it never changes.
    """
    try:
        return _entry(row, known)
    except _UNREADABLE:
        return None


def readable_fields(fields: Any) -> Fields | None:
    """Return the bundle's fields of a row; None if they cannot be read."""
    try:
        return _fields.decode(fields)
    except _UNREADABLE:
        return None


def claimed_from(row: Sequence[Any], fields: Any, known: OutboxEntry | None = None) -> Claimed | None:
    """Return a row with its fields, see `readable`; None if they cannot be read."""
    entry, found = readable(row, known), readable_fields(fields)
    return None if entry is None or found is None else Claimed(entry, found)


def _entry(row: Sequence[Any], known: OutboxEntry | None) -> OutboxEntry:
    decision_id, request_id, device, state, held_until, attempts, cause, problem, theirs, decision, gate = row
    if not 0 <= attempts <= _MOST_ATTEMPTS:
        raise ValueError("nobody tries that often")
    entry = OutboxEntry(
        _decisions.decode(decision) if known is None else known.decision,
        _gates.decode(gate) if known is None else known.gate,
        device,
        _STATES[state],
        None if held_until is None else datetime.fromtimestamp(held_until, UTC),
        attempts,
        _CAUSES[cause],
        problem,
        None if theirs is None else _theirs.decode(theirs),
    )
    if (entry.decision_id, entry.request_id, entry.gate.request_id) != (decision_id, request_id, request_id):
        raise ValueError("the row's parts are not of one decision")
    return entry


def lost_head(decision: Any) -> Sequence[Any]:
    """Return the columns `HEAD` of a row of which only what it is about was left: it may have been sent.

    Raises:
        ValueError: the decision cannot be read.
    """
    try:
        found = _decisions.decode(decision)
    except _UNREADABLE:
        raise ValueError("the row cannot be read") from None
    return (found.decision_id, found.request_id, "", OutboxState.UNKNOWN.value, None, 1, Cause.NONE.value, "", None)


def entry_of(decision: Decision, gate: Gate, device: str, held_until: datetime | None) -> OutboxEntry:
    """Return a new entry about `gate` as the reviewer saw it."""
    return OutboxEntry(decision, listed(gate), device, held_until=held_until)
