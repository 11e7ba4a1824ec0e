"""What the screen shows of a gate: its queue and its state, derived from the gate and the time."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum

from hitl_desktop.domain.gate import Gate, GateStatus
from hitl_desktop.domain.outbox import OutboxEntry, OutboxState

EXPIRING_WITHIN = timedelta(hours=4)
"""How soon a gate must expire to stand in the queue of expiring ones."""
URGENT_WITHIN = timedelta(hours=1)
"""How soon a gate must expire for its countdown to stand out."""


class Queue(StrEnum):
    """The reviewer's queues, in the order in which they are shown."""

    PENDING = "pending"
    EXPIRING = "expiring"
    OUTBOX = "outbox"
    CONFLICTS = "conflicts"
    DECIDED = "decided"
    QUARANTINE = "quarantine"


class GateState(StrEnum):
    """What a gate is to its reviewer; overdue is pending on the wire but can no longer be decided.

    From queued to refused it is the state of the reviewer's own decision, not yet the server's.
    """

    PENDING = "pending"
    OVERDUE = "overdue"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    QUEUED = "queued"
    SENDING = "sending"
    UNKNOWN = "unknown"
    CONFLICT = "conflict"
    REFUSED = "refused"


def state_of(gate: Gate, now: datetime, entry: OutboxEntry | None = None) -> GateState:
    """Return the state of `gate` at `now`, with the reviewer's own decision in the outbox, if there is one."""
    if entry is not None and entry.state is not OutboxState.DELIVERED:
        return GateState(entry.state.value)
    if entry is not None and gate.status is GateStatus.PENDING:
        return GateState(entry.decision.verdict.value)
    if gate.status is GateStatus.PENDING and gate.is_overdue(now):
        return GateState.OVERDUE
    return GateState(gate.status)


def queue_of(gate: Gate, entry: OutboxEntry | None = None) -> Queue:
    """Return the queue in which `gate` stands first of all: an expiring one waits, too."""
    if entry is not None and entry.state.is_open:
        return Queue.OUTBOX
    if entry is not None and entry.state.needs_answer:
        return Queue.CONFLICTS
    return Queue.PENDING if gate.status is GateStatus.PENDING and entry is None else Queue.DECIDED


def is_expiring(gate: Gate, now: datetime) -> bool:
    """Whether `gate` is still pending and its time runs out soon or has run out."""
    if gate.status is not GateStatus.PENDING or gate.expires_at is None:
        return False
    return gate.expires_at - now <= EXPIRING_WITHIN


def lacks_evidence(gate: Gate) -> tuple[str, ...]:
    """Return the item types of which the gate's kind demands one, where its bundle has none; else nothing.

    A gate of unknown type demands none, and a bundle listed without its items cannot be judged yet.
    """
    if gate.kind is None or gate.bundle.items is None:
        return ()
    given: Iterable[str] = (item.item_type for item in gate.bundle.items)
    required = gate.kind.required_evidence
    return () if any(item_type in required for item_type in given) else required
