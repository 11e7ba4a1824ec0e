"""What the verbs print: the documented JSON schema, and text in which nothing of an agent takes effect."""

import json
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from hitl_desktop.domain.decision import Decided
from hitl_desktop.domain.gate import Gate, Quarantined
from hitl_desktop.domain.projection import state_of
from hitl_desktop.domain.time import format_time
from hitl_desktop.services.evidence import Evidence


def print_json(document: Mapping[str, Any]) -> None:
    """Print one JSON document on standard output; what no UTF-8 can hold is escaped."""
    click.echo(json.dumps(document, ensure_ascii=True, indent=2))


def plain(text: str, *, lines: bool = False) -> str:
    """Return `text` with every control and format character made visible, so that no escape reaches the terminal.

    Args:
        text: an agent's text.
        lines: whether line breaks and tabs stay.
    """
    kept = "\n\t" if lines else ""
    return "".join(char if char in kept or _is_harmless(char) else f"\\u{ord(char):04x}" for char in text)


def _is_harmless(char: str) -> bool:
    return unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def gate_document(gate: Gate, tenant_id: str | None, evidence: Sequence[Evidence]) -> dict[str, Any]:
    """Return a gate as the JSON schema has it; times are ISO 8601 UTC, null where there is none."""
    return {
        "request_id": gate.request_id,
        "tenant_id": tenant_id,
        "gate_type": gate.gate_type,
        "status": gate.status.value,
        "task_id": gate.task_id,
        "session_id": gate.session_id,
        "summary": gate.summary,
        "requested_by": gate.requested_by,
        "requested_at": format_time(gate.requested_at),
        "expires_at": None if gate.expires_at is None else format_time(gate.expires_at),
        "evidence_digest": gate.bundle.digest if gate.bundle.is_whole else None,
        "evidence": [_item_document(found) for found in evidence],
    }


def _item_document(found: Evidence) -> dict[str, Any]:
    return {
        "item_type": found.item.item_type,
        "path": found.item.path,
        "description": found.item.description,
        "content_hash": found.item.content_hash,
        "integrity": found.integrity.value,
    }


def decided_document(decided: Decided, tenant_id: str | None, evidence_digest: str) -> dict[str, Any]:
    """Return how a gate was decided as the JSON schema has it."""
    return {
        "request_id": decided.request_id,
        "tenant_id": tenant_id,
        "status": decided.status,
        "decision_id": decided.decision_id,
        "reviewer": decided.reviewer,
        "reason": decided.reason,
        "conditions": list(decided.conditions),
        "decided_at": None if decided.decided_at is None else format_time(decided.decided_at),
        "evidence_digest": evidence_digest,
    }


def quarantined_document(record: Quarantined) -> dict[str, str]:
    """Return a quarantined record as the JSON schema has it."""
    return {"key": record.key, "reason": record.reason}


def print_gate_line(gate: Gate, now: datetime) -> None:
    """Print a gate as two lines."""
    kind = gate.kind.value.capitalize() if gate.kind else plain(gate.gate_type)
    left = "" if gate.expires_at is None else f" · {duration(gate.expires_at - now)} left"
    if gate.is_overdue(now):
        left = " · overdue"
    click.echo(f"{kind:<11} {plain(gate.summary) or '(no summary)'}")
    who = f"{plain(gate.task_id)} · {plain(gate.requested_by)} · {duration(now - gate.requested_at)} ago{left}"
    click.echo(f"            {who}\n            {plain(gate.request_id)}")


def print_gate(gate: Gate, evidence: Sequence[Evidence], now: datetime) -> None:
    """Print a gate with its evidence, each piece with what its integrity is."""
    print_gate_line(gate, now)
    click.echo(f"            session {plain(gate.session_id)} · {state_of(gate, now)}")
    click.echo(f"            evidence digest {gate.bundle.digest}")
    for found in evidence:
        click.echo(f"\n── {plain(found.item.path)} ({plain(found.item.item_type)}) · {found.integrity}")
        if found.item.description:
            click.echo(f"   {plain(found.item.description)}")
        if found.content is not None:
            text = found.text
            shown = f"({len(found.content)} bytes that are not text)" if text is None else plain(text, lines=True)
            click.echo(shown)


def duration(span: Any) -> str:
    """Return a time span as a person says it: `5 min`, `3 h`, `2 d`."""
    seconds = max(0, int(span.total_seconds()))
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def now() -> datetime:
    """Return this moment, in UTC."""
    return datetime.now(UTC)
