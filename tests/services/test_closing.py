"""A connection that is left is closed, however it is left."""

import asyncio
from contextlib import suppress

import pytest

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


commands = pytest.mark.parametrize("command", [("PING",), ("XREAD", "BLOCK", 1, "STREAMS", "none", "0")], ids=str)


@commands
async def test_a_cancellation_counts_whenever_it_comes(valkey: Server, command: tuple[str | int, ...]) -> None:
    answers = 0

    async def ask_on() -> None:
        nonlocal answers
        async with connect(valkey.url) as connection:
            while True:
                await connection.read(*command)
                answers += 1

    async def more_than(count: int, asking: asyncio.Task[None]) -> None:
        await until(lambda: asking.done() or answers > count, "it is answered, or has ended")

    for turns in range(40):
        asking = asyncio.create_task(ask_on())
        await more_than(answers, asking)
        for _ in range(turns):
            await asyncio.sleep(0)
        asking.cancel()
        await more_than(answers, asking)
        assert asking.cancelled()


@commands
async def test_a_cancellation_that_came_before_a_call_ends_it(valkey: Server, command: tuple[str | int, ...]) -> None:
    answers: list[object] = []

    async def ask_once_more() -> None:
        async with connect(valkey.url) as connection:
            await connection.read("PING")
            task = asyncio.current_task()
            assert task is not None
            task.cancel()  # as Ctrl-C does, which comes while the task runs
            answers.append(await connection.read(*command))

    asking = asyncio.create_task(ask_once_more())
    await asyncio.wait([asking])
    assert asking.cancelled()
    assert answers == []
