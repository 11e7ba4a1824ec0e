"""Several processes on one store, applications and verbs of the command line: no row is lost, none delivered twice."""

import asyncio
from pathlib import Path
from random import Random

from hitl_desktop.services.encoding import GateRequest
from tests import processes
from tests.faults.ledger import faults, ledger
from tests.faults.lives import Figures, Life, Nursery, hitl_desktop, outbox_rows, settings_of
from tests.gates import TENANT, ask, gate_request
from tests.servers import Server

_LONG = 40.0


async def test_windows_and_verbs_on_one_store(
    lasting: Server, home: Path, random: Random, figures: Figures, *, full: bool
) -> None:
    rounds, applications, count = (40, 4, 12) if full else (3, 3, 8)
    environment = settings_of(home, lasting)
    requests: list[GateRequest] = []
    acknowledged: dict[str, str] = {}
    verbs = kills = 0
    with Nursery(home, "reviewer", "verb") as nursery:
        for _ in range(rounds):
            lives = [nursery.born("reviewer", environment, str(random.getrandbits(32))) for _ in range(applications)]
            new = [gate_request("For whoever is first") for _ in range(count)]
            await ask(lasting.url, TENANT, *new)
            requests += new
            spoken = [nursery.born("verb", environment, *words_of(random, new)) for _ in range(applications)]
            verbs += len(spoken)
            if random.random() < 0.5:
                await asyncio.to_thread(away_for_a_moment, lasting, lives, random)
            if random.random() < 0.5:
                lives[0].kill()
                kills += 1
            await asyncio.to_thread(nothing_waits, lasting)
            for verb in spoken:
                assert await asyncio.to_thread(verb.ended, _LONG) == "0", nursery.complaints
            for life in (*lives, *spoken):
                life.kill()
                acknowledged |= life.acknowledged
        assert nursery.complaints == ""
    synced = await asyncio.to_thread(hitl_desktop, environment, "gates", "sync")
    assert synced.returncode in {0, 5}, synced.stderr
    rows = outbox_rows(environment)
    assert faults(ledger(lasting, requests), acknowledged, rows) == []
    figures(
        f"{rounds} rounds of {applications} applications and as many verbs ({verbs} in all) on one store: "
        f"{len(requests)} gates, {len(acknowledged)} decisions, {len(rows)} conflicts, {kills} kills"
    )


def words_of(random: Random, requests: list[GateRequest]) -> tuple[str, ...]:
    """Return a verb: one of those that decide, or the one that delivers."""
    request_id = random.choice(requests).request_id
    return random.choice(
        (
            ("gates", "approve", request_id),
            ("gates", "reject", request_id, "--reason", "No"),
            ("gates", "approve", request_id, "--offline"),
            ("gates", "sync"),
        )
    )


def away_for_a_moment(server: Server, lives: list[Life], random: Random) -> None:
    """Kill the server while the applications decide, and bring it back."""
    for life in lives:
        life.up()
    processes.until(lambda: any(life.acknowledged for life in lives) or random.random() < 0.02, "one has decided")
    server.kill()
    server.start()


def nothing_waits(server: Server) -> None:
    waiting = f"tenant:{TENANT}:asdlc:pending_gates"
    processes.until(lambda: server.run("ZCARD", waiting) == 0, "nothing waits any more", within=_LONG)
