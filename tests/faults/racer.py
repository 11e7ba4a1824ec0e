"""One of many reviewers who decide about the same gates: it waits for the start, decides about all, and says what came.

With `waits`, each decision is waited for; otherwise all are queued first, as without a network, and then delivered.
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


def live(name: str, seed: str, start: str, way: str) -> None:
    """Decide about every gate that waits."""
    told = asyncio.run(main(name, Random(int(seed)), Path(start), waits=way == "waits"))  # noqa: S311 - shuffles
    for one in told:
        say(name, "told", *one)


async def main(name: str, random: Random, start: Path, *, waits: bool) -> list[Told]:
    async with open_backend(read_settings()) as backend, open_session(backend, live=False) as session:
        gates = [record for record in await session.pending() if isinstance(record, Gate)]
        random.shuffle(gates)
        say(name, "up")
        await asyncio.to_thread(processes.until, start.exists, "all may start", within=_LONG)
        return await (wait if waits else queue)(session, gates)


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
