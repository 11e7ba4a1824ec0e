"""A reading task that is cancelled ends at once, at whatever moment that meets it."""

import asyncio
from itertools import count

from hitl_desktop.services.connection import connect
from tests.servers import Server

_MOMENTS = 300


async def test_a_cancellation_is_never_lost_while_reading(valkey: Server) -> None:
    async with connect(valkey.url) as connection:
        reads = count()

        async def reading() -> None:
            while True:
                await connection.read("PING")
                next(reads)

        for moment in range(_MOMENTS):
            task = asyncio.create_task(reading())
            for _ in range(moment % 30):
                await asyncio.sleep(0)
            task.cancel()
            done, _ = await asyncio.wait({task}, timeout=1)
            task.cancel()
            assert done, moment
            assert task.cancelled()
    assert next(reads)
