"""Kill -9 of the application and of the server at random points: no decision is lost, none is written twice."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random

from hitl_desktop.domain.decision import Verdict
from hitl_desktop.services.encoding import GateRequest
from hitl_desktop.services.errors import ServiceError
from tests import processes
from tests.faults.ledger import Ledger, faults, ledger
from tests.faults.lives import Figures, Life, Nursery, hitl_desktop, outbox_rows, settings_of
from tests.gates import TENANT, ask, decision, gate_request, opened
from tests.servers import Server
from tests.waiting import until

_SOON = 0.06
"""Seconds in which an application reviews, queues and delivers what a life has: where the kills should fall."""
_STARTING = 0.15
_RIVALS = 0.5


async def test_kills_of_the_application_and_the_server(
    lasting: Server, home: Path, random: Random, figures: Figures, *, full: bool
) -> None:
    kills, gates_of_a_life = (200, (2, 3, 3)) if full else (20, (3, 4))
    environment = settings_of(home, lasting)
    requests: list[GateRequest] = []
    acknowledged: dict[str, str] = {}
    states: Counter[str] = Counter()
    server_kills = 0
    with Nursery(home, "reviewer") as nursery:
        for number in range(kills):
            posted = [gate_request(f"Gate {number}") for _ in range(random.choice(gates_of_a_life))]
            await ask(lasting.url, TENANT, *posted)
            requests += posted
            life = nursery.born("reviewer", environment, str(random.getrandbits(32)))
            rival = asyncio.create_task(somebody_else(lasting, life, random))
            await asyncio.to_thread(until_a_random_point, life, random)
            if random.random() < 0.2:
                lasting.kill()
                server_kills += 1
            life.kill()
            acknowledged |= life.acknowledged
            states += Counter(row.state.value for row in outbox_rows(environment))
            lasting.start()
            await rival
        acknowledged |= await asyncio.to_thread(last_life, nursery, environment, lasting)
        assert nursery.complaints == ""
    synced = await asyncio.to_thread(hitl_desktop, environment, "gates", "sync")
    assert synced.returncode in {0, 5}, synced.stderr
    rows = outbox_rows(environment)
    assert faults(ledger(lasting, requests), acknowledged, rows) == []
    assert len(acknowledged) > len(requests) // 2
    figures(
        f"{kills} kills of the application and {server_kills} of the server: {len(requests)} gates, "
        f"{len(acknowledged)} decisions queued, in the outbox at the kills {dict(states)}, {len(rows)} conflicts"
    )


def last_life(nursery: Nursery, environment: dict[str, str], server: Server) -> dict[str, str]:
    """Let one application decide about what is left, and return what it decided."""
    life = nursery.born("reviewer", environment, "0").up()
    left = f"tenant:{TENANT}:asdlc:pending_gates"
    processes.until(lambda: server.run("ZCARD", left) == 0, "nothing waits any more")
    life.kill()
    return life.acknowledged


async def somebody_else(server: Server, life: Life, random: Random) -> None:
    """Let another reviewer decide about a gate that this one has just decided about, now and then."""
    if random.random() > _RIVALS:
        return
    with suppress(ServiceError, TimeoutError):
        await until(lambda: life.acknowledged, "it has decided", within=0.5)
        async with opened(server) as gates:
            gate = await gates.get(random.choice(list(life.acknowledged.values())))
            await gates.decide(decision(gate, random.choice(list(Verdict)), reviewer="other@example.org"), gate)


def until_a_random_point(life: Life, random: Random) -> None:
    """Wait until the application is somewhere between its start and its last delivery."""
    if random.random() < 0.1:
        time.sleep(random.uniform(0, _STARTING))
        return
    life.up()
    decided = random.choice((0, 1, 2, 3, 4))
    with suppress(TimeoutError):  # somebody else may have decided the rest
        processes.until(lambda: len(life.acknowledged) >= decided, "it has decided", within=0.5)
    time.sleep(random.uniform(0, _SOON))


async def test_kills_of_verbs(lasting: Server, home: Path, random: Random, figures: Figures, *, full: bool) -> None:
    kills = 200 if full else 16
    environment = settings_of(home, lasting)
    requests = [gate_request(f"Gate {number}") for number in range(kills)]
    await ask(lasting.url, TENANT, *requests)
    synced = await asyncio.to_thread(hitl_desktop, environment, "gates", "sync")
    assert synced.returncode == 0, synced.stderr
    acknowledged: dict[str, str] = {}
    with Nursery(home, "verb") as nursery:
        usual = await asyncio.to_thread(duration, nursery, environment)
        for request in requests:
            how = random.choice((("--offline",), ()))
            for words in (("gates", "approve", request.request_id, *how), ("gates", "sync")):
                life = nursery.born("verb", environment, *words)
                await asyncio.to_thread(life.up)
                if acknowledged:
                    await asyncio.sleep(random.uniform(0, 1.5 * usual))
                else:  # without a decision that was told of, nothing would be proved
                    await asyncio.to_thread(life.ended)
                life.kill()
                acknowledged |= life.acknowledged
        assert nursery.complaints == ""
    books = await books_after(lasting, environment, requests, acknowledged)
    figures(f"{2 * kills} kills of verbs: {len(acknowledged)} decisions were acknowledged, {len(books.events)} written")


async def books_after(
    server: Server, environment: Mapping[str, str], requests: Sequence[GateRequest], acknowledged: Mapping[str, str]
) -> Ledger:
    """Deliver what is left, and return what the server has then: each decision that was acknowledged, exactly once."""
    done = await asyncio.to_thread(hitl_desktop, environment, "gates", "sync")
    assert done.returncode == 0, done.stderr
    books = ledger(server, requests)
    assert faults(books, acknowledged, outbox_rows(environment)) == []
    assert acknowledged
    return books


def duration(nursery: Nursery, environment: dict[str, str]) -> float:
    """Return how many seconds a verb takes here and now, as the median of a few."""
    taken = []
    for _ in range(3):
        life = nursery.born("verb", environment, "gates", "sync").up()
        begun = time.monotonic()
        life.ended()
        taken.append(time.monotonic() - begun)
    return sorted(taken)[1]


async def test_kills_of_the_window(
    lasting: Server, home: Path, random: Random, figures: Figures, *, full: bool
) -> None:
    kills = 50 if full else 4
    environment = settings_of(home, lasting)
    requests: list[GateRequest] = []
    acknowledged: dict[str, str] = {}
    with Nursery(home, "windowed") as nursery:
        for number in range(kills):
            new = [gate_request(f"Gate {number}.{place}") for place in range(4)]
            await ask(lasting.url, TENANT, *new)
            requests += new
            life = nursery.born("windowed", environment, str(random.getrandbits(32)))
            # One at the first: without a decision that was told of, nothing would be proved.
            decided = random.choice((0, 1, 2)) if number else 1
            await asyncio.to_thread(life.up)
            await asyncio.to_thread(processes.until, partial(has_decided, life, decided), "it has decided")
            await asyncio.sleep(random.uniform(0, _SOON))
            life.kill()
            acknowledged |= life.acknowledged
        assert nursery.complaints == ""
    books = await books_after(lasting, environment, requests, acknowledged)
    figures(
        f"{kills} kills of the window: {len(acknowledged)} decisions had left its list, {len(books.events)} written"
    )


def has_decided(life: Life, count: int) -> bool:
    assert not life.has_ended
    return len(life.acknowledged) >= count
