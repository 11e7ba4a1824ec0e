"""T08: all that a tenant can have is made for two, and who works for one sees nothing of the other's anywhere."""

from itertools import permutations
from typing import Any

import pytest
import redis

from hitl_desktop.services import TenantRedis
from hitl_desktop.services.acl import Role
from hitl_desktop.tenancy import TenantContext
from tests.isolation.filling import MARKS, fill
from tests.isolation.looks import LOOKS, the_command_line, the_documents
from tests.isolation.place import Place
from tests.services.chroma_server import chroma_server
from tests.users import address, load_functions, make_user, raw_client

ACME, WIDGETS = MARKS


async def fill_both(place: Place) -> list[str]:
    """Give both tenants one of everything, and return the ids of all their gates."""
    return await fill(place, ACME, WIDGETS) + await fill(place, WIDGETS, ACME)


async def test_each_tenant_sees_all_of_its_own_and_nothing_of_the_other(place: Place) -> None:
    asked = await fill_both(place)
    for look, words in LOOKS.items():
        for tenant, other in permutations(MARKS):
            seen = await look(place, tenant, asked)
            assert [word for word in words if f"{MARKS[tenant]}-{word}" not in seen] == [], look.__name__
            assert MARKS[other] not in seen, look.__name__
            assert other not in seen or look is the_command_line, look.__name__


async def test_a_machine_for_one_tenant_names_no_other(plain_place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = await fill_both(plain_place)
    monkeypatch.setenv("ALLOWED_TENANTS", ACME)
    assert WIDGETS not in await the_command_line(plain_place, ACME, asked)
    for verb in (("gates", "list"), ("gates", "show", asked[-1]), ("gates", "sync"), ("doctor",), ("tenants", "list")):
        refused = await plain_place.run(*verb, "--tenant", WIDGETS)
        assert (refused.code, refused.out) == (2, ""), verb
        assert MARKS[WIDGETS] not in refused.err


async def test_a_tenants_own_user_reads_lists_and_hears_nothing_of_another(place: Place) -> None:
    asked = await fill_both(place)
    load_functions(place.server)
    keys = [key.decode() for key in place.server.run("KEYS", "*")]
    for tenant, other in permutations(MARKS):
        make_user(place.server, place.names(tenant), Role.REVIEWER)
        with raw_client(place.server, place.names(tenant).redis_user(Role.REVIEWER)) as client:
            theirs = [key for key in keys if key.startswith(place.names(other).prefix)]
            assert len(theirs) > len(asked)
            for key in theirs:
                for command in READS:
                    with pytest.raises(redis.exceptions.NoPermissionError):
                        client.execute_command(command.format(key))
            for command in WHOLE:
                with pytest.raises(redis.exceptions.NoPermissionError):
                    client.execute_command(command)


# The placeholder is a key, which has no spaces here.
READS = (
    "GET {}",
    "TYPE {}",
    "DUMP {}",
    "EXISTS {}",
    "HGETALL {}",
    "HMGET {} status",
    "LRANGE {} 0 -1",
    "SMEMBERS {}",
    "ZRANGE {} 0 -1",
    "ZCARD {}",
    "XRANGE {} - +",
    "XREVRANGE {} + -",
    "XREAD STREAMS {} 0",
    "XINFO STREAM {}",
    "OBJECT ENCODING {}",
    "MEMORY USAGE {}",
    "SUBSCRIBE {}",
    "COPY {} mine",
    "DEL {}",
)
WHOLE = ("SCAN 0", "KEYS *", "RANDOMKEY", "DBSIZE", "MONITOR", "INFO", "CLIENT LIST", "PSUBSCRIBE *", "PUBSUB CHANNELS")


async def test_other_code_is_bound_by_both_walls(place: Place) -> None:
    """TenantRedis as the tenant's agent: the code prefixes, and the server would refuse what it missed."""
    await fill_both(place)
    for tenant, other in permutations(MARKS):
        make_user(place.server, place.names(tenant), Role.AGENT)
        user = address(place.server, place.names(tenant).redis_user(Role.AGENT))
        with TenantContext.tenant_scope(tenant):
            made: Any = TenantRedis.from_url(user, tenant=tenant, decode_responses=True)
            async with made as client:
                assert MARKS[tenant] in repr(await client.xrange("asdlc:events"))
                ((name, entries),) = await client.xread({"asdlc:audit": "0"})
                assert name == "asdlc:audit"
                assert MARKS[other] not in repr(entries)
                with pytest.raises(redis.exceptions.NoPermissionError):
                    await client.scan(0)
                outside = client.register_script("return redis.call('HGETALL', ARGV[1])")
                with pytest.raises(redis.exceptions.NoPermissionError):
                    await outside(args=[place.names(other).gate_request("x")])


async def test_nobody_hears_anothers_messages(place: Place) -> None:
    heard: dict[str, object] = {}
    async with place.client(ACME) as ours, ours.pubsub() as ears:
        await ears.psubscribe("*")
        assert (await ears.get_message(timeout=5))["type"] == "psubscribe"
        async with place.client(WIDGETS) as theirs, theirs.pubsub() as their_ears:
            await their_ears.psubscribe("*")
            await theirs.publish("asdlc:channel", MARKS[WIDGETS])
            assert await theirs.pubsub_channels() == []
            while heard.get("type") != "pmessage":
                heard = await their_ears.get_message(timeout=5)
            assert heard["data"] == MARKS[WIDGETS]
        await ours.publish("asdlc:channel", MARKS[ACME])
        message = await ears.get_message(timeout=5)
        assert (message["type"], message["channel"], message["data"]) == ("pmessage", "asdlc:channel", MARKS[ACME])


async def test_a_knowledge_store_of_its_own_process_keeps_tenants_apart_too(
    plain_place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with chroma_server(tmp_path_factory.mktemp("chroma")) as chroma:
        monkeypatch.setenv("HITL_CHROMA_URL", chroma.url)
        async with plain_place.backend() as backend:
            served = Place(plain_place.server, plain_place.layout, await backend.chroma())
            await fill_both(served)
            for tenant, other in permutations(MARKS):
                seen = await the_documents(served, tenant, [])
                assert f"{MARKS[tenant]}-knowledge" in seen
                assert MARKS[other] not in seen
                async with plain_place.session(tenant) as session:
                    found = await session.search("knowledge")
                assert {hit.document_id for hit in found.hits} == {f"{MARKS[tenant]}-document"}


async def test_an_audit_stream_names_neither_the_other_tenant_nor_what_is_its_own(place: Place) -> None:
    await fill_both(place)
    log = (place.settings.state_dir / "log" / "tenants.jsonl").read_text()
    assert log.count(ACME) == log.count(WIDGETS) == 4
    for tenant, other in permutations(MARKS):
        for stream in (place.names(tenant).audit, place.names(tenant).events):
            entries = place.server.run("XRANGE", stream, "-", "+")
            assert other.encode() not in repr(entries).encode()
            assert MARKS[other] not in repr(entries)
        events = [fields[b"event"] for _, fields in place.server.run("XRANGE", place.names(tenant).audit, "-", "+")]
        assert [events.count(kind) for kind in (b"tenant_selected", b"tenant_left")] == [1, 1]
