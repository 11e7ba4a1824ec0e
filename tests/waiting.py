"""Waiting for a condition on the event loop, with a deadline."""

import asyncio
from collections.abc import Callable

from tests.processes import DEADLINE

_POLL = 0.005


async def until(condition: Callable[[], object], what: str, *, within: float = DEADLINE) -> None:
    """Return as soon as `condition` holds, while the loop goes on.

    Raises:
        TimeoutError: it did not hold `within` seconds; the message names `what`.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + within
    while not condition():
        if clock() > deadline:
            raise TimeoutError(f"after {within:.0f} s still waiting until {what}")
        await asyncio.sleep(_POLL)
