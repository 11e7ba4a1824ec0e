"""What a server forgot, because the tail of its append-only file is gone, is found out and delivered again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random

from hitl_desktop.domain.decision import Verdict
from hitl_desktop.domain.outbox import Cause
from hitl_desktop.services.encoding import GateRequest
from hitl_desktop.services.errors import Unavailable
from hitl_desktop.session import ReviewSession, open_backend, open_session
from hitl_desktop.settings import read_settings
from hitl_desktop.sync.monitor import Phase
from tests.faults.ledger import faults, ledger
from tests.faults.lives import Figures, hitl_desktop, outbox_rows, settings_of
from tests.gates import TENANT, ask, gate_request
from tests.servers import Server
from tests.waiting import until


@asynccontextmanager
async def session_of(environment: dict[str, str], *, live: bool = False) -> AsyncIterator[ReviewSession]:
    settings = read_settings(environment)
    async with open_backend(settings) as backend, open_session(backend, TENANT, live=live) as session:
        yield session


async def decide_all(session: ReviewSession, requests: list[GateRequest], verdict: Verdict) -> dict[str, str]:
    """Decide and wait for each; return the decisions' ids and their gates'."""
    decided = {}
    for request in requests:
        gate = (await session.open_gate(request.request_id)).gate
        result = await session.decide(gate, verdict, reason="Because")
        decided[result.decision_id] = request.request_id
    return decided


def lose(server: Server, size: int) -> None:
    """End the server and cut what it has written."""
    server.kill()
    server.forget(size)
    server.start()


async def test_a_tail_of_any_length(
    lasting: Server, home: Path, random: Random, figures: Figures, *, full: bool
) -> None:
    environment = settings_of(home, lasting)
    decided: dict[str, str] = {}
    requests: list[GateRequest] = []
    lost = 0
    for _ in range(60 if full else 6):
        new = [gate_request("Forgotten or not") for _ in range(10)]
        await ask(lasting.url, TENANT, *new)
        requests += new
        begin = lasting.written
        async with session_of(environment) as session:
            decided |= await decide_all(session, new, random.choice(list(Verdict)))
        lose(lasting, random.randint(begin, lasting.written))
        books = ledger(lasting, requests)
        lost += len(books.pending)
        async with session_of(environment) as session:
            await session.outbox.deliver()
        assert faults(ledger(lasting, requests), decided, outbox_rows(environment)) == []
    assert lost
    figures(f"{len(requests)} decisions, {lost} of them forgotten in {len(requests) // 10} cuts and delivered again")


async def test_the_command_line_delivers_again(lasting: Server, home: Path) -> None:
    environment = settings_of(home, lasting)
    requests = [gate_request("Forgotten") for _ in range(3)]
    await ask(lasting.url, TENANT, *requests)
    begin = lasting.written
    async with session_of(environment) as session:
        decided = await decide_all(session, requests, Verdict.APPROVED)
    lose(lasting, begin)
    assert len(ledger(lasting, requests).pending) == 3
    synced = await asyncio.to_thread(hitl_desktop, environment, "gates", "sync")
    assert synced.returncode == 0, synced.stderr
    assert faults(ledger(lasting, requests), decided, outbox_rows(environment)) == []


async def test_an_open_application_delivers_again(lasting: Server, home: Path, random: Random, *, full: bool) -> None:
    environment = settings_of(home, lasting)
    requests: list[GateRequest] = []
    decided: dict[str, str] = {}
    async with session_of(environment, live=True) as session:
        for _ in range(20 if full else 3):
            await session.monitor.reached(Phase.ONLINE)
            new = [gate_request("Forgotten") for _ in range(5)]
            await ask(lasting.url, TENANT, *new)
            requests.extend(new)
            begin = lasting.written
            decided |= await decide_all(session, new, Verdict.APPROVED)
            lose(lasting, random.randint(begin, lasting.written - 1))
            with suppress(Unavailable):
                await session.refresh()
            await until(lambda now=tuple(requests): not ledger(lasting, now).pending, "all is delivered again")  # type: ignore[misc]
        await until(lambda: not any(row.state.is_open for row in outbox_rows(environment)), "the outbox knows")
    assert faults(ledger(lasting, requests), decided, outbox_rows(environment)) == []


async def test_a_gate_that_is_forgotten_as_well_is_a_conflict(lasting: Server, home: Path) -> None:
    environment = settings_of(home, lasting)
    kept, forgotten = gate_request("Kept"), gate_request("Forgotten altogether")
    await ask(lasting.url, TENANT, kept)
    begin = lasting.written
    await ask(lasting.url, TENANT, forgotten)
    async with session_of(environment) as session:
        decided = await decide_all(session, [kept, forgotten], Verdict.APPROVED)
    lose(lasting, begin)
    synced = await asyncio.to_thread(hitl_desktop, environment, "gates", "sync")
    assert synced.returncode == 5, synced.stderr
    (row,) = rows = outbox_rows(environment)
    assert (row.request_id, row.cause) == (forgotten.request_id, Cause.GONE)
    assert faults(ledger(lasting, [kept, forgotten]), decided, rows) == []
