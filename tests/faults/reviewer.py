"""A reviewer's application: it reviews what waits, and tells of each decision once it is queued.

It says `up`, then `decided` with its id and its gate's for each decision. It works until it is killed, and now and then
works offline for a while.
"""

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from random import Random

from hitl_desktop.domain.decision import Verdict
from hitl_desktop.domain.outbox import AlreadyQueuedError, OutboxEntry
from hitl_desktop.services.errors import ServiceError
from hitl_desktop.session import ReviewSession, open_backend, open_session
from hitl_desktop.settings import read_settings
from hitl_desktop.sync.book import Change
from tests.faults.nursery import say

_OFFLINE = 0.3
_LOOK_EVERY = 0.05


def live(name: str, seed: str) -> None:
    """Review until killed."""
    asyncio.run(main(partial(say, name), Random(int(seed))))  # noqa: S311 - spreads what it does, guards nothing


async def main(tell: Callable[..., None], random: Random) -> None:
    async with open_backend(read_settings()) as backend, open_session(backend) as session:
        changed = asyncio.Event()

        def note(_change: Change) -> None:
            changed.set()

        session.book.follow(note)
        tell("up")
        while True:
            changed.clear()
            waiting = [name for name in session.book.pending_ids if name not in session.book.decisions]
            random.shuffle(waiting)
            for request_id in waiting:
                if queued := await review(session, request_id, random):
                    tell("decided", queued.decision_id, queued.request_id)
                if random.random() < _OFFLINE:
                    backend.work_offline(offline=not backend.is_offline)
            if not waiting and backend.is_offline:
                backend.work_offline(offline=False)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY):
                    await changed.wait()


async def review(session: ReviewSession, request_id: str, random: Random) -> OutboxEntry | None:
    """Read a gate and decide about it; what cannot be read now stays for later."""
    try:
        gate = (await session.open_gate(request_id)).gate
        verdict = random.choice(list(Verdict))
        queued = await session.submit(gate, verdict, reason="Because", conditions=("tests stay",))
    except (ServiceError, AlreadyQueuedError):
        return None
    assert isinstance(queued, OutboxEntry)
    return queued
