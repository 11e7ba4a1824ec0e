"""What the outbox must be, said simply: gates, decisions, and what delivering makes of them."""

from dataclasses import dataclass
from enum import StrEnum

from hitl_desktop.domain.gate import Gate
from hitl_desktop.services.encoding import GateRequest


class Place(StrEnum):
    """Where a decision is. `sent` may have been written: only the server can tell."""

    HELD = "held"
    QUEUED = "queued"
    SENT = "sent"
    DELIVERED = "delivered"
    CONFLICT = "conflict"
    EXPIRED = "expired"


OPEN = {Place.HELD, Place.QUEUED, Place.SENT}
DUE = {Place.QUEUED, Place.SENT}


@dataclass
class ModelGate:
    """A gate as the server has it: by whose decision it was decided, `other` for somebody else's, `time` for none's."""

    tenant: str
    request: GateRequest
    seen: Gate
    is_overdue: bool
    decided_by: str = ""

    @property
    def can_be_decided(self) -> bool:
        """Whether the next decision will be the gate's."""
        return not self.decided_by and not self.is_overdue


@dataclass
class ModelDecision:
    """One decision of the reviewer."""

    decision_id: str
    gate: ModelGate
    place: Place

    def send(self) -> None:
        """Let the server take it or not; nobody hears of it yet."""
        if self.gate.can_be_decided:
            self.gate.decided_by = self.decision_id
        self.place = Place.SENT

    def deliver(self) -> None:
        """Let the server take it or not, and its answer arrive."""
        self.send()
        if self.gate.decided_by == self.decision_id:
            self.place = Place.DELIVERED
        elif self.gate.decided_by in {"", "time"}:
            self.place = Place.EXPIRED
        else:
            self.place = Place.CONFLICT
