"""Many reviewers on the same gates, each a process of its own: one decides about each, the others learn who did."""

import asyncio
from collections import Counter
from pathlib import Path
from random import Random

from tests.faults.ledger import faults, ledger
from tests.faults.lives import Figures, Life, Nursery, settings_of
from tests.gates import TENANT, ask, gate_request
from tests.servers import Server

_LONG = 500.0


async def test_one_decides_and_the_others_are_told_who(
    server: Server, home: Path, random: Random, figures: Figures, *, full: bool
) -> None:
    reviewers, count = (20, 500) if full else (5, 50)
    requests = [gate_request(f"Gate {number}") for number in range(count)]
    await ask(server.url, TENANT, *requests)
    start = home / "start"
    with Nursery(home, "racer") as nursery:
        lives = []
        for number in range(reviewers):
            environment = settings_of(home, server) | {
                "HITL_STATE_DIR": str(home / f"state-{number}"),
                "HITL_REVIEWER": f"reviewer-{number}",
            }
            seed, way = str(random.getrandbits(32)), "waits" if number % 2 else "queues"
            lives.append(nursery.born("racer", environment, seed, str(number), str(start), way))
        for life in lives:
            await asyncio.to_thread(life.up)
        start.touch()
        for life in lives:
            await asyncio.to_thread(life.heard, "first")
        start.with_name("rest").touch()
        for life in lives:
            assert await asyncio.to_thread(life.ended, _LONG) == "0", nursery.complaints
        assert nursery.complaints == ""
    books = ledger(server, requests)
    assert faults(books, {}, ()) == []
    won = {request_id: (gate["decision_id"], gate["reviewer"]) for request_id, gate in books.gates.items()}
    for life in lives:
        assert told(life) == won
    winners = Counter(reviewer for _, reviewer in won.values())
    assert len(winners) == reviewers
    figures(f"{reviewers} reviewers on {count} gates of {server.kind}: gates won by each {sorted(winners.values())}")


def told(life: Life) -> dict[str, tuple[str, str]]:
    """Return what one was told: for each gate the decision that counts, and whose it is."""
    lines = (line.split() for line in life.lines if line.startswith("told "))
    return {request_id: (decision_id, reviewer) for _, request_id, decision_id, reviewer in lines}
