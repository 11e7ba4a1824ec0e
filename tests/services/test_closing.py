"""A connection that is left is closed, however it is left."""

import asyncio
from contextlib import suppress

from hitl_desktop.services.connection import connect
from tests.servers import Server
from tests.waiting import until


def clients(server: Server) -> int:
    return int(server.run("INFO", "clients")["connected_clients"])


async def test_a_cancellation_that_meets_the_closing_leaves_nothing_open(server: Server) -> None:
    before = clients(server)

    async def leave_cancelled() -> None:
        async with connect(server.url) as connection:
            await connection.read("PING")
            task = asyncio.current_task()
            assert task is not None
            task.cancel()

    task = asyncio.create_task(leave_cancelled())
    with suppress(asyncio.CancelledError):
        await task
    assert task.cancelled()
    await until(lambda: clients(server) == before, "the server has no more clients than before")
