"""A decision as it leaves this machine for somebody else: one JSON object with the evidence it was made on."""

from collections.abc import Mapping
from typing import Any

from hitl_desktop.domain.decision import Decided
from hitl_desktop.domain.outbox import OutboxEntry
from hitl_desktop.domain.time import format_time


def entry_document(entry: OutboxEntry, tenant_id: str | None) -> dict[str, Any]:
    """Return a row of the outbox as the JSON schema has it; times are ISO 8601 UTC."""
    decision, theirs = entry.decision, entry.theirs
    return {
        "tenant_id": tenant_id,
        "decision_id": decision.decision_id,
        "request_id": decision.request_id,
        "verdict": decision.verdict.value,
        "state": entry.state.value,
        "summary": entry.gate.summary,
        "reviewer": decision.reviewer,
        "reason": decision.reason,
        "conditions": list(decision.conditions),
        "decided_at": format_time(decision.decided_at),
        "evidence_digest": decision.evidence_digest,
        "device": entry.device,
        "cause": entry.cause.value,
        "problem": entry.problem,
        "theirs": None if theirs is None else _theirs(theirs),
    }


def export_document(entry: OutboxEntry, tenant_id: str | None, fields: Mapping[bytes, bytes]) -> dict[str, Any]:
    """Return a row with its feedback and `fields`, those of the bundle as the reviewer saw it."""
    bundle = {_text(name): _text(value) for name, value in fields.items()}
    return {**entry_document(entry, tenant_id), "feedback": entry.decision.feedback, "evidence_bundle": bundle}


def _theirs(theirs: Decided) -> dict[str, Any]:
    return {
        "status": theirs.status,
        "decision_id": theirs.decision_id,
        "reviewer": theirs.reviewer,
        "reason": theirs.reason,
        "conditions": list(theirs.conditions),
        "decided_at": None if theirs.decided_at is None else format_time(theirs.decided_at),
    }


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
