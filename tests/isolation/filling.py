"""All that a tenant can have, made in the application's own ways; each word of it carries the tenant's mark."""

import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from hitl_desktop.domain.decision import Draft, Verdict
from hitl_desktop.domain.outbox import OutboxState
from hitl_desktop.services.encoding import GateRequest
from hitl_desktop.services.gates import Gates
from hitl_desktop.services.knowledge import NewDocument
from hitl_desktop.session import ReviewSession
from hitl_desktop.sync.monitor import Phase
from hitl_desktop.tenancy.audit import TenantEvent
from tests.gates import decision, gate_request
from tests.isolation.place import Place
from tests.waiting import until

MARKS = {"acme-corp": "quince", "widgets-inc": "medlar"}
DECIDED, QUEUED, CLASHED, DRAFTED, LATER = range(5)
VECTOR = [1.0] * 384


def marked(tenant: str, number: int) -> GateRequest:
    """Return a gate of which every free text is the tenant's own."""
    mark = MARKS[tenant]
    made = gate_request(f"{mark}-summary-{number}")
    content = f"{mark}-content {number}\n"
    piece = {
        "item_type": "artifact",
        "path": f"src/{mark}-path.py",
        "description": f"{mark}-description",
        "content_hash": hashlib.sha256(content.encode()).hexdigest(),
        "metadata": {"content": content},
    }
    task = f"{mark}-task-{number}"
    bundle = {**made.bundle, "task_id": task, "items": json.dumps([piece]), "git_sha": f"{mark}-sha"}
    return replace(made, task_id=task, session_id=f"{mark}-session", requested_by=f"{mark}-agent", bundle=bundle)


async def fill(place: Place, tenant: str, other: str) -> list[str]:
    """Give `tenant` one of everything; `other` is the tenant from which the window comes and to which it goes.

    Returns:
        The ids of its gates: one decided, one in the outbox, one in conflict, one drafted, one that waits.
    """
    requests = [marked(tenant, number) for number in range(5)]
    ids = [request.request_id for request in requests]
    async with place.session(tenant, live=True) as session:
        await place.record(session, TenantEvent.SELECTED, other)
        for request in requests:
            assert await session.request(request)
        await session.monitor.reached(Phase.ONLINE)
        await until(lambda: set(ids) <= set(session.book.pending_ids), "all gates have come")
        await _decide(place, tenant, session, ids)
        await session.keep_drafts({ids[DRAFTED]: Draft(reason=f"{MARKS[tenant]}-draft")})
        await session.mark_viewed((await session.open_gate(ids[DRAFTED])).gate, 0)
        await place.record(session, TenantEvent.LEFT, other)
    await _write_besides(place, tenant)
    exported = await place.run("outbox", "export", "--tenant", tenant, "--output", str(export_of(place, tenant)))
    assert exported.code == 0, exported
    return ids


def export_of(place: Place, tenant: str) -> Path:
    """Return the file to which the tenant's outbox is exported."""
    return place.settings.state_dir.parent / f"export-{tenant}.json"


async def _decide(place: Place, tenant: str, session: ReviewSession, ids: list[str]) -> None:
    mark = MARKS[tenant]
    opened = [(await session.open_gate(request_id)).gate for request_id in ids]
    words = {"reason": f"{mark}-reason", "conditions": (f"{mark}-condition",), "feedback": f"{mark}-feedback"}
    await session.decide(opened[DECIDED], Verdict.APPROVED, **words)  # type: ignore[arg-type]
    hold = timedelta(minutes=10)
    await session.outbox.queue(opened[QUEUED], Verdict.REJECTED, hold=hold, **words)  # type: ignore[arg-type]
    ours = await session.outbox.queue(opened[CLASHED], Verdict.REJECTED, hold=hold, **words)  # type: ignore[arg-type]
    async with place.connection(tenant) as connection:
        theirs = decision(opened[CLASHED], reviewer=f"{mark}-colleague", reason=f"{mark}-theirs")
        await Gates(connection, place.names(tenant)).decide(theirs, opened[CLASHED])
    await session.outbox.release(ours.decision_id)
    await until(lambda: session.book.decision_counts.get(OutboxState.CONFLICT), "the clash is known")


async def _write_besides(place: Place, tenant: str) -> None:
    """Write what agents and other programs write: documents, and keys of every type."""
    mark = MARKS[tenant]
    async with place.client(tenant) as client:
        await client.set(f"asdlc:{mark}-string", f"{mark}-value")
        await client.hset("asdlc:shared-hash", mapping={f"{mark}-field": f"{mark}-value"})
        await client.rpush("asdlc:shared-list", f"{mark}-value")
        await client.sadd("asdlc:shared-set", f"{mark}-value")
        await client.zadd("asdlc:shared-zset", {f"{mark}-member": 1})
        await client.xadd("asdlc:shared-stream", {"field": f"{mark}-value"})
        await client.xgroup_create("asdlc:shared-stream", f"{mark}-group", id="0")
        knowledge = place.knowledge(tenant)
        for base in ("asdlc_documents", "asdlc_specs"):
            document = NewDocument(
                f"{mark}-document", f"{mark}-knowledge of {base}", VECTOR, {"title": f"{mark}-title"}
            )
            await knowledge.put(base, [document])
