"""Pipelines of one tenant, transactional or not, and while they watch."""

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as LostConnectionError
from redis.exceptions import ResponseError, WatchError

from tests.servers import Server
from tests.services.tenant_redis.clients import as_other, client, clients


@pytest.mark.parametrize("transaction", [True, False])
async def test_commands_and_names_in_replies(server: Server, transaction: bool) -> None:  # noqa: FBT001 - a parameter of the test
    async with clients(server) as (ours, theirs):
        with as_other():
            await theirs.mset({"k": "theirs", "only": "theirs"})
        async with ours.pipeline(transaction=transaction) as pipeline:
            assert not len(pipeline)
            assert bool(pipeline)
            pipeline.set("k", "1").incr("k").mget("k", "only").rpush("l", "a")
            pipeline.execute_command(b"blpop", "l", 1)
            pipeline.xadd("x", {"f": "v"}, id="1-1").xread({"x": 0}).scan(0, count=100).keys("k*")
            assert len(pipeline) == 9
            replies = await pipeline.execute()
        assert replies[:5] == [True, 2, [b"2", None], 1, (b"l", b"a")]
        assert replies[5:7] == [b"1-1", [[b"x", [(b"1-1", {b"f": b"v"})]]]]
        assert (replies[7][0], sorted(replies[7][1]), replies[8]) == (0, [b"k", b"x"], [b"k"])


async def test_an_error_of_one_command_is_its_own(server: Server) -> None:
    async with client(server) as ours, ours.pipeline(transaction=False) as pipeline:
        pipeline.set("k", "text").lpush("k", "1").get("k")
        replies = await pipeline.execute(raise_on_error=False)
        assert (replies[0], replies[2]) == (True, b"text")
        assert isinstance(replies[1], ResponseError)
        pipeline.lpush("k", "1")
        with pytest.raises(ResponseError):
            await pipeline.execute()


async def test_watching_sees_the_tenants_key_and_no_others(server: Server) -> None:
    async with clients(server) as (ours, theirs):
        await ours.set("k", "1")
        for interfering, expected in ((theirs, [True]), (ours, None)):
            async with ours.pipeline() as pipeline:
                await pipeline.watch("k")
                assert pipeline.watching
                assert await pipeline.get("k") == b"1"
                if interfering is theirs:
                    with as_other():
                        await theirs.set("k", "2")
                else:
                    await ours.set("k", "1")
                pipeline.multi()
                pipeline.set("k", "1")
                if expected is None:
                    with pytest.raises(WatchError):
                        await pipeline.execute()
                else:
                    assert await pipeline.execute() == expected


async def test_unwatching_and_discarding(server: Server) -> None:
    async with client(server) as ours, ours.pipeline() as pipeline:
        await pipeline.watch("k")
        await ours.set("k", "1")
        await pipeline.unwatch()
        assert not pipeline.watching
        pipeline.set("k", "2")
        assert await pipeline.execute() == [True]
        pipeline.set("k", "3")
        await pipeline.reset()
        assert await pipeline.execute() == []
        assert await ours.get("k") == b"2"


async def test_transaction_retries_until_nobody_interferes(server: Server) -> None:
    async with client(server) as ours:
        await ours.set("k", "1")
        tries = []

        async def double(pipeline: Redis) -> None:
            value = int(await pipeline.get("k") or 0)
            tries.append(value)
            if len(tries) == 1:
                await ours.set("k", "5")
            pipeline.multi()  # type: ignore[attr-defined]
            pipeline.set("k", value * 2)

        assert await ours.transaction(double, "k") == [True]
        assert (tries, await ours.get("k")) == ([1, 5], b"10")


async def test_a_lost_connection_is_not_answered_by_sending_again(server: Server) -> None:
    async with client(server) as ours:
        await ours.incr("k")
        server.restart()
        with pytest.raises(LostConnectionError):
            await ours.incr("k")
        assert await ours.incr("k") == 2
