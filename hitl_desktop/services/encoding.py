"""What is written to the wire: a gate's request, a decision about it, and the events of both."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any, TypeVar

import msgspec

from hitl_desktop.domain.decision import Decision, Verdict
from hitl_desktop.domain.event import EventType, idempotency_key
from hitl_desktop.domain.gate import Gate
from hitl_desktop.domain.time import epoch, format_time

Part = TypeVar("Part", str, bytes)


@dataclass(frozen=True, slots=True)
class GateRequest:
    """What an agent submits to ask a human; `bundle` are the evidence bundle's fields as they are written."""

    request_id: str
    task_id: str
    session_id: str
    gate_type: str
    requested_by: str
    requested_at: datetime
    bundle: Mapping[str, str]
    expires_at: datetime | None = None


def _flat(fields: Mapping[Part, Part]) -> list[Part]:
    return list(chain.from_iterable(fields.items()))


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _tenant_field(tenant_id: str | None) -> dict[str, str]:
    return {} if tenant_id is None else {"tenant_id": tenant_id}


def gate_event(
    event_type: str, gate: Gate | GateRequest, tenant_id: str | None, metadata: Mapping[str, object], at: str
) -> list[str]:
    """Return an event's fields as a flat list, with our idempotency key (wire.md, Events); `at` as on the wire."""
    key = idempotency_key(event_type, gate.session_id, gate.task_id, extra=gate.request_id)
    return _flat(
        {
            "event_type": event_type,
            "session_id": gate.session_id,
            "task_id": gate.task_id,
            "timestamp": at,
            "mode": "normal",
            **_tenant_field(tenant_id),
            "idempotency_key": key,
            "metadata": _json(metadata),
        }
    )


def decision_record(decision: Decision, gate: Gate, tenant_id: str | None) -> dict[str, Any]:
    """Return what the script `decide` takes: what must still hold, and what to write (wire.md, A decision)."""
    at, feedback = format_time(decision.decided_at), decision.feedback_text
    is_approved = decision.verdict is Verdict.APPROVED
    audit = {
        "event": "gate_decision",
        "request_id": gate.request_id,
        "decision_id": decision.decision_id,
        "task_id": gate.task_id,
        "gate_type": gate.gate_type,
        "approved": "true" if is_approved else "false",
        "reviewer": decision.reviewer,
        "reason": decision.reason,
        "timestamp": at,
        "evidence_digest": decision.evidence_digest,
        **_tenant_field(tenant_id),
    }
    metadata: dict[str, object] = {
        "request_id": gate.request_id,
        "decision_id": decision.decision_id,
        "reviewer": decision.reviewer,
        "reason": decision.reason,
        "feedback": feedback,
        "conditions": decision.conditions,
        "gate_type": gate.gate_type,
        "evidence_bundle_id": gate.evidence_bundle_id,
        "evidence_digest": decision.evidence_digest,
        **({"severity": decision.severity} if decision.severity else {}),
        **({"tags": decision.tags} if decision.tags else {}),
    }
    fields = {
        "status": decision.verdict.value,
        "decision_id": decision.decision_id,
        "reviewer": decision.reviewer,
        "reason": decision.reason,
        "decided_at": at,
        "conditions": _json(decision.conditions),
        "feedback": feedback,
        "evidence_digest": decision.evidence_digest,
    }
    event_type = EventType.GATE_APPROVED if is_approved else EventType.GATE_REJECTED
    return {
        "request_id": gate.request_id,
        "decision_id": decision.decision_id,
        "task_id": gate.task_id,
        "session_id": gate.session_id,
        "bundle_id": decision.bundle_id,
        "expires_text": gate.expires_text,
        "expires_epoch": None if gate.expires_at is None else epoch(gate.expires_at),
        "bundle": _flat(gate.bundle.fields),
        "gate": _flat(fields),
        "log": _json(audit),
        "audit": _flat(audit),
        "event": gate_event(event_type, gate, tenant_id, metadata, at),
    }


def request_record(request: GateRequest, tenant_id: str | None) -> dict[str, Any]:
    """Return what the script `request` takes: the records of a gate that waits (wire.md, Keys)."""
    at = format_time(request.requested_at)
    bundle_id = request.bundle["bundle_id"]
    gate = {
        "request_id": request.request_id,
        "task_id": request.task_id,
        "session_id": request.session_id,
        "gate_type": request.gate_type,
        "status": "pending",
        "evidence_bundle_id": bundle_id,
        "requested_by": request.requested_by,
        "requested_at": at,
        **({} if request.expires_at is None else {"expires_at": format_time(request.expires_at)}),
    }
    audit = {
        "event": "gate_requested",
        "request_id": request.request_id,
        "task_id": request.task_id,
        "gate_type": request.gate_type,
        "requested_by": request.requested_by,
        "timestamp": at,
        **_tenant_field(tenant_id),
    }
    metadata = {
        "request_id": request.request_id,
        "gate_type": request.gate_type,
        "evidence_bundle_id": bundle_id,
    }
    return {
        "request_id": request.request_id,
        "score": "inf" if request.expires_at is None else repr(epoch(request.expires_at)),
        "gate": _flat(gate),
        "bundle": _flat(request.bundle),
        "log": _json(audit),
        "audit": _flat(audit),
        "event": gate_event(EventType.GATE_REQUESTED, request, tenant_id, metadata, at),
    }
