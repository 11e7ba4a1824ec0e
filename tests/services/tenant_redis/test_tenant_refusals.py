"""What TenantRedis refuses before anything is sent, however it is spelled."""

from functools import partial
from typing import Any, cast

import pytest
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.client import Pipeline
from redis.commands import AsyncCoreCommands, AsyncRedisModuleCommands, AsyncSentinelCommands
from redis.exceptions import DataError

from hitl_desktop.services import CommandRefusedError, TenantRedis
from hitl_desktop.tenancy import (
    TenancyError,
    TenantContext,
    TenantMismatchError,
    TenantNotAllowedError,
    TenantNotSetError,
)
from tests.servers import Server
from tests.services.tenant_redis.clients import OTHER, TENANT, client, clients

OTHERS_KEY = f"tenant:{OTHER}:asdlc:k"

REFUSED: list[tuple[Any, ...]] = [
    ("FLUSHALL",),
    ("flushdb",),
    (b"FLUSHALL",),
    ("FLUSHALL ASYNC",),
    (" flushall ",),
    ("RANDOMKEY",),
    ("SWAPDB", 0, 1),
    ("SELECT", 1),
    ("MONITOR",),
    ("CONFIG", "GET", "*"),
    ("CONFIG GET", "*"),
    (b"config get", "*"),
    ("ACL", "WHOAMI"),
    ("MIGRATE", "h", 1, "k", 0, 1),
    ("EVAL", "return 1", 0),
    ("EVAL", "return redis.call('GET', KEYS[1])", 1, "k"),
    ("EVALSHA", "0" * 40, 0),
    ("FCALL", "f", 1, "k"),
    ("SCRIPT", "LOAD", "return 1"),
    ("SCRIPT LOAD", "return 1"),
    ("SCRIPT FLUSH",),
    ("FUNCTION", "LIST"),
    ("CLIENT", "TRACKING", "ON", "BCAST"),
    ("CLIENT", "LIST"),
    ("CLIENT KILL", "ID", 1),
    ("SORT", "l", "BY", f"{OTHERS_KEY}*"),
    ("SORT", "l", "GET", "#"),
    ("SORT", "l", "ALPHA", b"get", f"{OTHERS_KEY}*"),
    ("SORT_RO", "l", "BY", "nosort"),
    ("SORT_RO", "l", "STORE", OTHERS_KEY),
    ("SORT", "l", "STORE"),
    ("GEORADIUS", "g", 0, 0, 1, "m", "SOMETHING", "NEW"),
    ("XREAD", "CLAIM", 1, "STREAMS", "x", 0),
    ("XREAD", "COUNT", 1),
    ("XREAD", "STREAMS", "x", "y", "0"),
    ("XREADGROUP", "COUNT", 1, "GROUP", "STREAMS", "c", "STREAMS", OTHERS_KEY, ">"),
    ("XREADGROUP", "STREAMS", "x", "y", "STREAMS", OTHERS_KEY),
    ("SCAN", 0, "SLOT", 1),
    ("SCAN", 0, "MATCH"),
    ("SCAN",),
    ("KEYS",),
    ("GET",),
    ("MGET",),
    ("BLPOP", 1),
    ("ZUNION", 3, "a", "b"),
    ("ZUNION", "1_0", "a"),
    ("ZUNION", "+1", "a"),
    ("ZUNION", "²", "a"),
    ("ZUNION", -1, "a"),
    ("ZUNION", 0, "a"),
    ("LMPOP", 10**30, "a", "LEFT"),
    ("LMPOP", "9" * 5000, "a", "LEFT"),
    (f"GET {OTHERS_KEY}",),
    (f"GET {OTHERS_KEY}".encode(), "k"),
    (f"GET\t{OTHERS_KEY}",),
    (f"DEL\n{OTHERS_KEY}", "k"),
    (f"XINFO STREAM {OTHERS_KEY}", "FULL"),
    ("XINFO", f"STREAM {OTHERS_KEY}"),
    ("XINFO", b"STREAM"),
    ("XINFO", 1, "k"),
    ("OBJECT", "HELP"),
    ("OBJECT",),
    ("UNHEARD-OF", "k"),
    ("JSON.SET", "k", "$", "1"),
    ("HIMPORT", "SET", OTHERS_KEY, "f", "v"),
    ("HIMPORT SET", OTHERS_KEY, "f", "v"),
    ("\u017fET", OTHERS_KEY, "v"),
    ("GE\u0054\u200b", OTHERS_KEY),
    (b"GE\xff", OTHERS_KEY),
    ("", "k"),
    (" ", "k"),
    (memoryview(b"GET"), OTHERS_KEY),
    (bytearray(b"GET"), OTHERS_KEY),
    (["GET"], OTHERS_KEY),
    (5, OTHERS_KEY),
    (None, OTHERS_KEY),
    (True, OTHERS_KEY),
    (),
    ("WATCH", "k"),
    ("MULTI",),
    ("EXEC",),
    ("DISCARD",),
    ("UNWATCH",),
    ("SUBSCRIBE", "c"),
    ("PSUBSCRIBE", "*"),
    ("SSUBSCRIBE", "c"),
    ("PUBSUB", "NUMPAT"),
    ("DBSIZE",),
    ("INFO",),
    ("SLOWLOG GET",),
    ("COMMAND GETKEYS", "GET", "k"),
    ("DEBUG", "OBJECT", "k"),
    ("HELLO", 3),
    ("AUTH", "user", "password"),
    ("RESET",),
    ("QUIT",),
    ("SENTINEL", "MASTERS"),
]


