"""One of many reviewers who decide about the same gates: it waits for the start, decides about all, and says what came.

At the start each decides about one gate that is left to it; once all have, they race for the rest. With `waits`, each
decision is waited for; otherwise all are queued first, as without a network, and then delivered.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

from hitl_desktop.domain.decision import Verdict
from hitl_desktop.domain.gate import Gate
from hitl_desktop.domain.outbox import OutboxState
from hitl_desktop.services.errors import AlreadyDecided
from hitl_desktop.session import ReviewSession, open_backend, open_session
from hitl_desktop.settings import read_settings
from tests import processes
from tests.faults.nursery import say

_LONG = 120.0


class Told(NamedTuple):
    """What the reviewer was told of a gate: the decision that counts, and by whom it was."""

    request_id: str
    decision_id: str
    reviewer: str


def live(name: str, seed: str, place: str, start: str, way: str) -> None:
    """Decide about every gate that waits."""
    work = main(name, Random(int(seed)), int(place), Path(start), waits=way == "waits")  # noqa: S311 - shuffles
    told = asyncio.run(work)
    for one in told:
        say(name, "told", *one)


async def main(name: str, random: Random, place: int, start: Path, *, waits: bool) -> list[Told]:
    async with open_backend(read_settings()) as backend, open_session(backend, live=False) as session:
        gates = [record for record in await session.pending() if isinstance(record, Gate)]
        gates.sort(key=lambda gate: gate.request_id)
        say(name, "up")
        await asyncio.to_thread(processes.until, start.exists, "all may start", within=_LONG)
        told = await wait(session, [gates[place]])
        say(name, "first")
        rest = start.with_name("rest")
        await asyncio.to_thread(processes.until, rest.exists, "all may go on", within=_LONG)
        del gates[place]
        random.shuffle(gates)
        return told + await (wait if waits else queue)(session, gates)


async def wait(session: ReviewSession, gates: Sequence[Gate]) -> list[Told]:
    told = []
    for gate in gates:
        try:
            decided = await session.decide(gate, Verdict.APPROVED)
        except AlreadyDecided as lost:
            decided = lost.decided
        told.append(Told(gate.request_id, decided.decision_id, decided.reviewer))
    return told


async def queue(session: ReviewSession, gates: Sequence[Gate]) -> list[Told]:
    for gate in gates:
        await session.outbox.queue(gate, Verdict.REJECTED, reason="No")
    await session.outbox.deliver()
    told = []
    for row in await session.outbox.entries():
        if row.state is OutboxState.DELIVERED:
            told.append(Told(row.request_id, row.decision_id, session.reviewer))
        else:
            assert row.theirs is not None
            told.append(Told(row.request_id, row.theirs.decision_id, row.theirs.reviewer))
    return told
