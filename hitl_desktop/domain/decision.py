"""A decision: what a reviewer says to a gate, on which evidence, and what came of it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Self


class Verdict(StrEnum):
    """The two answers; their values are the gate's status afterwards."""

    APPROVED = "approved"
    REJECTED = "rejected"


class Severity(StrEnum):
    """How much a rejection weighs; the reviewer's own word to the agent."""

    MINOR = "minor"
    MAJOR = "major"
    CRITICAL = "critical"


FEEDBACK_TAGS = ("tests", "security", "design", "performance", "scope", "documentation")
"""The tags a reviewer may put on a decision, so that agents can sort their feedback."""


class ReasonRequiredError(ValueError):
    """A rejection without a reason, from which no agent could learn."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a reviewer decides about one gate.

    `bundle_id` and `evidence_digest` name the evidence that was on the reviewer's screen.

    Raises:
        ReasonRequiredError: it rejects without a reason.
    """

    decision_id: str
    request_id: str
    bundle_id: str
    evidence_digest: str
    verdict: Verdict
    reviewer: str
    decided_at: datetime
    reason: str = ""
    conditions: tuple[str, ...] = ()
    feedback: str = ""
    severity: Severity | None = None
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.verdict is Verdict.REJECTED and not self.reason.strip():
            raise ReasonRequiredError("A rejection needs a reason: the agent starts again from what you write.")

    @property
    def feedback_text(self) -> str:
        """What the agents' task manager reads, the only text it does: the reason, then any feedback (wire.md)."""
        parts = [self.reason.strip(), self.feedback.strip()]
        if self.severity is not None:
            parts.append(f"Severity: {self.severity}.")
        if self.tags:
            parts.append(f"Concerns: {', '.join(self.tags)}.")
        return "\n".join(filter(None, parts))


@dataclass(frozen=True, slots=True)
class Draft:
    """What the reviewer has written about a gate but not yet decided."""

    reason: str = ""
    conditions: tuple[str, ...] = ()
    severity: Severity | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Decided:
    """How a gate was decided, by whomever: the answer to a decision and the content of a conflict.

    `reviewer`, `reason` and `decision_id` may be empty and `decided_at` None: an orchestrator's own decision leaves
    little.
    """

    request_id: str
    status: str
    decision_id: str = ""
    reviewer: str = ""
    reason: str = ""
    conditions: tuple[str, ...] = ()
    decided_at: datetime | None = None

    @classmethod
    def by(cls, decision: Decision) -> Self:
        """Return what a decision that was written says of its gate."""
        return cls(
            request_id=decision.request_id,
            status=decision.verdict,
            decision_id=decision.decision_id,
            reviewer=decision.reviewer,
            reason=decision.reason,
            conditions=decision.conditions,
            decided_at=decision.decided_at,
        )

    def __str__(self) -> str:
        """Return who decided what and when, as part of a sentence."""
        who = f" by {self.reviewer}" if self.reviewer else ""
        when = f" on {self.decided_at:%Y-%m-%d at %H:%M} UTC" if self.decided_at else ""
        why = f": {self.reason}" if self.reason else ""
        return f"{self.status}{who}{when}{why}"
