"""A cancellation counts whenever it comes, also where redis-py would keep it to itself and wait for the reply."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from hitl_desktop.services.tenant_redis import TenantRedis
from tests.servers import Server
from tests.waiting import until

Ask = Callable[[TenantRedis], Awaitable[object]]


async def ping(client: TenantRedis) -> object:
    return await client.ping()


async def blocked(client: TenantRedis) -> object:
    """Wait for what never comes: who goes on to wait for the reply waits for good."""
    return await client.blpop(["none"], timeout=0)


async def together(client: TenantRedis) -> object:
    async with client.pipeline(transaction=False) as pipeline:
        pipeline.set("k", "1")
        return await pipeline.execute()


async def heard(client: TenantRedis) -> object:
    async with client.pubsub() as hearing:
        await hearing.subscribe("c")
        return await hearing.get_message(timeout=None)


@pytest.mark.parametrize("by_url", [True, False])
@pytest.mark.parametrize("ask", [ping, blocked, together, heard])
@pytest.mark.parametrize("enabled", ["true", "false"])
async def test_a_cancellation_counts_whenever_it_comes(
    server: Server, monkeypatch: pytest.MonkeyPatch, ask: Ask, enabled: str, *, by_url: bool
) -> None:
    monkeypatch.setenv("MULTI_TENANCY_ENABLED", enabled)
    answers = 0
    asking: asyncio.Task[None]

    def made() -> TenantRedis:
        if by_url:
            return TenantRedis.from_url(server.url, tenant="acme-corp")
        return TenantRedis("acme-corp", host=server.host, port=server.port)

    async def ask_on() -> None:
        nonlocal answers
        async with made() as client:
            await client.ping()
            while True:
                answers += 1
                await ask(client)

    for turns in range(20):
        before = answers
        asking = asyncio.create_task(ask_on())
        await until(lambda before=before: answers > before, "it asks")  # type: ignore[misc]
        for _ in range(turns):
            await asyncio.sleep(0)
        asking.cancel()
        await until(asking.done, "it has ended")
        assert asking.cancelled()


async def test_a_cancellation_that_came_before_a_call_ends_it(server: Server) -> None:
    answers: list[object] = []

    async def ask_once_more() -> None:
        async with TenantRedis("acme-corp", host=server.host, port=server.port) as client:
            await client.ping()
            task = asyncio.current_task()
            assert task is not None
            task.cancel()  # as Ctrl-C does, which comes while the task runs
            answers.append(await client.ping())

    asking = asyncio.create_task(ask_once_more())
    await asyncio.wait([asking])
    assert asking.cancelled()
    assert answers == []


async def test_a_connection_that_was_cancelled_while_sending_gives_nobody_its_reply(server: Server) -> None:
    async with TenantRedis("acme-corp", host=server.host, port=server.port, max_connections=1) as client:
        for turns in range(25):
            asking = asyncio.ensure_future(client.echo("theirs"))
            for _ in range(turns):
                await asyncio.sleep(0)
            asking.cancel()
            await asyncio.wait([asking])
            assert await client.echo("mine") == b"mine"