def processed(server: Server) -> int:
    return int(server.run("INFO", "stats")["total_commands_processed"])


async def test_what_cannot_be_kept_within_the_tenant_is_never_sent(server: Server) -> None:
    async with clients(server) as (ours, _):
        await ours.ping()
        alone = processed(server)
        before = processed(server)
        for call in REFUSED:
            with pytest.raises(CommandRefusedError) as refused:
                await ours.execute_command(*call)
            assert isinstance(refused.value, TenancyError), call
        assert processed(server) - before == before - alone


@pytest.mark.parametrize("key", [None, True, ["k"], {"k": 1}, object()])
async def test_a_key_that_is_none_is_redis_pys_error(valkey: Server, key: object) -> None:
    async with clients(valkey) as (ours, _):
        with pytest.raises(DataError):
            await ours.execute_command("GET", key)
        with pytest.raises(DataError):
            await ours.execute_command("MGET", "k", key)


async def test_pipelines_refuse_at_once_and_send_the_rest(server: Server) -> None:
    in_pipelines = ("WATCH", "DISCARD", "UNWATCH")
    async with clients(server) as (ours, _):
        for transaction in (True, False):
            async with ours.pipeline(transaction=transaction) as pipeline:
                pipeline.set("k", int(transaction))
                for call in (call for call in REFUSED if not call or call[0] not in in_pipelines):
                    for send in (pipeline.execute_command, pipeline.pipeline_execute_command):
                        with pytest.raises(CommandRefusedError):
                            send(*call)
                    with pytest.raises(CommandRefusedError):
                        await pipeline.immediate_execute_command(*call)
                assert len(pipeline) == 1
                assert await pipeline.execute() == [True]


@pytest.mark.parametrize(
    "attribute",
    [
        "connection_pool",
        "connection",
        "single_connection_client",
        "response_callbacks",
        "himport_registry",
        "unheard_of",
    ],
)
async def test_no_connection_is_handed_out(valkey: Server, attribute: str) -> None:
    async with clients(valkey) as (ours, _):
        for held in (ours, ours.pipeline(), ours.pubsub()):
            assert not hasattr(held, attribute)
            with pytest.raises(CommandRefusedError):
                getattr(held, attribute)


async def test_methods_that_lead_past_the_wall_are_refused(valkey: Server) -> None:
    async with clients(valkey) as (ours, _):
        pool, plain = ConnectionPool(path=str(valkey.socket)), cast("Any", Redis)
        for lead in (
            ours.client,
            ours.monitor,
            ours.get_connection_kwargs,
            ours.get_retry,
            ours.keyspace_notifications,
            ours.json,
            ours.ts,
            lambda: TenantRedis.from_pool(pool),
            lambda: ours.set_retry(None),
            lambda: ours.load_external_module("get", print),
            lambda: ours.pubsub(push_handler_func=print),
            lambda: ours.pubsub(encoder=None),
            lambda: ours.lock("k", lock_class=object),
        ):
            with pytest.raises(CommandRefusedError):
                lead()
        for send in (
            lambda: ours.parse_response(None, "GET"),
            lambda: ours.himport_prepare("f", ["a"]),
            lambda: ours.himport_discard("f"),
            ours.himport_discard_all,
            lambda: ours.script_load("return 1"),
            lambda: ours.eval("return 1", 0),
            lambda: ours.evalsha("0" * 40, 0),
            ours.flushall,
            partial(plain.execute_command, ours, "FLUSHALL"),
        ):
            with pytest.raises(CommandRefusedError):
                await send()


