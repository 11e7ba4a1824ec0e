"""Hundreds of decisions at once, several parts on their way at a time, and what cuts them short or goes wrong."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from random import Random

import pytest

from hitl_desktop.domain.decision import Verdict
from hitl_desktop.domain.gate import Gate
from hitl_desktop.domain.outbox import OutboxEntry, OutboxState
from hitl_desktop.services.encoding import GateRequest
from hitl_desktop.services.errors import Unavailable
from hitl_desktop.session import ReviewSession, open_backend, open_session
from hitl_desktop.settings import Settings, read_settings
from hitl_desktop.store.outbox_rows import entry_of
from hitl_desktop.store.tenant_store import open_tenant_store
from hitl_desktop.tenancy import TenantNames
from tests.faults.ledger import faults, ledger
from tests.faults.lives import settings_of
from tests.gates import PREFIX, TENANT, ask, decision, gate_request, opened
from tests.servers import Server
from tests.waiting import until

_MANY = 720  # more than two lanes claim at once, and no multiple of what is sent together


@pytest.fixture
def settings(home: Path, valkey: Server) -> Settings:
    return read_settings(settings_of(home, valkey))


@pytest.fixture
async def requests(valkey: Server) -> list[GateRequest]:
    """The gates of all the decisions, as they were asked for."""
    made = [gate_request(f"Gate {number}") for number in range(_MANY)]
    await ask(valkey.url, TENANT, *made)
    return made


@pytest.fixture
async def entries(valkey: Server, settings: Settings, requests: list[GateRequest]) -> list[OutboxEntry]:
    """A queued approval of each."""
    async with opened(valkey) as gates:
        names = [request.request_id for request in requests]
        read = [gate async for page in gates.read_all(names, whole=True) for gate in page]
    made = []
    with closing(open_tenant_store(settings, TenantNames(TENANT))) as store:
        for gate in read:
            assert isinstance(gate, Gate)
            made.append(entry_of(decision(gate), gate, "here", None))
            store.outbox.add(made[-1], gate.bundle.fields)
    return made


@asynccontextmanager
async def desk(settings: Settings, *, live: bool) -> AsyncIterator[ReviewSession]:
    async with open_backend(settings) as backend, open_session(backend, TENANT, live=live) as session:
        yield session


async def states(session: ReviewSession) -> Counter[OutboxState]:
    return Counter(entry.state for entry in await session.outbox.entries())


def shown(session: ReviewSession) -> Counter[OutboxState]:
    return Counter(entry.state for entry in session.book.decisions.values())


def answered(session: ReviewSession) -> int:
    return sum(count for state, count in shown(session).items() if not state.is_open)


def acknowledged(entries: list[OutboxEntry]) -> dict[str, str]:
    return {entry.decision_id: entry.request_id for entry in entries}


async def test_whatever_cuts_it_short_each_is_written_once(
    valkey: Server, settings: Settings, requests: list[GateRequest], entries: list[OutboxEntry], random: Random
) -> None:
    for _ in range(4):
        wanted = random.randrange(_MANY)
        async with desk(settings, live=True) as session:
            await until(lambda: shown(session)[OutboxState.DELIVERED] >= wanted, "some are delivered")  # noqa: B023 - at once
        async with desk(settings, live=False) as session:
            found = await states(session)
            assert found[OutboxState.SENDING] == 0, "nobody sends them any more"
            assert found.total() == _MANY
    async with desk(settings, live=True) as session:
        await until(lambda: shown(session)[OutboxState.DELIVERED] == _MANY, "all are delivered")
        assert faults(ledger(valkey, requests), acknowledged(entries), []) == []


async def test_lost_connections_lose_and_double_nothing(
    valkey: Server, settings: Settings, requests: list[GateRequest], entries: list[OutboxEntry], random: Random
) -> None:
    async with desk(settings, live=True) as session:
        for wanted in sorted(random.randrange(_MANY) for _ in range(3)):
            await until(lambda: shown(session)[OutboxState.DELIVERED] >= wanted, "some are delivered")  # noqa: B023 - at once
            valkey.run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        await until(lambda: shown(session)[OutboxState.DELIVERED] == _MANY, "all are delivered")
    assert faults(ledger(valkey, requests), acknowledged(entries), []) == []


async def test_what_conflicts_costs_no_other(
    valkey: Server, settings: Settings, requests: list[GateRequest], entries: list[OutboxEntry], random: Random
) -> None:
    decided, changed, gone, *_ = random.sample(requests, 3)
    async with opened(valkey) as gates:
        gate = await gates.get(decided.request_id)
        await gates.decide(decision(gate, Verdict.REJECTED), gate)
    valkey.run("HSET", f"{PREFIX}:evidence_bundle:{changed.bundle['bundle_id']}", "summary", "Another one")
    valkey.run("DEL", f"{PREFIX}:gate_request:{gone.request_id}")
    async with desk(settings, live=True) as session:
        await until(lambda: answered(session) == _MANY, "all have their answer")
        answers = {name: entry.cause for name, entry in session.book.decisions.items() if entry.state.needs_answer}
    assert answers == {decided.request_id: "decided", changed.request_id: "changed", gone.request_id: "gone"}
    books = ledger(valkey, requests)
    kept = [entry for entry in entries if entry.request_id not in answers]
    assert all(books.is_written_once(entry.request_id, entry.decision_id) for entry in kept)


async def test_a_server_that_takes_no_writes_leaves_all_of_them_queued(
    valkey: Server, settings: Settings, requests: list[GateRequest], entries: list[OutboxEntry]
) -> None:
    valkey.run("CONFIG", "SET", "min-replicas-to-write", "1")
    async with desk(settings, live=False) as session:
        with pytest.raises(Unavailable, match="takes no writes"):
            await session.outbox.deliver()
        assert await states(session) == {OutboxState.QUEUED: _MANY}
        assert {entry.attempts for entry in await session.outbox.entries()} == {0}
        valkey.run("CONFIG", "SET", "min-replicas-to-write", "0")
        await session.outbox.deliver()
    assert faults(ledger(valkey, requests), acknowledged(entries), []) == []


async def test_only_what_was_on_its_way_is_unknown(
    valkey: Server, settings: Settings, requests: list[GateRequest], entries: list[OutboxEntry]
) -> None:
    async with desk(settings, live=False) as session:
        valkey.run("CLIENT", "PAUSE", 60_000, "WRITE")
        with suppress(Unavailable):
            await session.outbox.deliver()
        found = await states(session)
        assert 0 < found[OutboxState.UNKNOWN] < _MANY / 2
        assert found[OutboxState.QUEUED] == _MANY - found[OutboxState.UNKNOWN]
        problems = {entry.problem for entry in await session.outbox.entries() if entry.state is OutboxState.QUEUED}
        assert problems == {""}
        valkey.run("CLIENT", "UNPAUSE")
        await session.outbox.deliver()
    assert faults(ledger(valkey, requests), acknowledged(entries), []) == []
