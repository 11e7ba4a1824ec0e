"""A gate: the point at which an agent stops and asks a human."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from hitl_desktop.domain.evidence import EvidenceBundle


class GateKind(StrEnum):
    """The six gates, under the names a reviewer knows them by."""

    BACKLOG = "backlog"
    DESIGN = "design"
    PLAN = "plan"
    CODE = "code"
    VALIDATION = "validation"
    RELEASE = "release"

    @property
    def wire_type(self) -> str:
        """The kind's name in Redis, the one this application writes."""
        return _WIRE_TYPES[self]

    @property
    def required_evidence(self) -> tuple[str, str]:
        """The item types of which at least one must be in the bundle (wire.md, Gate types)."""
        return _REQUIRED[self]


_WIRE_TYPES = {
    GateKind.BACKLOG: "hitl_1_backlog",
    GateKind.DESIGN: "hitl_2_design",
    GateKind.PLAN: "hitl_3_plan",
    GateKind.CODE: "hitl_4_code",
    GateKind.VALIDATION: "hitl_5_validation",
    GateKind.RELEASE: "hitl_6_release",
}

_REQUIRED = {
    GateKind.BACKLOG: ("prd", "acceptance_criteria"),
    GateKind.DESIGN: ("architecture", "design_doc"),
    GateKind.PLAN: ("task_breakdown", "dependency_graph"),
    GateKind.CODE: ("artifact", "test_result"),
    GateKind.VALIDATION: ("integration_tests", "security_scan"),
    GateKind.RELEASE: ("release_notes", "deployment_plan"),
}

# Three vocabularies name the same six gates (wire.md, Gate types).
_KINDS = {
    **{wire: kind for kind, wire in _WIRE_TYPES.items()},
    "prd_review": GateKind.BACKLOG,
    "design_review": GateKind.DESIGN,
    "code_review": GateKind.CODE,
    "test_review": GateKind.VALIDATION,
    "deployment_approval": GateKind.RELEASE,
    "hitl-2": GateKind.DESIGN,
    "hitl-3": GateKind.PLAN,
}


def gate_kind(gate_type: str) -> GateKind | None:
    """Return which of the six gates `gate_type` names in any of the three vocabularies; None for an unknown one."""
    return _KINDS.get(gate_type)


class GateStatus(StrEnum):
    """A gate's status as it stands in its hash."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"


class Gate(NamedTuple):
    """One gate as its hash and its evidence bundle tell it; a tuple, since a hundred thousand are made at a time.

    `expires_text` is `expires_at` exactly as the hash holds it, which the decision script compares. The five fields
    from `decision_id` on are this application's own and stand only in hashes that it decided.
    """

    request_id: str
    task_id: str
    session_id: str
    gate_type: str
    status: GateStatus
    evidence_bundle_id: str
    requested_by: str
    requested_at: datetime
    bundle: EvidenceBundle
    expires_at: datetime | None = None
    expires_text: str = ""
    decision_id: str = ""
    reviewer: str = ""
    reason: str = ""
    conditions: tuple[str, ...] = ()
    decided_at: datetime | None = None

    @property
    def kind(self) -> GateKind | None:
        """Which of the six gates this is; None if its type is unknown."""
        return _KINDS.get(self.gate_type)

    @property
    def summary(self) -> str:
        """What the agent wrote above its evidence; may be empty."""
        return self.bundle.summary

    def is_overdue(self, now: datetime) -> bool:
        """Whether the gate's time has run out at `now`, whatever its status still says (wire.md, faults, 7)."""
        return self.expires_at is not None and now >= self.expires_at


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A record that could not be read: where it stands, why, and what of it there is."""

    key: str
    reason: str
    raw: str = ""


Record = Gate | Quarantined
"""What reading one gate gives."""
