"""The inbound side over real servers: the book becomes and stays what the server has."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hitl_desktop.domain.decision import Verdict
from hitl_desktop.domain.gate import GateStatus
from hitl_desktop.domain.outbox import OutboxState
from hitl_desktop.session import ReviewSession, open_backend, open_session
from hitl_desktop.settings import Settings
from hitl_desktop.sync.book import Change
from hitl_desktop.sync.monitor import Connectivity, Phase
from hitl_desktop.sync.schedule import backoff
from tests.environments import key_file
from tests.gates import ask, gate_request
from tests.servers import Server
from tests.waiting import until

TENANT = "acme-corp"
PREFIX = f"tenant:{TENANT}:asdlc"


@asynccontextmanager
async def following(server: Server, url: str = "", **more: Any) -> AsyncIterator[ReviewSession]:
    settings = Settings(
        Path(os.environ["HITL_STATE_DIR"]), "rev@example.org", redis_url=url or server.url, multi_tenancy=True, **more
    )
    async with open_backend(settings) as backend, open_session(backend, TENANT) as session:
        yield session


def pending(session: ReviewSession) -> set[str]:
    return set(session.book.pending_ids)


async def test_what_waits_is_loaded_and_what_was_decided_is_known(server: Server) -> None:
    first, second = gate_request("First"), gate_request("Second")
    await ask(server.url, TENANT, first, second)
    async with following(server) as session:
        await session.monitor.reached(Phase.ONLINE)
        assert pending(session) == {first.request_id, second.request_id}
        gate = (await session.open_gate(first.request_id)).gate
        await session.decide(gate, Verdict.APPROVED)
        await until(lambda: pending(session) == {second.request_id}, "it is decided")
        assert session.book.gates[first.request_id].reviewer == "rev@example.org"
    async with following(server) as session:
        await session.monitor.reached(Phase.ONLINE)
        assert session.book.gates[first.request_id].status is GateStatus.APPROVED


async def test_gates_posted_during_a_load_are_not_lost(server: Server) -> None:
    requests = [gate_request(f"Gate {number}") for number in range(400)]
    await ask(server.url, TENANT, *requests[:300])
    async with following(server) as session:
        await ask(server.url, TENANT, *requests[300:])
        server.run("ZREM", f"{PREFIX}:pending_gates", requests[0].request_id)
        posted = {request.request_id for request in requests[1:]}
        await until(lambda: posted <= pending(session), "all gates are known")


async def test_a_load_that_is_cut_short_leaves_nothing_running(server: Server) -> None:
    await ask(server.url, TENANT, *(gate_request(f"Gate {number}") for number in range(500)))
    settings = Settings(Path(os.environ["HITL_STATE_DIR"]), "rev@example.org", redis_url=server.url, multi_tenancy=True)
    async with open_backend(settings) as backend, open_session(backend, TENANT, live=False) as session:
        before = asyncio.all_tasks()
        loading = asyncio.create_task(session.sync())

        def cut_short(now: Connectivity) -> None:
            if now.loaded:
                loading.cancel()

        session.monitor.follow(cut_short)
        await asyncio.wait([loading])
        # A connection that was being made may have had the keyring read, which is done for all and goes on.
        reading = {backend.credentials._reading}
        assert asyncio.all_tasks() <= before | reading


async def test_a_damaged_record_is_quarantined_and_healed(server: Server) -> None:
    request = gate_request("Half written")
    await ask(server.url, TENANT, request)
    server.run("DEL", f"{PREFIX}:evidence_bundle:{request.bundle['bundle_id']}")
    async with following(server) as session:
        await session.monitor.reached(Phase.ONLINE)
        assert [record.reason for record in session.book.quarantined.values()] == ["the evidence bundle does not exist"]
        server.run("HSET", f"{PREFIX}:evidence_bundle:{request.bundle['bundle_id']}", "bundle_id", "b", "items", "[]")
        await session.refresh()
        assert session.book.quarantined == {}
        assert pending(session) == {request.request_id}


async def test_gates_that_come_and_go_without_an_event_are_found(server: Server) -> None:
    request, other = gate_request("Silent"), gate_request("Removed")
    await ask(server.url, TENANT, other)
    async with following(server) as session:
        await session.monitor.reached(Phase.ONLINE)
        await ask(server.url, TENANT, request)
        server.run("ZREM", f"{PREFIX}:pending_gates", other.request_id)
        server.run("DEL", f"{PREFIX}:gate_request:{other.request_id}")
        await session.refresh()
        assert pending(session) == {request.request_id}
        assert session.book.quarantined == {}


async def test_events_of_another_tenant_are_quarantined_and_init_is_skipped(server: Server) -> None:
    server.run("XADD", f"{PREFIX}:events", "*", "_init", "true", "timestamp", "x")
    request = gate_request("Real")
    async with following(server) as session:
        await session.monitor.reached(Phase.ONLINE)
        fields: dict[str, str] = {"event_type": "gate_requested", "session_id": "s", "timestamp": "t", "mode": "normal"}
        for tenant in ({}, {"tenant_id": "widgets-inc"}):
            flat = [part for pair in {**fields, **tenant}.items() for part in pair]
            server.run("XADD", f"{PREFIX}:events", "*", *flat)
        await ask(server.url, TENANT, request)
        await until(lambda: pending(session) == {request.request_id}, "the real gate is known")
        reasons = sorted(record.reason for record in session.book.quarantined.values())
        assert reasons == ["the event names another tenant than its stream", "the event names no tenant"]


async def test_foreign_events_from_before_are_shown_as_well_and_their_gates_listed(server: Server) -> None:
    request = gate_request("Announced without a tenant")
    await ask(server.url, TENANT, request)
    server.run("DEL", f"{PREFIX}:events")
    event = {"event_type": "gate_requested", "session_id": "s", "timestamp": "t", "mode": "normal"}
    metadata = json.dumps({"request_id": request.request_id})
    server.run("XADD", f"{PREFIX}:events", "*", "_init", "true", "timestamp", "x")
    for tenant in ({}, {"tenant_id": "widgets-inc"}, {"tenant_id": TENANT}):
        flat = [part for pair in {**event, "metadata": metadata, **tenant}.items() for part in pair]
        server.run("XADD", f"{PREFIX}:events", "*", *flat)
    async with following(server) as session:
        await until(lambda: len(session.book.quarantined) == 2, "both are in quarantine")
        reasons = sorted(record.reason for record in session.book.quarantined.values())
        assert reasons == ["the event names another tenant than its stream", "the event names no tenant"]
        assert pending(session) == {request.request_id}


async def test_a_clash_with_the_orchestrators_own_decision_is_told(server: Server) -> None:
    request = gate_request("Decided twice")
    await ask(server.url, TENANT, request)
    changes: list[Change] = []
    async with following(server) as session:
        session.book.follow(changes.append)
        await session.monitor.reached(Phase.ONLINE)
        gate = (await session.open_gate(request.request_id)).gate
        await session.decide(gate, Verdict.APPROVED)
        await until(lambda: not pending(session), "it is decided")
        metadata = {"request_id": request.request_id, "decision_id": "theirs", "reviewer": "web-user"}
        event = {
            "event_type": "gate_rejected",
            "session_id": "s",
            "timestamp": "t",
            "mode": "normal",
            "tenant_id": TENANT,
            "metadata": json.dumps(metadata),
        }
        server.run("XADD", f"{PREFIX}:events", "*", *(part for pair in event.items() for part in pair))
        await until(lambda: any(change.clashes for change in changes), "the clash is told")
    (clash,) = next(change.clashes for change in changes if change.clashes)
    assert (clash.ours, clash.theirs) == ("approved", "rejected by web-user")


async def test_a_delivery_decides_its_gate_in_one_change_and_its_event_tells_nothing_more(server: Server) -> None:
    request, later = gate_request("Decided here"), gate_request("Asked afterwards")
    name = request.request_id
    await ask(server.url, TENANT, request)
    changes: list[Change] = []
    async with following(server) as session:
        await session.monitor.reached(Phase.ONLINE)
        gate = (await session.open_gate(name)).gate
        session.book.follow(changes.append, replay=False)
        await session.decide(gate, Verdict.REJECTED, reason="No tests")
        decided = session.book.gates[name]
        assert (decided.status, decided.reason) == (GateStatus.REJECTED, "No tests")
        assert not pending(session)
        await ask(server.url, TENANT, later)
        await until(lambda: pending(session) == {later.request_id}, "what came behind the event has been read")
        assert session.book.gates[name] is decided
    (told,) = [change for change in changes if any(one.request_id == name for one in change.gates)]
    ((_, entry),) = told.decisions
    assert entry is not None
    assert entry.state is OutboxState.DELIVERED


async def test_the_event_of_a_delivery_corrects_what_was_read_before_it(server: Server) -> None:
    request = gate_request("Decided here")
    name = request.request_id
    await ask(server.url, TENANT, request)
    async with following(server) as session:
        await session.monitor.reached(Phase.ONLINE)
        waiting = session.book.gates[name]
        await session.decide((await session.open_gate(name)).gate, Verdict.APPROVED)
        decided = session.book.gates[name]
        session.book.put([(name, waiting)])
        assert pending(session) == {name}
        ((_, fields),) = server.run("XREVRANGE", f"{PREFIX}:events", "+", "-", "COUNT", 1)
        server.run("XADD", f"{PREFIX}:events", "*", *(part for pair in fields.items() for part in pair))
        await until(lambda: session.book.gates[name] == decided, "it is decided again")


async def test_a_server_that_goes_and_comes_back_is_followed_again(server: Server) -> None:
    async with following(server) as session:
        await session.monitor.reached(Phase.ONLINE)
        with server.offline():
            told = await session.monitor.reached(Phase.OFFLINE)
            assert "cannot be reached" in told.problem
        await session.monitor.reached(Phase.ONLINE)
        request = gate_request("Afterwards")
        await ask(server.url, TENANT, request)
        await until(lambda: pending(session) == {request.request_id}, "it is followed again")


async def test_a_gate_whose_decision_is_on_its_way_is_listed_and_read_again_once_it_conflicts(server: Server) -> None:
    request = gate_request("As it was decided on")
    name = request.request_id
    await ask(server.url, TENANT, request)
    async with following(server) as session:
        await session.monitor.reached(Phase.ONLINE)
        gate = (await session.open_gate(name)).gate
        entry = await session.outbox.queue(gate, Verdict.APPROVED, hold=timedelta(hours=1))
        server.run("HSET", f"{PREFIX}:evidence_bundle:{request.bundle['bundle_id']}", "summary", "Another one")
        with server.offline():
            await session.monitor.reached(Phase.OFFLINE)
        await session.monitor.reached(Phase.ONLINE)
        assert pending(session) == {name}
        await session.outbox.release(entry.decision_id)
        await until(lambda: session.book.decisions[name].state is OutboxState.CONFLICT, "its evidence has changed")
        await session.refresh()
        assert session.book.gates[name].summary == "Another one"


async def test_a_gate_stays_listed_when_its_decision_is_taken_back_after_a_load(server: Server, tmp_path: Path) -> None:
    request = gate_request("Decided elsewhere")
    name = request.request_id
    await ask(server.url, TENANT, request)
    async with following(server, key_file=key_file(tmp_path)) as session:
        gate = (await session.open_gate(name)).gate
        entry = await session.outbox.queue(gate, Verdict.APPROVED, hold=timedelta(hours=1))
    async with following(server, key_file=key_file(tmp_path)) as session:
        await session.monitor.reached(Phase.ONLINE)
        assert pending(session) == {name}
        await session.outbox.withdraw(entry.decision_id)
        assert session.book.gates[name].summary == "Decided elsewhere"
        assert name not in session.book.decisions


async def test_a_wrong_password_is_told_and_the_right_one_heals(server: Server) -> None:
    server.run("CONFIG", "SET", "requirepass", "secret")
    async with following(server) as session:
        told = await session.monitor.reached(Phase.REFUSED)
        assert "password" in told.problem
        server.run("CONFIG", "SET", "requirepass", "")
        await session.monitor.reached(Phase.ONLINE)


async def test_two_tenants_never_see_each_other(server: Server) -> None:
    mine, theirs = gate_request("Mine"), gate_request("Theirs")
    await ask(server.url, TENANT, mine)
    await ask(server.url, "widgets-inc", theirs)
    settings = Settings(Path(os.environ["HITL_STATE_DIR"]), "rev", redis_url=server.url, multi_tenancy=True)

    async def seen(tenant: str) -> set[str]:
        async with open_backend(settings) as backend, open_session(backend, tenant) as session:
            await session.monitor.reached(Phase.ONLINE)
            return pending(session)

    found = await asyncio.gather(seen(TENANT), seen("widgets-inc"))
    assert list(found) == [{mine.request_id}, {theirs.request_id}]


@given(st.integers())
def test_pauses_grow_are_bounded_and_spread(seed: int) -> None:
    pauses = backoff(Random(seed))  # noqa: S311 - spreads retries
    taken = [next(pauses) for _ in range(20)]
    assert all(0.1 <= pause <= 15 for pause in taken)
    assert max(taken[-5:]) > max(taken[:3])
