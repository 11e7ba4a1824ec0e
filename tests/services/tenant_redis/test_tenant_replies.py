"""Every reply is what redis-py gives for unprefixed data: no name comes back with a prefix, none of another tenant."""

from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from hitl_desktop.services import ForeignNameError
from hitl_desktop.services.tenant_redis.prefix import Prefix
from hitl_desktop.services.tenant_redis.replies import SHAPES, unprefixing
from hitl_desktop.services.tenant_redis.rewriting import HARMLESS
from hitl_desktop.tenancy import TenantNames
from tests.servers import Server
from tests.services.tenant_redis.clients import ENCODER, PREFIX, TENANT, as_other, clients, command_rows
from tests.services.tenant_redis.invocations import keyed
from tests.services.tenant_redis.samples import SAMPLES, SEED

OPTIONS: list[dict[str, Any]] = [
    {},
    {"protocol": 2, "decode_responses": True, "encoding_errors": "surrogateescape"},
    {"protocol": 3},
    {"protocol": 2, "legacy_responses": False},
    {"legacy_responses": False, "decode_responses": True, "encoding_errors": "surrogateescape"},
]
# They tell of the length of a key's name, or of the time.
UNLIKE = {"MEMORY USAGE", "OBJECT IDLETIME", "TIME", "XINFO CONSUMERS"}


async def seed(to: Any) -> None:
    async with to.pipeline(transaction=False) as pipeline:
        for call in SEED:
            pipeline.execute_command(*call)
        await pipeline.execute()


async def replied(of: Any, name: str) -> Any:
    try:
        found = await of.execute_command(name, *SAMPLES[name])
    except ResponseError as error:
        return str(error)
    # Keys have no order.
    if name == "KEYS":
        return sorted(found)
    return (found[0], sorted(found[1])) if name == "SCAN" else found


@pytest.mark.parametrize("options", OPTIONS, ids=str)
async def test_every_reply_is_what_redis_py_gives(server: Server, options: dict[str, Any]) -> None:
    known = command_rows(server).keys()
    plain = Redis(unix_socket_path=str(server.socket), db=1, **options)
    async with plain, clients(server, **options) as (ours, theirs):
        for name in sorted(SAMPLES.keys() & known):
            server.run("FLUSHALL")
            await seed(plain)
            await seed(ours)
            with as_other():
                await theirs.rpush("l", "theirs")
                await theirs.set("theirs", "theirs")
            expected, found = await replied(plain, name), await replied(ours, name)
            assert type(found) is type(expected), name
            assert found == expected or name in UNLIKE, name
            assert PREFIX.decode() not in repr(found), name
            assert "theirs" not in repr(found), name
            with as_other():
                assert await theirs.llen("l") == 1, name
                assert await theirs.exists("theirs"), name


def test_every_command_has_a_sample(server: Server) -> None:
    rows = command_rows(server)
    of_channels = {name for name in SHAPES if name.startswith("PUBSUB")}
    assert set(keyed(rows)) - {"WATCH"} <= SAMPLES.keys()
    assert SAMPLES.keys() >= HARMLESS
    assert SHAPES.keys() - of_channels <= SAMPLES.keys()


async def test_scans_tell_of_ones_own_keys_alone(server: Server) -> None:
    async with clients(server, decode_responses=True) as (ours, theirs):
        await ours.mset({"asdlc:a": 1, "asdlc:b": 1, "[x": 1, "x": 1})
        with as_other():
            await theirs.mset({"asdlc:a": 1, "asdlc:c": 1})
        server.run("SET", "asdlc:unprefixed", "1")
        assert {key async for key in ours.scan_iter()} == {"asdlc:a", "asdlc:b", "[x", "x"}
        assert {key async for key in ours.scan_iter("asdlc:*", count=1)} == {"asdlc:a", "asdlc:b"}
        assert {key async for key in ours.scan_iter(_type="string")} == {"asdlc:a", "asdlc:b", "[x", "x"}
        assert [key async for key in ours.scan_iter(r"\[x")] == ["[x"]
        assert [key async for key in ours.scan_iter("*:*:asdlc*")] == []
        assert sorted(await ours.keys("asdlc:*")) == ["asdlc:a", "asdlc:b"]
        # The last MATCH counts for the server, so each is rewritten.
        found = await ours.execute_command("scan", 0, "match", "*", b"MATCH", "asdlc:a", "COUNT", 100)
        assert found == (0, ["asdlc:a"])


async def test_a_callback_of_the_callers_own_gets_bare_names(server: Server) -> None:
    async with clients(server) as (ours, _):
        await ours.rpush("l", "1")
        ours.set_response_callback("blpop", lambda reply, **_: {"key": reply[0]})
        ours.set_response_callback("GET", lambda reply, **_: [reply])
        assert await ours.execute_command("BLPOP", "l", 1) == {"key": b"l"}
        assert await ours.get("l2") == [None]


@pytest.mark.parametrize("name", ["tenant:acme-corpse:k", b"tenant:widgets-inc:k", "k", b"", None, 1])
def test_a_name_of_somebody_elses_is_withheld(name: Any) -> None:
    prefix = Prefix(TenantNames(TENANT), ENCODER)
    for command, reply in (("KEYS", [name]), ("SCAN", [0, [name]]), ("BLPOP", [name, b"v"]), ("XREAD", {name: []})):
        with pytest.raises(ForeignNameError):
            unprefixing(command, prefix, None)(reply)