def test_a_new_release_of_redis_py_adds_no_way_around() -> None:
    """Each method of redis-py's clients that sends by itself, rather than through `execute_command`, was looked at."""
    commands = {*dir(AsyncCoreCommands), *dir(AsyncRedisModuleCommands), *dir(AsyncSentinelCommands)}
    bound = type(client_of_nobody())
    untouched = {
        name for name in set(dir(Redis)) - commands if getattr(bound, name) is getattr(Redis, name) and name[0] != "_"
    }
    # `close` and `transaction` call what is bound.
    assert untouched == {"close", "himport_registry", "transaction"}
    pipeline = type(client_of_nobody().pipeline())
    untouched = {
        name
        for name in {*dir(Pipeline)} - (commands - {*vars(Pipeline)})
        if getattr(pipeline, name) is getattr(Pipeline, name) and name[0] != "_"
    }
    assert untouched == {
        *("UNWATCH_COMMANDS", "annotate_exception", "close", "discard", "raise_first_error", "unwatch", "watch"),
        *("get_encoder", "get_retry", "himport_registry", "set_retry"),
    }


def client_of_nobody() -> Any:
    return TenantRedis("acme-corp")


async def test_what_a_pipeline_inherits_finds_no_connection(valkey: Server) -> None:
    async with clients(valkey) as (ours, _):
        pipeline = ours.pipeline()
        for lead in (pipeline.get_encoder, pipeline.get_retry, lambda: pipeline.set_retry(None), pipeline.lock):
            with pytest.raises(CommandRefusedError):
                lead()
        for lead in (pipeline.client, pipeline.pipeline, pipeline.pubsub, pipeline.monitor, pipeline.transaction):
            with pytest.raises(CommandRefusedError):
                lead()


# --- whose it is ------------------------------------------------------------------------------------------------------


async def test_every_call_checks_for_whom_it_runs(server: Server) -> None:
    async with clients(server) as (ours, theirs):
        script = ours.register_script("return 1")
        pipeline, subscriptions = ours.pipeline(), ours.pubsub()
        pipeline.get("k")
        await subscriptions.subscribe("c")
        calls: list[Any] = [
            lambda: ours.get("k"),
            lambda: script(keys=["k"]),
            lambda: script(keys=["k"], client=pipeline),
            pipeline.execute,
            lambda: pipeline.watch("k"),
            subscriptions.get_message,
            lambda: subscriptions.subscribe("d"),
            subscriptions.run,
            lambda: anext(subscriptions.listen()),
            lambda: ours.lock("k").acquire(),
            lambda: anext(ours.scan_iter()),
        ]
        with TenantContext.tenant_scope(OTHER):
            for call in calls:
                with pytest.raises(TenantMismatchError):
                    await call()
            with pytest.raises(TenantMismatchError):
                pipeline.get("k")
        with pytest.raises(TenantMismatchError):
            await theirs.get("k")
        # Closing is always possible.
        with TenantContext.tenant_scope(OTHER):
            await subscriptions.aclose()
            await pipeline.reset()


async def test_a_script_that_names_its_tenant_needs_no_context(server: Server) -> None:
    TenantContext.clear()
    async with clients(server) as (ours, theirs):
        await ours.set("k", "1")
        assert await theirs.get("k") is None
        assert server.run("KEYS", "*") == [f"tenant:{TENANT}:k".encode()]


async def test_listening_stops_where_the_tenant_changes(server: Server) -> None:
    async with clients(server) as (ours, _), ours.pubsub(ignore_subscribe_messages=True) as subscriptions:
        await subscriptions.subscribe("c")
        await subscriptions.get_message(timeout=5)
        for message in ("1", "2"):
            await ours.publish("c", message)
        listening = subscriptions.listen()
        assert (await anext(listening))["data"] == b"1"
        with TenantContext.tenant_scope(OTHER), pytest.raises(TenantMismatchError):
            await anext(listening)


def test_a_client_needs_a_tenant_that_may_be_worked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TenantNotSetError):
        TenantRedis(None)
    for illegal in ("", "a:b", "A*", "../x", "a{b}"):
        with pytest.raises(TenantNotAllowedError):
            TenantRedis(illegal)
    monkeypatch.setenv("ALLOWED_TENANTS", "acme-corp,Old_Client")
    assert repr(TenantRedis("Old_Client")) == "<TenantRedis for 'Old_Client'>"
    with pytest.raises(TenantNotAllowedError):
        TenantRedis(OTHER)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "cp037", "punycode"])
def test_an_encoding_in_which_no_prefix_can_be_told_is_refused(encoding: str) -> None:
    with pytest.raises(ValueError, match="encoding"):
        TenantRedis("acme-corp", encoding=encoding)


async def test_a_prefix_is_the_same_in_any_encoding(server: Server) -> None:
    async with client(server, encoding="latin-1", encoding_errors="replace") as ours:
        await ours.mset({"käse": 1, "ключ": 2, b"\xff": 3})
    assert sorted(server.run("KEYS", "*")) == [
        b"tenant:acme-corp:????",
        b"tenant:acme-corp:k\xe4se",
        b"tenant:acme-corp:\xff",
    ]


def test_nothing_may_be_added_by_a_subclass() -> None:
    class Mine(TenantRedis):
        pass

    with pytest.raises(TypeError, match="subclasses"):
        Mine("acme-corp")
