"""What reviewers do in sessions of the application, also without a network, and what happens to them."""

import asyncio
import contextlib
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from hitl_desktop.domain.decision import Draft, Verdict
from hitl_desktop.domain.gate import Gate
from hitl_desktop.domain.outbox import AlreadyQueuedError, OutboxState
from hitl_desktop.services.encoding import GateRequest
from hitl_desktop.services.errors import Conflict, NotFound, ServiceError
from hitl_desktop.services.gates import Gates
from hitl_desktop.services.history import History
from hitl_desktop.services.knowledge import NewDocument
from hitl_desktop.session import ReviewSession
from hitl_desktop.sync.monitor import Phase
from hitl_desktop.tenancy import TenantContext, TenantMismatchError
from hitl_desktop.tenancy.audit import TenantEvent
from tests.gates import decision, gate_request
from tests.isolation.model import Asked, Model, Row
from tests.isolation.walk import Held, Step, Walk
from tests.waiting import until

VECTOR = [1.0] * 384
HOLD = timedelta(minutes=10)


def asked_for(model: Model) -> GateRequest:
    """Return a gate of which every text is the tenant's own; several gates share a task."""
    made, text = gate_request(model.text()), model.text()
    task = f"{model.mark}-task-{len(model.gates) % 5}"
    items = json.loads(made.bundle["items"])
    items[0]["metadata"]["content"] = f"{text} content"
    bundle = {**made.bundle, "task_id": task, "items": json.dumps(items)}
    return replace(made, task_id=task, session_id=f"{model.mark}-session", requested_by=text, bundle=bundle)


async def request_a_gate(walk: Walk, model: Model) -> None:
    request = asked_for(model)
    assert await (await walk.session(model)).request(request)
    model.gates[request.request_id] = Asked(request)


async def list_gates(walk: Walk, model: Model) -> None:
    records = await (await walk.session(model)).pending()
    walk.told(model, records)
    assert {record.request_id for record in records if isinstance(record, Gate)} == model.pending
    assert len(records) == len(model.pending)
    model.listed = model.pending


async def decide(walk: Walk, model: Model) -> None:
    """Decide about any gate, also one that is decided or on its way already."""
    if not model.gates:
        return
    session, name = await walk.session(model), walk.random.choice(list(model.gates))
    gate = (await session.open_gate(name)).gate
    walk.told(model, gate)
    verdict, reason = walk.random.choice(list(Verdict)), model.text()
    if name in {row.request_id for row in model.on_their_way.values()}:
        with pytest.raises(AlreadyQueuedError):
            await session.decide(gate, verdict, reason=reason)
    elif name in model.pending:
        decided = await session.decide(gate, verdict, reason=reason)
        model.decide(name, decided.decision_id, verdict, reason)
    else:
        with pytest.raises(Conflict) as told:
            await session.decide(gate, verdict, reason=reason)
        walk.told(model, told.value)


async def decide_as_a_colleague(walk: Walk, model: Model) -> None:
    """Somebody on another machine is faster."""
    if not model.pending:
        return
    name, reason = walk.random.choice(sorted(model.pending)), model.text()
    async with walk.place.connection(model.tenant) as connection:
        gates = Gates(connection, model.names)
        gate = await gates.get(name)
        theirs = decision(gate, reviewer=f"{model.mark}-colleague", reason=reason)
        await gates.decide(theirs, gate)
    model.decide(name, theirs.decision_id, theirs.verdict, reason, theirs.reviewer)


async def queue_offline(walk: Walk, model: Model) -> None:
    """Decide about a gate as it is kept on this machine."""
    free = model.listed - {row.request_id for row in model.outbox.values()}
    if not free:
        return
    session, name = await walk.session(model), walk.random.choice(sorted(free))
    gate = (await session.open_gate(name, offline=True)).gate
    walk.told(model, gate)
    verdict, reason, held = walk.random.choice(list(Verdict)), model.text(), walk.random.random() < 0.4
    entry = await session.outbox.queue(gate, verdict, reason=reason, hold=HOLD if held else timedelta(0))
    model.outbox[entry.decision_id] = Row(name, verdict, reason, held=held)


async def undo(walk: Walk, model: Model) -> None:
    if not model.outbox:
        return
    name = walk.random.choice(sorted(model.outbox))
    await (await walk.session(model)).outbox.withdraw(name)
    del model.outbox[name]


async def release(walk: Walk, model: Model) -> None:
    """End the time in which decisions can be undone."""
    await (await walk.session(model)).outbox.release()
    for row in model.outbox.values():
        row.held = False


async def sync(walk: Walk, model: Model) -> None:
    session = await walk.session(model)
    await session.sync()
    model.deliver()
    model.listed = set(session.book.pending_ids)
    assert model.listed == model.pending
    await check_outbox(walk, model)


async def check_outbox(walk: Walk, model: Model) -> None:
    """Compare the rows with the model."""
    session = await walk.session(model)
    rows = [entry for entry in await session.outbox.entries() if entry.state is not OutboxState.DELIVERED]
    walk.told(model, rows)
    found = {row.decision_id: (row.request_id, row.decision.reason, row.state.needs_answer) for row in rows}
    assert found == {name: (row.request_id, row.reason, row.clashed) for name, row in model.outbox.items()}


