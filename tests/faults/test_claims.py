"""Rows that several senders may hold one after the other: what a late or cut-off one finds out must harm no other."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hitl_desktop.domain.decision import Verdict
from hitl_desktop.domain.evidence import EvidenceBundle
from hitl_desktop.domain.gate import Gate, GateStatus
from hitl_desktop.domain.outbox import Cause, OutboxEntry, OutboxState
from hitl_desktop.services.encoding import GateRequest
from hitl_desktop.services.errors import Interrupted, ServiceError, Unavailable
from hitl_desktop.session import ReviewSession, open_backend, open_session
from hitl_desktop.settings import Settings, read_settings
from hitl_desktop.store.evidence import Kept
from hitl_desktop.store.outbox import LEASE, Outcome
from hitl_desktop.store.outbox_rows import entry_of
from hitl_desktop.store.tenant_store import TenantStore, open_tenant_store
from hitl_desktop.sync.monitor import Phase
from hitl_desktop.tenancy import TenantNames
from tests.faults.ledger import ledger
from tests.faults.lives import ROOT, settings_of
from tests.gates import PREFIX, TENANT, ask, decision, gate_request, opened, posted
from tests.servers import Server
from tests.waiting import until


@pytest.fixture
def settings(home: Path, valkey: Server) -> Settings:
    return read_settings(settings_of(home, valkey))


@pytest.fixture
def stores(settings: Settings) -> Iterator[tuple[TenantStore, TenantStore]]:
    """The same file, opened twice, as two senders have it."""
    opened_stores = tuple(open_tenant_store(settings, TenantNames(TENANT)) for _ in range(2))
    yield (opened_stores[0], opened_stores[1])
    for store in opened_stores:
        store.close()


@pytest.fixture
async def row(valkey: Server, stores: tuple[TenantStore, TenantStore]) -> OutboxEntry:
    """A queued approval of a gate."""
    async with opened(valkey) as gates:
        gate = await posted(gates)
    entry = entry_of(decision(gate), gate, "here", None)
    stores[0].outbox.add(entry, gate.bundle.fields)
    return entry


@asynccontextmanager
async def desk(settings: Settings) -> AsyncIterator[ReviewSession]:
    async with open_backend(settings) as backend, open_session(backend, TENANT, live=False) as session:
        yield session


def state(store: TenantStore, entry: OutboxEntry) -> OutboxState:
    found = store.outbox.find(entry.decision_id)
    assert found is not None
    return found.state


LATE = [OutboxState.UNKNOWN, OutboxState.QUEUED, OutboxState.CONFLICT, OutboxState.REFUSED]


@pytest.mark.parametrize("late", LATE)
async def test_a_late_sender_does_not_undo_a_delivery(
    stores: tuple[TenantStore, TenantStore], row: OutboxEntry, late: OutboxState
) -> None:
    slow, quick = (store.outbox for store in stores)
    assert slow.claim(time.time(), 10)
    assert quick.claim(time.time(), 10) == []
    assert quick.claim(time.time() + LEASE + 1, 10)
    quick.settle([Outcome(row.decision_id, OutboxState.DELIVERED)], time.time(), "run")
    slow.settle([Outcome(row.decision_id, late)], time.time())
    assert state(stores[0], row) is OutboxState.DELIVERED


async def test_a_late_sender_does_not_free_what_another_is_sending(
    stores: tuple[TenantStore, TenantStore], row: OutboxEntry
) -> None:
    slow, quick = (store.outbox for store in stores)
    slow.claim(time.time(), 10)
    quick.claim(time.time() + LEASE + 1, 10)
    slow.settle([Outcome(row.decision_id, OutboxState.QUEUED)], time.time())
    assert state(stores[0], row) is OutboxState.SENDING
    slow.settle([Outcome(row.decision_id, OutboxState.DELIVERED)], time.time(), "run")
    assert state(stores[0], row) is OutboxState.DELIVERED


async def test_what_may_have_been_written_is_unknown_until_it_is_known(
    stores: tuple[TenantStore, TenantStore], row: OutboxEntry
) -> None:
    outbox = stores[0].outbox
    outbox.claim(time.time(), 10)
    outbox.settle([Outcome(row.decision_id, OutboxState.UNKNOWN)], time.time())
    outbox.claim(time.time(), 10)
    outbox.settle([Outcome(row.decision_id, OutboxState.QUEUED)], time.time())
    assert state(stores[0], row) is OutboxState.UNKNOWN


async def test_only_what_was_never_sent_is_refused_for_a_tenant_that_may_not_be_worked_for(
    stores: tuple[TenantStore, TenantStore], row: OutboxEntry, valkey: Server
) -> None:
    async with opened(valkey) as gates:
        other = await posted(gates)
    second = entry_of(decision(other), other, "here", None)
    outbox = stores[0].outbox
    outbox.claim(time.time(), 10)
    outbox.add(second, other.bundle.fields)
    assert stores[1].outbox.refuse_queued(Cause.NOT_ALLOWED, "No.") == 1
    assert (state(stores[0], row), state(stores[0], second)) == (OutboxState.SENDING, OutboxState.REFUSED)


async def test_a_refusal_after_a_lost_answer_leaves_it_unknown(valkey: Server, settings: Settings) -> None:
    request = gate_request("Written, and then nobody may ask")
    await ask(valkey.url, TENANT, request)
    async with desk(settings) as session:
        gate = (await session.open_gate(request.request_id)).gate
        entry = await session.outbox.queue(gate, Verdict.APPROVED)
        await lost_on_the_way(valkey, session, entry)
        valkey.run("CONFIG", "SET", "requirepass", "secret")
    async with desk(settings) as session:
        found = await refused(session, entry)
        assert (found.state, found.can_be_withdrawn) == (OutboxState.UNKNOWN, False)
        assert "password" in found.problem
        valkey.run("CONFIG", "SET", "requirepass", "")
        await session.outbox.deliver()
        assert (await session.outbox.find(entry.decision_id)).state is OutboxState.DELIVERED
    assert ledger(valkey, [request]).is_written_once(request.request_id, entry.decision_id)


async def refused(session: ReviewSession, entry: OutboxEntry) -> OutboxEntry:
    with pytest.raises(ServiceError):
        await session.outbox._outbound.deliver()
    return await session.outbox.find(entry.decision_id)


async def lost_on_the_way(server: Server, session: ReviewSession, entry: OutboxEntry) -> None:
    """Let the decision be written without its sender hearing of it."""
    (claimed,) = await session._disk(lambda store: store.outbox.claim(time.time(), 10))
    async with opened(server) as gates:
        await gates.decide(claimed.entry.decision, await gates.get(entry.request_id))
    outcome = Outcome(entry.decision_id, OutboxState.UNKNOWN)
    await session._disk(lambda store: store.outbox.settle([outcome], time.time()))


async def test_a_server_that_takes_no_writes_for_now_leaves_no_row_of_who_waits(
    valkey: Server, settings: Settings
) -> None:
    request = gate_request("Not now")
    await ask(valkey.url, TENANT, request)
    async with desk(settings) as session:
        gate = (await session.open_gate(request.request_id)).gate
        valkey.run("CONFIG", "SET", "min-replicas-to-write", "1")
        with pytest.raises(Unavailable, match="takes no writes") as told:
            await session.decide(gate, Verdict.APPROVED)
        assert not isinstance(told.value, Interrupted)
        assert await session.outbox.entries() == ()
        valkey.run("CONFIG", "SET", "min-replicas-to-write", "0")
        assert (await session.decide(gate, Verdict.APPROVED)).status == "approved"


async def test_a_full_server_keeps_decisions_queued_and_takes_them_later(valkey: Server, settings: Settings) -> None:
    request = gate_request("Full")
    await ask(valkey.url, TENANT, request)
    async with desk(settings) as session:
        gate = (await session.open_gate(request.request_id)).gate
        entry = await session.outbox.queue(gate, Verdict.APPROVED)
        valkey.run("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(Unavailable, match="takes no writes"):
            await session.outbox.deliver()
        found = await session.outbox.find(entry.decision_id)
        assert (found.state, found.can_be_withdrawn) == (OutboxState.QUEUED, True)
        valkey.run("CONFIG", "SET", "maxmemory", "0")
        await session.outbox.deliver()
    assert ledger(valkey, [request]).is_written_once(request.request_id, entry.decision_id)


async def test_a_sending_that_is_cut_off_by_closing_does_not_wait_for_its_lease(
    valkey: Server, settings: Settings
) -> None:
    requests = [gate_request(f"Gate {number}") for number in range(20)]
    await ask(valkey.url, TENANT, *requests)
    async with desk(settings) as session:
        for request in requests:
            await session.outbox.queue((await session.open_gate(request.request_id)).gate, Verdict.APPROVED)
        for pause in range(8):
            sending = asyncio.create_task(session.outbox._outbound.deliver())
            for _ in range(pause):
                await asyncio.sleep(0)
            sending.cancel()
            await asyncio.wait([sending])
            states = {entry.state for entry in await session.outbox.entries()}
            assert OutboxState.SENDING not in states
    async with desk(settings) as session:
        await session.outbox.deliver()
        names = {entry.request_id: entry.decision_id for entry in await session.outbox.entries()}
    books = ledger(valkey, requests)
    assert all(books.is_written_once(request_id, decision_id) for request_id, decision_id in names.items())


READS: dict[str, Callable[[TenantStore], object]] = {
    "a page of the list": lambda store: next(store.gates.pages(2)),
    "one gate": lambda store: store.gates.find("g-0"),
    "its evidence": lambda store: store.evidence.find("g-0"),
    "found words": lambda store: store.evidence.search("word"),
    "a fact": lambda store: store.fact("listed"),
    "the outbox": lambda store: store.outbox.entries(),
    "one row": lambda store: (store.outbox.find("none"), store.outbox.fields("none"), store.outbox.next_due()),
    "drafts": lambda store: (store.drafts.all(), store.drafts.viewed()),
    "the version": lambda store: store.version(),
}


@pytest.mark.parametrize("read", READS)
def test_whatever_was_read_another_process_may_write_and_then_this_one(
    stores: tuple[TenantStore, TenantStore], read: str
) -> None:
    reading, writing = stores
    gates = [kept_gate(number) for number in range(5)]
    reading.gates.put(gates)
    reading.remember("listed", "1")
    reading.evidence.put("g-0", "b-0", Kept({b"a": b"b"}, "d", {0: b"content"}), "title", ["a word"])
    held = READS[read](reading)
    writing.remember("anything", "else")
    reading.outbox.add(entry_of(decision(gates[0]), gates[0], "here", None), {})
    del held


def test_a_list_is_read_page_by_page_in_its_order(stores: tuple[TenantStore, TenantStore]) -> None:
    gates = [kept_gate(number) for number in range(7)]
    decided = kept_gate(7)._replace(status=GateStatus.APPROVED)
    stores[0].gates.put([decided, *reversed(gates)])
    pages = [[gate.request_id for gate in page] for page in stores[1].gates.pages(3)]
    assert [len(page) for page in pages] == [3, 3, 1, 1]
    assert sorted(name for page in pages[:3] for name in page) == [gate.request_id for gate in gates]
    assert pages[3] == [decided.request_id]


def test_an_open_store_keeps_its_lock(settings: Settings, stores: tuple[TenantStore, TenantStore]) -> None:
    """Without it, another process that closes the file takes its log away, and what is written then is lost."""
    again = open_tenant_store(settings, TenantNames(TENANT))
    script = "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'r+b'), fcntl.LOCK_EX | fcntl.LOCK_NB, 510, 0x40000002)"
    tried = subprocess.run([sys.executable, "-c", script, stores[0].path], capture_output=True, text=True, check=False)
    again.close()
    assert "BlockingIOError" in tried.stderr


def kept_gate(number: int) -> Gate:
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number // 2)
    bundle = EvidenceBundle(f"b-{number}", "", (), {b"bundle_id": b"b"})
    return Gate(f"g-{number}", "t", "s", "hitl_4_code", GateStatus.PENDING, f"b-{number}", "agent", at, bundle)


async def test_what_an_ended_sender_left_is_sent_at_once(
    valkey: Server, settings: Settings, stores: tuple[TenantStore, TenantStore], row: OutboxEntry
) -> None:
    ended = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", _CLAIM],
        env=settings_of(settings.state_dir.parent, valkey),
        cwd=ROOT,
        check=False,
    )
    assert ended.returncode == 0
    assert state(stores[0], row) is OutboxState.SENDING
    async with desk(settings) as session, asyncio.timeout(LEASE / 2):
        assert [one.state for one in await session.outbox.entries()] == [OutboxState.UNKNOWN]
        await session.outbox.deliver()
    assert state(stores[0], row) is OutboxState.DELIVERED


_CLAIM = """
import os, time
from hitl_desktop.settings import read_settings
from hitl_desktop.store.tenant_store import open_tenant_store
from hitl_desktop.tenancy import TenantNames
assert open_tenant_store(read_settings(), TenantNames("acme-corp")).outbox.claim(time.time(), 10)
os._exit(0)
"""


# --- what a server forgot ---------------------------------------------------------------------------------------------


def forget_decision(server: Server, request: GateRequest) -> None:
    """Make the server as it was before the gate was decided."""
    server.run("DEL", f"{PREFIX}:audit", f"{PREFIX}:events")
    server.run("RPOP", f"{PREFIX}:decision_log:{request.task_id}")
    server.run("ZADD", f"{PREFIX}:pending_gates", "inf", request.request_id)
    gate = f"{PREFIX}:gate_request:{request.request_id}"
    fields = ("decision_id", "reviewer", "reason", "decided_at", "conditions", "feedback", "evidence_digest")
    server.run("HDEL", gate, *fields)
    server.run("HSET", gate, "status", "pending")


async def test_an_open_session_notices_that_the_server_was_started_anew(valkey: Server, settings: Settings) -> None:
    request = gate_request("Forgotten")
    await ask(valkey.url, TENANT, request)
    async with open_backend(settings) as backend, open_session(backend, TENANT) as session:
        await session.monitor.reached(Phase.ONLINE)
        decided = await session.decide((await session.open_gate(request.request_id)).gate, Verdict.APPROVED)
        forget_decision(valkey, request)
        valkey.restart()
        await until(
            lambda: ledger(valkey, [request]).is_written_once(request.request_id, decided.decision_id),
            "it is delivered again",
        )


async def test_a_decision_is_a_conflict_where_the_server_forgot_the_gate_as_well(
    valkey: Server, settings: Settings
) -> None:
    request = gate_request("Forgotten altogether")
    await ask(valkey.url, TENANT, request)
    async with desk(settings) as session:
        decided = await session.decide((await session.open_gate(request.request_id)).gate, Verdict.APPROVED)
    valkey.run("FLUSHALL")
    valkey.restart()
    async with desk(settings) as session:
        await session.outbox.deliver()
        found = await session.outbox.find(decided.decision_id)
    assert (found.state, found.cause) == (OutboxState.CONFLICT, Cause.GONE)


async def test_a_forgotten_decision_waits_while_a_later_one_is_on_its_way(valkey: Server, settings: Settings) -> None:
    request = gate_request("Decided twice")
    await ask(valkey.url, TENANT, request)
    async with desk(settings) as session:
        gate = (await session.open_gate(request.request_id)).gate
        first = await session.decide(gate, Verdict.APPROVED)
        forget_decision(valkey, request)
        second = await session.outbox.queue(gate, Verdict.REJECTED, reason="On second thoughts")
    valkey.restart()
    async with desk(settings) as session, asyncio.timeout(10):
        await session.outbox.deliver()
        await session.outbox.deliver()
        found = await session.outbox.find(first.decision_id)
    assert ledger(valkey, [request]).is_written_once(request.request_id, second.decision_id)
    assert (found.state, found.cause) == (OutboxState.CONFLICT, Cause.DECIDED)
    assert found.theirs is not None
    assert found.theirs.decision_id == second.decision_id
