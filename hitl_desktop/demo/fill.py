"""The demo's content, written as agents and a reviewer would write it."""

import asyncio
import base64
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import Any

from hitl_desktop.demo.content import DemoDocument, DemoGate, DemoItem, DemoTenant, load_demo
from hitl_desktop.domain.decision import Verdict
from hitl_desktop.domain.gate import GateStatus
from hitl_desktop.domain.time import format_time
from hitl_desktop.services.encoding import GateRequest
from hitl_desktop.services.errors import NotFound
from hitl_desktop.services.knowledge import NewDocument
from hitl_desktop.services.meaning import NoModelError, local_model
from hitl_desktop.session import Backend, ReviewSession, open_session
from hitl_desktop.settings import SettingsError

REVIEWER = "demo-reviewer"


async def fill_demo(backend: Backend) -> dict[str, int]:
    """Fill the local workspace, and return how many gates each tenant got; a second time adds nothing.

    Raises:
        SettingsError: the servers are configured ones, which no demo writes to.
        ServiceError: the workspace's server cannot be written.
        LocalWorkspaceError: the workspace cannot be written.
    """
    if not backend.settings.is_embedded:
        problem = "or REDIS_HOST names a server, to which no demo is written; allowed is none, for the local workspace."
        raise SettingsError("HITL_REDIS_URL", problem)
    filled = {}
    for tenant in await asyncio.to_thread(load_demo):
        await backend.record_tenant(tenant.tenant_id)
        async with open_session(backend, tenant.tenant_id, live=False) as session:
            filled[tenant.tenant_id] = await _fill(session, tenant)
    return filled


async def _fill(session: ReviewSession, tenant: DemoTenant) -> int:
    now = datetime.now(UTC)
    added = 0
    session.reviewer = REVIEWER
    for gate in tenant.gates:
        added += await session.request(_request(gate, now))
        await _decide(session, gate)
    try:
        knowledge = await session.knowledge()
    except NotFound:  # go on: another process has the knowledge store open, and with it its documents
        return added
    for base, documents in groupby(sorted(tenant.documents, key=attrgetter("base")), key=attrgetter("base")):
        await knowledge.put(
            base,
            [
                NewDocument(
                    document.document_id,
                    document.text,
                    await asyncio.to_thread(_embedded, document),
                    {"title": document.title, "path": document.path},
                )
                for document in documents
            ],
        )
    return added


def _embedded(document: DemoDocument) -> Sequence[float]:
    try:
        return local_model().embed(document.text)
    except NoModelError:  # go on: the placeholder comes near nothing, and the words are found all the same
        return document.embedding


async def _decide(session: ReviewSession, gate: DemoGate) -> None:
    if not gate.verdict:
        return
    found = (await session.open_gate(gate.request_id)).gate
    if found.status is GateStatus.PENDING:
        verdict = Verdict(gate.verdict)
        await session.decide(found, verdict, reason=gate.reason, conditions=gate.conditions)


def _request(gate: DemoGate, now: datetime) -> GateRequest:
    at = now - timedelta(minutes=gate.age)
    return GateRequest(
        request_id=gate.request_id,
        task_id=gate.task_id,
        session_id=gate.session_id,
        gate_type=gate.gate_type,
        requested_by=gate.requested_by,
        requested_at=at,
        expires_at=None if gate.expires_in is None else now + timedelta(minutes=gate.expires_in),
        bundle={
            "bundle_id": gate.bundle_id,
            "task_id": gate.task_id,
            "gate_type": gate.gate_type,
            "git_sha": "",
            "items": json.dumps([_item(item) for item in gate.items]),
            "created_at": format_time(at),
            "summary": gate.summary,
        },
    )


def _item(item: DemoItem) -> dict[str, Any]:
    return {
        "item_type": item.item_type,
        "path": item.path,
        "description": item.description,
        "content_hash": item.content_hash,
        "metadata": _metadata(item.content),
    }


def _metadata(content: bytes | None) -> dict[str, str]:
    if content is None:
        return {}
    try:
        return {"content": content.decode()}
    except UnicodeDecodeError:
        return {"content_base64": base64.b64encode(content).decode()}
