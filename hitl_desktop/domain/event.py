"""Events of the orchestrator's stream, as far as a reviewer's application needs them."""

from collections.abc import Mapping
from enum import StrEnum
from hashlib import sha256
from typing import NamedTuple


class EventType(StrEnum):
    """The events that matter to a reviewer. Never invent one: it breaks every reader of the orchestrator (wire.md)."""

    GATE_REQUESTED = "gate_requested"
    GATE_APPROVED = "gate_approved"
    GATE_REJECTED = "gate_rejected"
    GATE_EXPIRED = "gate_expired"
    AGENT_STARTED = "agent_started"


class Event(NamedTuple):
    """One entry of `asdlc:events`, a tuple, since thousands come at a time; `metadata` is its decoded JSON."""

    entry_id: str
    event_type: str
    session_id: str
    task_id: str
    tenant_id: str
    timestamp: str
    metadata: Mapping[str, object]

    @property
    def request_id(self) -> str | None:
        """The gate that the event is about; None if it is about none."""
        value = self.metadata.get("request_id")
        return value if isinstance(value, str) and value else None


def idempotency_key(event_type: str, session_id: str, task_id: str = "", epic_id: str = "", extra: str = "") -> str:
    """Return the key by which the orchestrator ignores an event it has processed (wire.md, Events).

    The orchestrator leaves `extra` out, so two gates of one task collide; this application passes the request_id.
    """
    parts = (event_type, session_id, *filter(None, (task_id, epic_id, extra)))
    return sha256(":".join(parts).encode()).hexdigest()[:32]
