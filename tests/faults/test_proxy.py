"""A connection that breaks at any point of the exchange: what is told is true at once, and in the end each is once."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from hitl_desktop.domain.decision import Verdict
from hitl_desktop.domain.gate import Gate
from hitl_desktop.domain.outbox import OutboxEntry, OutboxState
from hitl_desktop.services.connection import ANSWER_WITHIN
from hitl_desktop.services.encoding import GateRequest
from hitl_desktop.services.errors import Interrupted, Unavailable
from hitl_desktop.services.scripts import DECIDE
from hitl_desktop.session import ReviewSession, open_backend, open_session
from hitl_desktop.settings import read_settings
from tests.faults.ledger import Ledger, ledger
from tests.faults.lives import Figures, settings_of
from tests.faults.proxy import Fault, Harm, Proxy, Way, proxy_before
from tests.gates import TENANT, gate_request, opened, posted
from tests.servers import Server
from tests.waiting import until

_TRIES = 8
_VARIES = 200
_ANSWERS = 80
_ASKING = 0.02
"""Seconds in which a client has sent what it sends, and waits. If it has not, it waits longer, and that is all."""


@pytest.fixture
async def proxy(valkey: Server) -> AsyncIterator[Proxy]:
    async with proxy_before(valkey.port) as before:
        yield before


@asynccontextmanager
async def desk(home: Path, server: Server, proxy: Proxy) -> AsyncIterator[ReviewSession]:
    settings = read_settings(settings_of(home, server, proxy.url))
    async with open_backend(settings) as backend, open_session(backend, TENANT, live=False) as session:
        yield session


async def waiting_gates(server: Server, count: int) -> tuple[list[GateRequest], list[Gate]]:
    """Return new gates on a server that has no others."""
    server.run("FLUSHALL")
    requests = [gate_request(f"Gate {number}") for number in range(count)]
    async with opened(server) as gates:
        return requests, [await posted(gates, request) for request in requests]


async def queued(session: ReviewSession, gates: Sequence[Gate]) -> list[OutboxEntry]:
    return [await session.outbox.queue(gate, Verdict.APPROVED, reason="Because") for gate in gates]


def check_told(books: Ledger, rows: Sequence[OutboxEntry]) -> None:
    """Check that what the outbox says of each decision is true, as far as it says anything."""
    for row in rows:
        if row.state is OutboxState.DELIVERED:
            assert books.is_written_once(row.request_id, row.decision_id)
        elif row.state is OutboxState.QUEUED:
            assert not books.has(row.decision_id)
        else:
            assert row.state is OutboxState.UNKNOWN


async def delivered(session: ReviewSession, names: set[str]) -> None:
    """Deliver, as often as it takes now that the connection is faithful."""
    for _ in range(_TRIES):
        with suppress(Unavailable):
            await session.outbox.deliver()
    rows = [row for row in await session.outbox.entries() if row.decision_id in names]
    assert [row.state for row in rows] == [OutboxState.DELIVERED] * len(names)


async def length(home: Path, server: Server, proxy: Proxy, count: int, *, knows_script: bool = True) -> dict[Way, int]:
    """Return how many bytes pass either way while `count` decisions are delivered undisturbed."""
    server.run("SCRIPT", "LOAD", DECIDE.text) if knows_script else server.run("SCRIPT", "FLUSH")
    _, gates = await waiting_gates(server, count)
    async with desk(home, server, proxy) as session:
        await queued(session, gates)
        proxy.arm(None)
        await session.outbox.deliver()
        return dict(proxy.passed)


async def disturbed(home: Path, server: Server, proxy: Proxy, fault: Fault, count: int) -> OutboxState:
    """Deliver `count` decisions through `fault`; return what the outbox said of the last one right afterwards."""
    requests, gates = await waiting_gates(server, count)
    async with desk(home, server, proxy) as session:
        entries = await queued(session, gates)
        names = {entry.decision_id for entry in entries}
        proxy.arm(fault)
        with suppress(Unavailable):
            await session.outbox.deliver()
        rows = [row for row in await session.outbox.entries() if row.decision_id in names]
        check_told(ledger(server, requests), rows)
        proxy.fault = None
        await delivered(session, names)
        proxy.release()
    await all_said(server, proxy)
    books = ledger(server, requests)
    assert all(books.is_written_once(entry.request_id, entry.decision_id) for entry in entries)
    return rows[-1].state


async def all_said(server: Server, proxy: Proxy) -> None:
    """Wait until the server has read all that was on its way to it, and repeat what clients have said."""
    await proxy.replay()
    await until(lambda: proxy.is_quiet, "nothing is on its way any more")
    await until(lambda: server.run("INFO", "clients")["connected_clients"] == 1, "the server has read it all")


@pytest.mark.parametrize("harm", [Harm.CUT, Harm.RESET, Harm.DEAF])
@pytest.mark.parametrize("way", list(Way))
@pytest.mark.parametrize("count", [1, 5])
async def test_every_point_of_the_exchange(
    valkey: Server, home: Path, proxy: Proxy, figures: Figures, *, harm: Harm, way: Way, count: int, full: bool
) -> None:
    total = (await length(home, valkey, proxy, count))[way]
    spread = range(1, total + 1, max(1, total // (150 if full else 8)))
    # What the server tells of itself fills most of the way back; the answers are at its end.
    points = sorted({*spread, *range(max(1, total - _ANSWERS), total + 1, 1 if full else 8)})
    said = []
    for fault in (happened := [Fault(harm, way, point) for point in points]):
        said.append(await disturbed(home, valkey, proxy, fault, count))
    # What the server tells of itself is not always of the same length.
    assert sum(fault.happened for fault in happened) >= len(spread) - 1
    assert len(set(said)) > 1
    counts = {state.value: said.count(state) for state in OutboxState if state in said}
    figures(f"{harm} at {len(points)} points of {total} bytes {way}, {count} decisions each: {counts}")


async def test_a_server_that_has_forgotten_the_script(valkey: Server, home: Path, proxy: Proxy, *, full: bool) -> None:
    total = (await length(home, valkey, proxy, 2, knows_script=False))[Way.UP]
    for point in range(1, total + 1, max(1, total // (100 if full else 8))):
        valkey.run("SCRIPT", "FLUSH")
        fault = Fault(Harm.CUT, Way.UP, point)
        await disturbed(home, valkey, proxy, fault, 2)
        assert fault.happened or point > total - _VARIES


def giving_up(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return what lets clients on this loop give up at once, as if they had waited all the time that they wait."""
    loop = asyncio.get_running_loop()
    clock, skipped = loop.time, 0.0
    monkeypatch.setattr(loop, "time", lambda: clock() + skipped)

    def skip() -> None:
        nonlocal skipped
        skipped += ANSWER_WITHIN

    def stalled() -> None:
        loop.call_later(_ASKING, skip)

    return stalled


