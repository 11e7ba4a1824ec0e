"""Channels of one tenant: no other hears them, and names come back as the caller wrote them."""

import asyncio
from typing import Any

import pytest
from redis.exceptions import ConnectionError as LostConnectionError
from redis.typing import Subscription

from hitl_desktop.tenancy import TenantContext
from tests.servers import Server
from tests.services.tenant_redis.clients import OTHER, as_other, client, clients
from tests.waiting import until

PROTOCOLS: list[dict[str, Any]] = [{}, {"protocol": 2}, {"protocol": 3, "decode_responses": True}]


async def received(subscriptions: Any, count: int) -> list[dict[str, Any]]:
    """Return `count` messages, waiting for each."""
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(20):
        while len(found) < count:
            if (message := await subscriptions.get_message(timeout=5)) is not None:
                found.append(message)
    return found


def text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def told(messages: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [tuple(text(each[part]) for part in ("type", "pattern", "channel", "data")) for each in messages]


@pytest.mark.parametrize("options", PROTOCOLS, ids=str)
async def test_messages_stay_with_their_tenant_under_the_callers_names(server: Server, options: dict[str, Any]) -> None:
    async with (
        clients(server, **options) as (ours, theirs),
        ours.pubsub() as hearing,
        theirs.pubsub(ignore_subscribe_messages=True) as elsewhere,
    ):
        await hearing.subscribe("asdlc:c")
        await hearing.psubscribe("asdlc:[pq]*")
        await hearing.ssubscribe("asdlc:s")
        assert told(await received(hearing, 3)) == [
            ("subscribe", None, "asdlc:c", 1),
            ("psubscribe", None, "asdlc:[pq]*", 2),
            ("ssubscribe", None, "asdlc:s", 1),
        ]
        with as_other():
            await elsewhere.subscribe("asdlc:c")
            await elsewhere.psubscribe("*")
            await elsewhere.ssubscribe("asdlc:s")
            for _ in range(3):
                await elsewhere.get_message(timeout=5)
            assert await theirs.publish("asdlc:c", "theirs") == 2
            assert await theirs.spublish("asdlc:s", "theirs") == 1
        assert await ours.publish("asdlc:c", "1") == 1
        assert await ours.publish("asdlc:p1", "2") == 1
        assert await ours.spublish("asdlc:s", "3") == 1
        assert await ours.publish("asdlc:unheard", "4") == 0
        assert sorted(told(await received(hearing, 3)), key=str) == [
            ("message", None, "asdlc:c", "1"),
            ("pmessage", "asdlc:[pq]*", "asdlc:p1", "2"),
            ("smessage", None, "asdlc:s", "3"),
        ]
        assert sorted(text(name) for name in await ours.pubsub_channels()) == ["asdlc:c"]
        assert await ours.pubsub_channels("asdlc:x*") == []
        assert [text(name) for name in await ours.pubsub_shardchannels()] == ["asdlc:s"]
        assert [(text(name), count) for name, count in await ours.pubsub_numsub("asdlc:c", "n")] == [
            ("asdlc:c", 1),
            ("n", 0),
        ]
        found = await ours.execute_command("PUBSUB", "SHARDNUMSUB", "asdlc:s")
        assert [(text(name), count) for name, count in found] == [("asdlc:s", 1)]
        with as_other():
            assert {each[3] for each in told(await received(elsewhere, 3))} == {"theirs"}
            assert await elsewhere.get_message(timeout=0.05) is None


async def test_handlers_get_the_message_and_names_of_the_callers_own(server: Server) -> None:
    heard: list[Any] = []

    async def later(message: Any) -> None:
        heard.append(("later", message["channel"]))

    async with clients(server) as (ours, _), ours.pubsub(ignore_subscribe_messages=True) as hearing:
        await hearing.subscribe("plain", asdlc=lambda message: heard.append(("now", message["channel"])))
        await hearing.psubscribe(Subscription(b"\xff*", later))
        await hearing.ssubscribe(shard=lambda message: heard.append(("shard", message["channel"])))
        assert set(hearing.channels) == {b"plain", b"asdlc"}
        assert set(hearing.patterns) == {b"\xff*"}
        assert set(hearing.shard_channels) == {b"shard"}
        while len(await ours.pubsub_channels()) < 2:
            await hearing.get_message(timeout=0.01)
        await ours.publish("asdlc", "1")
        await ours.publish(b"\xff\x00", "1")
        await ours.spublish("shard", "1")
        await ours.publish("plain", "2")
        assert told(await received(hearing, 1)) == [("message", None, "plain", "2")]
        assert sorted(heard) == [("later", b"\xff\x00"), ("now", b"asdlc"), ("shard", b"shard")]


async def test_unsubscribing_by_name_and_from_all(server: Server) -> None:
    async with clients(server) as (ours, _), ours.pubsub() as hearing:
        await hearing.subscribe("a", "b")
        await hearing.psubscribe("p*")
        await hearing.ssubscribe("s")
        await received(hearing, 4)
        await hearing.unsubscribe("a")
        await hearing.punsubscribe("p*")
        await hearing.sunsubscribe()
        found = told(await received(hearing, 3))
        assert {each[:3] for each in found} == {
            ("unsubscribe", None, "a"),
            ("punsubscribe", None, "p*"),
            ("sunsubscribe", None, "s"),
        }
        assert (set(hearing.channels), hearing.patterns, hearing.shard_channels) == ({b"b"}, {}, {})
        await hearing.unsubscribe()
        await received(hearing, 1)
        assert not hearing.subscribed
        await hearing.ping("still there")
        assert (await received(hearing, 1))[0]["data"] == b"still there"


async def test_after_a_lost_connection_the_same_channels_are_heard_again(server: Server) -> None:
    heard: list[Any] = []
    async with client(server) as ours, ours.pubsub(ignore_subscribe_messages=True) as hearing:
        await hearing.subscribe(c=heard.append)
        await hearing.psubscribe("p*")
        for _ in range(2):
            assert await hearing.get_message(timeout=5) is None
        server.restart()
        with pytest.raises(LostConnectionError):
            await hearing.get_message(timeout=5)
        for _ in range(2):
            assert await hearing.get_message(timeout=5) is None
        assert server.run("PUBSUB", "CHANNELS") == [b"tenant:acme-corp:c"]
        server.run("PUBLISH", "tenant:acme-corp:p1", "x")
        server.run("PUBLISH", "tenant:acme-corp:c", "x")
        assert told(await received(hearing, 1)) == [("pmessage", "p*", "p1", "x")]
        await hearing.get_message(timeout=5)
        assert [message["channel"] for message in heard] == [b"c"]


async def test_running_hands_errors_to_the_handler_and_keeps_the_tenant(server: Server) -> None:
    failed: list[Any] = []

    def fail(message: Any) -> None:
        raise LookupError(message["channel"], TenantContext.get_current_tenant())

    async with clients(server) as (ours, _), ours.pubsub() as hearing:
        await hearing.subscribe(c=fail)
        running = asyncio.create_task(
            hearing.run(exception_handler=lambda error, of: failed.append((error.args, of)), poll_timeout=0.01)
        )
        await until(lambda: server.run("PUBSUB", "CHANNELS"), "the subscription stands")
        await ours.publish("c", "1")
        await until(lambda: failed, "the handler was called")
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert failed == [((b"c", "acme-corp"), hearing)]
        with pytest.raises(LookupError):
            await asyncio.gather(hearing.run(poll_timeout=0.01), ours.publish("c", "2"))


async def test_tenants_with_the_same_beginning_do_not_hear_each_other(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HITL_KEY_LAYOUT", "hashtag")
    async with client(server) as ours, client(server, "acme-corp-2") as longer, ours.pubsub() as hearing:
        await hearing.psubscribe("*")
        await received(hearing, 1)
        with TenantContext.tenant_scope("acme-corp-2"):
            assert await longer.publish("c", "1") == 0
            await longer.set("k", "1")
        assert await ours.keys() == []
        assert server.run("KEYS", "*") == [b"tenant:{acme-corp-2}:k"]
        assert OTHER not in repr(hearing.patterns)
