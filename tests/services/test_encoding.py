"""What is written to the wire, byte for byte, against the page that describes it put down without any cleverness."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from typing import Any

import msgpack
from hypothesis import given
from hypothesis import strategies as st

from hitl_desktop.domain.decision import FEEDBACK_TAGS, Decision, Severity, Verdict
from hitl_desktop.domain.evidence import EvidenceBundle
from hitl_desktop.domain.gate import Gate, GateStatus
from hitl_desktop.services.encoding import decision_record

texts = st.text(st.characters(codec="utf-8"), max_size=12)
names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
zones = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-8))])
moments = st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=zones)  # noqa: DTZ001 - hypothesis wants naive bounds
bundles = st.builds(EvidenceBundle, names, texts, st.none(), st.dictionaries(st.binary(), st.binary(max_size=300)))
gates = st.builds(
    Gate,
    names,
    texts,
    names,
    names,
    st.just(GateStatus.PENDING),
    names,
    texts,
    moments,
    bundles,
    st.none() | moments,
    texts,
)
decisions = st.builds(
    Decision,
    names,
    names,
    names,
    names,
    st.sampled_from(Verdict),
    texts,
    moments,
    texts.map("!".__add__),  # a rejection needs a reason
    st.lists(texts, max_size=3).map(tuple),
    texts,
    st.none() | st.sampled_from(Severity),
    st.lists(st.sampled_from(FEEDBACK_TAGS), max_size=3).map(tuple),
)


@given(decisions, gates, st.none() | names)
def test_a_decision_is_packed_as_the_wire_describes_it(made: Decision, gate: Gate, tenant: str | None) -> None:
    packed = msgpack.packb(decision_record(made, gate, tenant), use_bin_type=False)
    assert packed == msgpack.packb(described(made, gate, tenant), use_bin_type=False)


def described(made: Decision, gate: Gate, tenant: str | None) -> dict[str, Any]:
    """Return a decision's record."""
    at = made.decided_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f+00:00")
    approved = made.verdict == "approved"
    feedback = [made.reason.strip(), made.feedback.strip()]
    feedback += [f"Severity: {made.severity.value}."] if made.severity else []
    feedback += [f"Concerns: {', '.join(made.tags)}."] if made.tags else []
    told = "\n".join(part for part in feedback if part)
    tenant_field = {} if tenant is None else {"tenant_id": tenant}
    audit = {
        "event": "gate_decision",
        "request_id": gate.request_id,
        "decision_id": made.decision_id,
        "task_id": gate.task_id,
        "gate_type": gate.gate_type,
        "approved": "true" if approved else "false",
        "reviewer": made.reviewer,
        "reason": made.reason,
        "timestamp": at,
        "evidence_digest": made.evidence_digest,
        **tenant_field,
    }
    metadata: dict[str, Any] = {
        "request_id": gate.request_id,
        "decision_id": made.decision_id,
        "reviewer": made.reviewer,
        "reason": made.reason,
        "feedback": told,
        "conditions": list(made.conditions),
        "gate_type": gate.gate_type,
        "evidence_bundle_id": gate.evidence_bundle_id,
        "evidence_digest": made.evidence_digest,
    }
    if made.severity:
        metadata["severity"] = made.severity.value
    if made.tags:
        metadata["tags"] = list(made.tags)
    event_type = "gate_approved" if approved else "gate_rejected"
    recipe = [event_type, gate.session_id] + ([gate.task_id] if gate.task_id else []) + [gate.request_id]
    event = {
        "event_type": event_type,
        "session_id": gate.session_id,
        "task_id": gate.task_id,
        "timestamp": at,
        "mode": "normal",
        **tenant_field,
        "idempotency_key": sha256(":".join(recipe).encode()).hexdigest()[:32],
        "metadata": compact(metadata),
    }
    fields = {
        "status": "approved" if approved else "rejected",
        "decision_id": made.decision_id,
        "reviewer": made.reviewer,
        "reason": made.reason,
        "decided_at": at,
        "conditions": compact(list(made.conditions)),
        "feedback": told,
        "evidence_digest": made.evidence_digest,
    }
    since = None if gate.expires_at is None else gate.expires_at - datetime(1970, 1, 1, tzinfo=UTC)
    return {
        "request_id": gate.request_id,
        "decision_id": made.decision_id,
        "task_id": gate.task_id,
        "session_id": gate.session_id,
        "bundle_id": made.bundle_id,
        "expires_text": gate.expires_text,
        "expires_epoch": None if since is None else since.total_seconds(),
        "bundle": flat(gate.bundle.fields),
        "gate": flat(fields),
        "log": compact(audit),
        "audit": flat(audit),
        "event": flat(event),
    }


def compact(value: object) -> str:
    """Return `value` as JSON without white space."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def flat(fields: Mapping[Any, Any]) -> list[Any]:
    """Return names and values in turn."""
    parts = []
    for name, value in fields.items():
        parts.append(name)
        parts.append(value)
    return parts
