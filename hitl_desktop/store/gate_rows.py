"""A gate as a row of the store: columns in, columns out. Nothing here needs a database, a cipher or the disk."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from hitl_desktop.domain.evidence import EvidenceBundle
from hitl_desktop.domain.gate import Gate, GateStatus
from hitl_desktop.domain.time import epoch

COLUMNS = (
    "request_id, task_id, session_id, gate_type, status, bundle_id, requested_by, requested_at, summary, expires_at, "
    "expires_text, decision_id, reviewer, reason, conditions, decided_at"
)
_STATUSES = {status.value: status for status in GateStatus}


def row_of(gate: Gate) -> tuple[Any, ...]:
    """Return the gate's columns, in the order of `COLUMNS`."""
    return (
        gate.request_id,
        gate.task_id,
        gate.session_id,
        gate.gate_type,
        gate.status.value,
        gate.evidence_bundle_id,
        gate.requested_by,
        epoch(gate.requested_at),
        gate.bundle.summary,
        None if gate.expires_at is None else epoch(gate.expires_at),
        gate.expires_text,
        gate.decision_id,
        gate.reviewer,
        gate.reason,
        json.dumps(gate.conditions) if gate.conditions else "",
        None if gate.decided_at is None else epoch(gate.decided_at),
    )


def gate_of(row: Sequence[Any]) -> Gate | None:
    """Return the gate of these columns, without its evidence; None if they cannot be read."""
    try:
        return _gate(row)
    except (KeyError, ValueError, TypeError, OverflowError, OSError, RecursionError):
        return None


def _gate(row: Sequence[Any]) -> Gate:
    (
        request_id,
        task_id,
        session_id,
        gate_type,
        status,
        bundle_id,
        requested_by,
        requested_at,
        summary,
        expires_at,
        expires_text,
        decision_id,
        reviewer,
        reason,
        conditions,
        decided_at,
    ) = row
    return Gate(
        request_id,
        task_id,
        session_id,
        gate_type,
        _STATUSES[status],
        bundle_id,
        requested_by,
        _moment(requested_at),
        EvidenceBundle(bundle_id, summary, None, {}),
        None if expires_at is None else _moment(expires_at),
        expires_text,
        decision_id,
        reviewer,
        reason,
        tuple(json.loads(conditions)) if conditions else (),
        None if decided_at is None else _moment(decided_at),
    )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