@pytest.mark.parametrize("way", list(Way))
async def test_bytes_that_arrive_after_the_client_has_given_up(
    valkey: Server, home: Path, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, *, way: Way, full: bool
) -> None:
    proxy.when_stalled = giving_up(monkeypatch)
    total = (await length(home, valkey, proxy, 2))[way]
    for point in range(1, total + 1, max(1, total // (60 if full else 8))):
        fault = Fault(Harm.STALL, way, point)
        await disturbed(home, valkey, proxy, fault, 2)
        assert fault.happened or point > total - _VARIES


async def test_every_connection_twice(valkey: Server, home: Path, proxy: Proxy, *, full: bool) -> None:
    proxy.doubles = True
    for count in range(1, 40 if full else 6):
        await disturbed(home, valkey, proxy, Fault(Harm.CUT, Way.DOWN, 10**9), count)


@pytest.mark.parametrize("way", list(Way))
async def test_who_waits_is_told_what_happened_or_that_it_is_unknown(
    valkey: Server, home: Path, proxy: Proxy, *, way: Way, full: bool
) -> None:
    total = (await length(home, valkey, proxy, 1))[way]
    outcomes = []
    for point in range(1, total, max(1, total // (60 if full else 6))):
        (request,), (gate,) = await waiting_gates(valkey, 1)
        async with desk(home, valkey, proxy) as session:
            proxy.arm(Fault(Harm.CUT, way, point))
            try:
                decided = await session.decide(gate, Verdict.APPROVED)
            except Interrupted:
                outcomes.append("unknown")
                await session.outbox.deliver()
                assert request.request_id not in ledger(valkey, [request]).pending
            except Unavailable:
                outcomes.append("not written")
                assert ledger(valkey, [request]).gates[request.request_id]["status"] == "pending"
                assert request.request_id not in {row.request_id for row in await session.outbox.entries()}
            else:
                outcomes.append("written")
                assert ledger(valkey, [request]).is_written_once(request.request_id, decided.decision_id)
    assert {"written", "not written"} <= set(outcomes)


async def test_a_server_out_of_reach_after_the_script_ran_leaves_it_unknown(
    valkey: Server, home: Path, proxy: Proxy
) -> None:
    (request,), (gate,) = await waiting_gates(valkey, 1)
    valkey.run("SCRIPT", "LOAD", DECIDE.text)
    async with desk(home, valkey, proxy) as session:
        proxy.arm(Fault(Harm.DEAF, Way.DOWN, len(b"+PONG\r\n") + 1))
        proxy.refuses = True
        with pytest.raises(Interrupted, match="gates sync"):
            await session.decide(gate, Verdict.APPROVED)
        (row,) = await session.outbox.entries()
        assert (row.state, row.can_be_withdrawn) == (OutboxState.UNKNOWN, False)
        assert "nothing was written" not in row.problem
        assert ledger(valkey, [request]).is_written_once(request.request_id, row.decision_id)
        proxy.refuses = False
        await delivered(session, {row.decision_id})
    assert ledger(valkey, [request]).is_written_once(request.request_id, row.decision_id)
