"""The outbox: decisions on their way to the server, and what became of each."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from hitl_desktop.domain.decision import Decided, Decision
from hitl_desktop.domain.gate import Gate, GateStatus


class OutboxState(StrEnum):
    """Where a decision is.

    `draft` is written but not decided, and stands in no row of the outbox. `unknown` was sent, and the connection was
    lost before the answer came. `conflict`, `expired` and `refused` wait for the reviewer's answer.
    """

    DRAFT = "draft"
    QUEUED = "queued"
    SENDING = "sending"
    UNKNOWN = "unknown"
    DELIVERED = "delivered"
    CONFLICT = "conflict"
    EXPIRED = "expired"
    REFUSED = "refused"

    @property
    def is_open(self) -> bool:
        """Whether it is still to be delivered."""
        return self in _OPEN

    @property
    def needs_answer(self) -> bool:
        """Whether it could not be delivered, and stays until the reviewer says what to do."""
        return self in _UNANSWERED


_OPEN = frozenset({OutboxState.QUEUED, OutboxState.SENDING, OutboxState.UNKNOWN})
_UNANSWERED = frozenset({OutboxState.CONFLICT, OutboxState.EXPIRED, OutboxState.REFUSED})


class Cause(StrEnum):
    """Why a decision could not be delivered; `credentials` is that of one that is still queued, and goes by itself."""

    NONE = ""
    DECIDED = "decided"
    OVERDUE = "overdue"
    CHANGED = "changed"
    GONE = "gone"
    DAMAGED = "damaged"
    REFUSED = "refused"
    NOT_ALLOWED = "not_allowed"
    CREDENTIALS = "credentials"


class OutboxEntry(NamedTuple):
    """One decision in the outbox; a tuple, since many are made where many are delivered.

    `gate` is the gate as the reviewer saw it, without its bundle's fields; `held_until` is the end of the time in which
    it can be undone; `attempts` is how many sendings may have written it; `problem` is a sentence for the screen;
    `theirs` is who was faster, where somebody was.
    """

    decision: Decision
    gate: Gate
    device: str
    state: OutboxState = OutboxState.QUEUED
    held_until: datetime | None = None
    attempts: int = 0
    cause: Cause = Cause.NONE
    problem: str = ""
    theirs: Decided | None = None

    @property
    def decision_id(self) -> str:
        """The decision's id, by which the server knows it."""
        return self.decision.decision_id

    @property
    def request_id(self) -> str:
        """The gate's id."""
        return self.decision.request_id

    def decided(self, gate: Gate) -> Gate:
        """Return `gate`, the one that this decision is about, as the server has it once it is delivered."""
        decision = self.decision
        return gate._replace(
            status=GateStatus(decision.verdict.value),
            decision_id=decision.decision_id,
            reviewer=decision.reviewer,
            reason=decision.reason,
            conditions=decision.conditions,
            decided_at=decision.decided_at,
        )

    @property
    def can_be_withdrawn(self) -> bool:
        """Whether it can be taken back: it was never sent, or is known not to have been written."""
        return self.state.needs_answer or (self.state is OutboxState.QUEUED and self.attempts == 0)


class AlreadyQueuedError(Exception):
    """This machine has a decision about the same gate that is still on its way."""

    def __init__(self, entry: OutboxEntry) -> None:
        super().__init__(
            f"Your earlier decision ({entry.decision.verdict}) about this gate is still {entry.state}, so nothing was "
            "added; undo it or wait until it is delivered."
        )
        self.entry = entry


class NotWithdrawableError(Exception):
    """The decision was sent, so it cannot be taken back any more."""

    def __init__(self) -> None:
        super().__init__("This decision was sent, so it cannot be taken back; its outcome will show.")


def decisions(count: int) -> str:
    """Return how many decisions there are, as part of a sentence: `1 decision`, `3 decisions`."""
    return f"{count} decision{'' if count == 1 else 's'}"
