"""What a sending may come to: the states and causes of a row, and the errors that they stand for."""

from hitl_desktop.domain.outbox import Cause, OutboxEntry, OutboxState
from hitl_desktop.services.errors import (
    AlreadyDecided,
    EvidenceChanged,
    Malformed,
    NotFound,
    Overdue,
    Refused,
    ServiceError,
)
from hitl_desktop.store.outbox import Outcome
from hitl_desktop.store.outbox_rows import Claimed


def unknown(one: Claimed, problem: str = "") -> Outcome:
    """Return that a row was sent, and may have been written."""
    return Outcome(one.entry.decision_id, OutboxState.UNKNOWN, problem=problem)


def queued(one: Claimed, problem: str = "") -> Outcome:
    """Return that a row was certainly not written this time."""
    return Outcome(one.entry.decision_id, OutboxState.QUEUED, problem=problem)


def conflict(answer: ServiceError) -> tuple[OutboxState, Cause]:
    """Return the state and cause of a row that the server did not take."""
    match answer:
        case AlreadyDecided():
            return OutboxState.CONFLICT, Cause.DECIDED
        case Overdue():
            return OutboxState.EXPIRED, Cause.OVERDUE
        case EvidenceChanged():
            return OutboxState.CONFLICT, Cause.CHANGED
        case NotFound():
            return OutboxState.CONFLICT, Cause.GONE
        case Malformed():
            return OutboxState.REFUSED, Cause.DAMAGED
    return OutboxState.REFUSED, Cause.REFUSED


def error_of(entry: OutboxEntry) -> ServiceError:
    """Return why a row that waits for an answer was not delivered, as the error it stands for."""
    match entry.cause:
        case Cause.DECIDED if entry.theirs is not None:
            return AlreadyDecided(entry.theirs)
        case Cause.OVERDUE:
            return Overdue()
        case Cause.CHANGED:
            return EvidenceChanged()
        case Cause.GONE:
            return NotFound(entry.problem)
        case Cause.DAMAGED:
            return Malformed(entry.problem)
    return Refused(entry.problem)


def settled_as(entry: OutboxEntry, outcome: Outcome) -> OutboxEntry:
    """Return a row as it is after a sending."""
    return entry._replace(
        state=outcome.state, cause=outcome.cause, problem=outcome.problem, theirs=outcome.theirs, held_until=None
    )
