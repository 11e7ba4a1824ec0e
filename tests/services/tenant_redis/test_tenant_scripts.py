"""Registered scripts and locks: KEYS are the tenant's, whatever client they run on."""

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import LockNotOwnedError

from hitl_desktop.services import CommandRefusedError
from tests.servers import Server
from tests.services.tenant_redis.clients import as_other, client, clients

ADD = "redis.call('SET', KEYS[1], ARGV[1]) return {KEYS[1], redis.call('GET', KEYS[2])}"


async def test_a_script_is_loaded_once_and_works_on_the_tenants_keys(server: Server) -> None:
    async with clients(server) as (ours, theirs):
        script = ours.register_script(ADD)
        assert server.run("SCRIPT", "EXISTS", script.sha) == [False]
        await ours.set("read", "1")
        # What the script makes of its keys is its own: a key in its reply is the server's name.
        assert await script(keys=["written", b"read"], args=["v"]) == [b"tenant:acme-corp:written", b"1"]
        assert server.run("SCRIPT", "EXISTS", script.sha) == [True]
        server.run("SCRIPT", "FLUSH")
        assert await script(["written", "read"], ["w"]) == [b"tenant:acme-corp:written", b"1"]
        with as_other():
            assert await script(keys=["written", "read"], args=["x"], client=theirs) == [
                b"tenant:widgets-inc:written",
                None,
            ]
        assert await ours.get("written") == b"w"
        assert script.script == ADD


@pytest.mark.parametrize("transaction", [True, False])
async def test_a_script_in_a_pipeline(server: Server, transaction: bool) -> None:  # noqa: FBT001 - a parameter of the test
    async with clients(server) as (ours, _), ours.pipeline(transaction=transaction) as pipeline:
        script = ours.register_script(ADD)
        assert await script(keys=["a", "b"], args=["1"], client=pipeline) is pipeline
        await pipeline.register_script("return redis.call('GET', KEYS[1])")(keys=["a"])
        pipeline.get("a")
        assert await pipeline.execute() == [[b"tenant:acme-corp:a", None], b"1", b"1"]
        await pipeline.watch("a")
        assert await script(keys=["c", "a"], args=["2"], client=pipeline) == [b"tenant:acme-corp:c", b"1"]


async def test_a_script_runs_on_clients_of_tenants_alone(server: Server) -> None:
    plain = Redis(unix_socket_path=str(server.socket))
    async with plain, clients(server) as (ours, _):
        script = ours.register_script(ADD)
        for other in (plain, plain.pipeline(), object()):
            with pytest.raises(CommandRefusedError):
                await script(keys=["a", "b"], args=["1"], client=other)
        theirs: Any = plain.register_script(ADD)
        with pytest.raises(CommandRefusedError):
            await theirs(keys=["a", "b"], args=["1"], client=ours)
        assert server.run("DBSIZE") == 0


async def test_locks_of_two_tenants_and_of_nobody_do_not_meet(server: Server) -> None:
    plain = Redis(unix_socket_path=str(server.socket))
    async with plain, clients(server) as (ours, theirs):
        async with ours.lock("k", timeout=30) as held:
            with as_other():
                async with theirs.lock("k", timeout=30, blocking=False):
                    pass
            async with plain.lock("k", timeout=30, blocking=False):
                assert sorted(server.run("KEYS", "*")) == [b"k", b"tenant:acme-corp:k"]
            assert not await ours.lock("k", blocking=False).acquire()
            assert await held.owned()
            assert await held.extend(10)
            assert await held.reacquire()
        assert server.run("DBSIZE") == 0
        lost = ours.lock("k", timeout=30)
        await lost.acquire(token="mine")  # noqa: S106 - a lock's
        await ours.delete("k")
        with pytest.raises(LockNotOwnedError):
            await lost.release()


async def test_a_lock_waits_for_the_one_before(server: Server) -> None:
    async with client(server) as ours:
        first, second = ours.lock("k", timeout=30), ours.lock("k", timeout=30, sleep=0.005)
        await first.acquire()
        waiting = asyncio.create_task(second.acquire())
        await first.release()
        assert await waiting
        await second.release()