async def write_a_draft(walk: Walk, model: Model) -> None:
    session, waiting = await walk.session(model), model.listed & model.pending
    if waiting:
        name = walk.random.choice(sorted(waiting))
        model.drafts[name] = model.text()
        await session.keep_drafts({name: Draft(reason=model.drafts[name])})
        await session.mark_viewed((await session.open_gate(name)).gate, 0)
    found = {name: draft.reason for name, draft in (await session.drafts()).items()}
    # Those of gates that are no longer kept may be forgotten.
    assert found.items() <= model.drafts.items()
    assert model.drafts.keys() - found.keys() <= model.gates.keys() - waiting
    model.drafts = found


async def search(walk: Walk, model: Model) -> None:
    session = await walk.session(model)
    for mark in (each.mark for each in walk.models):
        found, kept = await walk.place.knowledge(model.tenant).search(mark, 10_000), await session.search_kept(mark)
        walk.told(model, found, kept, await session.pending_kept())
        assert {hit.document_id: hit.content for hit in found.hits} == (model.documents if mark == model.mark else {})
        assert {hit.request_id for hit in kept} <= (model.gates.keys() if mark == model.mark else set())


async def write_a_document(walk: Walk, model: Model) -> None:
    name, text = f"document-{walk.random.randrange(8)}", model.text()
    await walk.place.knowledge(model.tenant).put("asdlc_documents", [NewDocument(name, text, VECTOR)])
    model.documents[name] = text


async def read_the_history(walk: Walk, model: Model) -> None:
    async with walk.place.connection(model.tenant) as connection:
        found = await History(connection, model.names).recent()
    walk.told(model, found)
    decided = {name: gate for name, gate in model.gates.items() if gate.decision_id}
    assert {told.request_id: told.decision_id for told in found} == {n: gate.decision_id for n, gate in decided.items()}


async def reach_for_anothers_gate(walk: Walk, model: Model) -> None:
    """Ask for, and decide about, a gate of which only the id became known."""
    session = await walk.session(model)
    if (name := walk.foreign_gate(model)) is None or not model.listed:
        return
    for offline in (False, True):
        with pytest.raises(NotFound) as told:
            await session.open_gate(name, offline=offline)
        walk.told(model, told.value)
    own = (await session.open_gate(walk.random.choice(sorted(model.listed)))).gate
    with pytest.raises(NotFound):
        await session.decide(own._replace(request_id=name), Verdict.APPROVED)


async def use_anothers_session(walk: Walk, model: Model) -> None:
    """Take hold of a session that is bound to another tenant, as code does that mixes two up."""
    other = walk.random.choice(walk.others(model))
    with TenantContext.tenant_scope(other.tenant):
        session = await walk.session(other)
    request = asked_for(model)
    for attempt in (session.pending, session.count_pending, session.newest_event, lambda: session.request(request)):
        with pytest.raises(TenantMismatchError):
            await attempt()


async def visit(walk: Walk, model: Model) -> None:
    """Switch a window to the tenant, follow the server until all is delivered, and switch on to another."""
    await walk.close(model)
    held = Held(walk.place, model.tenant, live=True)
    session = await held.session()
    other = walk.random.choice(walk.others(model)).tenant
    await walk.place.record(session, TenantEvent.SELECTED, other)
    await session.monitor.reached(Phase.ONLINE)
    due = {name for name, row in model.on_their_way.items() if not row.held}
    model.deliver()
    await until(lambda: all(_is_settled(session, name) for name in due), "what is due is delivered")
    await until(lambda: set(session.book.pending_ids) == model.pending, "the list is as the server has it")
    walk.told(model, session.book.gates, session.book.quarantined, session.book.decisions)
    assert not session.book.quarantined
    assert session.book.gates.keys() <= model.gates.keys()
    await walk.place.record(session, TenantEvent.LEFT, other)
    await held.leave()
    model.visits.update(("tenant_selected", "tenant_left"))
    model.listed &= model.pending


def _is_settled(session: ReviewSession, decision_id: str) -> bool:
    decisions = {entry.decision_id: entry for entry in session.book.decisions.values()}
    return decision_id not in decisions or not decisions[decision_id].state.is_open


# --- what goes wrong ------------------------------------------------------------------------------------------------


async def leave(walk: Walk, model: Model) -> None:
    await walk.close(model)


async def hang(walk: Walk, model: Model) -> None:
    """Drop the session as it is; the next step opens another on the same file."""
    walk.drop(model)
    await check_outbox(walk, model)


async def cut_a_sync(walk: Walk, model: Model) -> None:
    """Cancel a delivery anywhere, drop the session, and deliver with another: each decision arrives once."""
    cut = asyncio.create_task((await walk.session(model)).sync())
    for _ in range(walk.random.randrange(60)):
        await asyncio.sleep(0)
    cut.cancel()
    with contextlib.suppress(asyncio.CancelledError, ServiceError):
        await cut
    walk.drop(model)
    await sync(walk, model)


async def restart_the_server(walk: Walk, model: Model) -> None:
    await asyncio.to_thread(walk.place.server.restart)
    await walk.connect()


STEPS: dict[Step, float] = {
    request_a_gate: 14,
    list_gates: 7,
    decide: 5,
    decide_as_a_colleague: 3,
    queue_offline: 9,
    undo: 2,
    release: 2,
    sync: 4,
    write_a_draft: 3,
    search: 2,
    write_a_document: 2,
    read_the_history: 2,
    reach_for_anothers_gate: 2,
    use_anothers_session: 1,
    visit: 2,
    leave: 1,
    hang: 1,
    cut_a_sync: 2,
    restart_the_server: 1,
}
