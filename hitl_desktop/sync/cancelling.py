"""Ending tasks for certain."""

import asyncio
from collections.abc import Iterable
from typing import Any

_AGAIN_AFTER = 0.5


async def ended(tasks: Iterable["asyncio.Task[Any]"]) -> None:
    """Cancel tasks and return when they have ended; what they fail with meanwhile is nobody's concern any more."""
    tasks = tuple(tasks)
    # Until Python 3.12, a cancellation that meets the end of a wait is lost: it is sent again until they have ended.
    while left := [task for task in tasks if not task.done()]:
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=_AGAIN_AFTER)
    for task in tasks:
        if not task.cancelled():
            task.exception()
