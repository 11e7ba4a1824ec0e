"""Gates for the tests, written to a real server as an agent writes them, and what the server has afterwards."""

import hashlib
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hitl_desktop.domain.decision import Decision, Verdict
from hitl_desktop.domain.gate import Gate
from hitl_desktop.domain.time import format_time
from hitl_desktop.services.connection import connect
from hitl_desktop.services.encoding import GateRequest
from hitl_desktop.services.gates import Gates
from hitl_desktop.settings import KeyLayout
from hitl_desktop.tenancy import TenantContext, TenantNames
from tests.servers import Server

TENANT = "acme-corp"
PREFIX = f"tenant:{TENANT}:asdlc"


def item(item_type: str, path: str, content: str) -> dict[str, Any]:
    digest = hashlib.sha256(content.encode()).hexdigest()
    metadata = {"content": content}
    return {"item_type": item_type, "path": path, "description": "", "content_hash": digest, "metadata": metadata}


def gate_request(summary: str, *, gate_type: str = "hitl_4_code", expires_in: float | None = None) -> GateRequest:
    at = datetime.now(UTC)
    bundle_id, task_id = str(uuid.uuid4()), f"task-{uuid.uuid4()}"
    items = [item("artifact", "src/pay.py", "x = 1\n"), item("test_result", "notes.md", "# Notes\n\nAll *passed*.\n")]
    return GateRequest(
        request_id=str(uuid.uuid4()),
        task_id=task_id,
        session_id="session-1",
        gate_type=gate_type,
        requested_by="tdd_orchestrator",
        requested_at=at,
        expires_at=None if expires_in is None else at + timedelta(seconds=expires_in),
        bundle={
            "bundle_id": bundle_id,
            "task_id": task_id,
            "gate_type": gate_type,
            "git_sha": "",
            "items": json.dumps(items),
            "created_at": format_time(at),
            "summary": summary,
        },
    )


async def ask(url: str, tenant_id: str, *requests: GateRequest, layout: KeyLayout = KeyLayout.PLAIN) -> None:
    """Post gates for `tenant_id` on the server at `url`."""
    names = TenantNames(tenant_id, layout)
    async with connect(url, key=names.events) as connection:
        with TenantContext.tenant_scope(tenant_id):
            gates = Gates(connection, names)
            for request in requests:
                await gates.request(request)


@dataclass(frozen=True)
class Written:
    """All that the server has about one gate."""

    gate: dict[str, str]
    is_pending: bool
    log: list[dict[str, Any]]
    audit: list[dict[str, str]]
    events: list[dict[str, str]]


def written(server: Server, tenant_id: str, request: GateRequest, layout: KeyLayout = KeyLayout.PLAIN) -> Written:
    """Return what the server has about `request`, of log, audit and events only what came after the request itself."""
    prefix = f"tenant:{tenant_id}:asdlc" if layout is KeyLayout.PLAIN else f"tenant:{{{tenant_id}}}:asdlc"
    with server.client(decode_responses=True) as client:
        raw_log: Any = client.lrange(f"{prefix}:decision_log:{request.task_id}", 0, -1)
        log = [json.loads(entry) for entry in raw_log]
        audit: Any = client.xrange(f"{prefix}:audit")
        events: Any = client.xrange(f"{prefix}:events")
        gate: Any = client.hgetall(f"{prefix}:gate_request:{request.request_id}")
        score: Any = client.zscore(f"{prefix}:pending_gates", request.request_id)
    about = [fields for _, fields in events if json.loads(fields["metadata"])["request_id"] == request.request_id]
    return Written(
        gate=gate,
        is_pending=score is not None,
        log=[entry for entry in log if entry["event"] != "gate_requested"],
        audit=[
            fields
            for _, fields in audit
            if fields.get("request_id") == request.request_id and fields["event"] != "gate_requested"
        ],
        events=[fields for fields in about if fields["event_type"] != "gate_requested"],
    )


@asynccontextmanager
async def opened(server: Server, url: str = "") -> AsyncIterator[Gates]:
    """Yield the gates of `TENANT`, in its context."""
    async with connect(url or server.url) as connection:
        with TenantContext.tenant_scope(TENANT):
            yield Gates(connection, TenantNames(TENANT))


def decision(gate: Gate, verdict: Verdict = Verdict.APPROVED, **changes: Any) -> Decision:
    """Return a decision about `gate` as it is."""
    made = Decision(
        decision_id=str(uuid.uuid4()),
        request_id=gate.request_id,
        bundle_id=gate.evidence_bundle_id,
        evidence_digest=gate.bundle.digest,
        verdict=verdict,
        reviewer="rev@example.org",
        decided_at=datetime.now(UTC),
        reason="Because",
    )
    return replace(made, **changes)


async def posted(gates: Gates, request: GateRequest | None = None) -> Gate:
    """Post a gate and return it as it is read."""
    request = request or gate_request("A gate")
    assert await gates.request(request)
    return await gates.get(request.request_id)
