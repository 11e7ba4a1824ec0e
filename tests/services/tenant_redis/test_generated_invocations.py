"""Generated invocations of every command with keys: the server itself is asked what they touch, and then runs them."""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from random import Random
from typing import Any

import pytest
import redis

from hitl_desktop.services import CommandRefusedError
from hitl_desktop.services.tenant_redis.places import BY_HAND
from hitl_desktop.services.tenant_redis.prefix import Prefix
from hitl_desktop.services.tenant_redis.replies import unprefixing
from hitl_desktop.services.tenant_redis.rewriting import Call, Rewriters
from hitl_desktop.settings import KeyLayout
from hitl_desktop.tenancy import TenantNames
from tests.servers import Server
from tests.services.tenant_redis.clients import ENCODER, OTHER, TENANT, command_rows, rewriters
from tests.services.tenant_redis.invocations import WORDS, Invocation, chance, invocation, keyed

ENOUGH = 10_000
_BATCH = 500


def encoded(word: Any) -> bytes:
    return bytes(ENCODER.encode(word))


def generated(server: Server, seed: int, count: int, leaving_out: frozenset[str] = frozenset()) -> Iterator[Invocation]:
    """Yield about `count` invocations, as many of each command that the server has."""
    random = chance(seed)
    rows = command_rows(server)
    names = [name for name in keyed(rows) if name not in leaving_out]
    for _ in range(count // len(names) + 1):
        for name in names:
            yield invocation(random, name, *rows[name])


def rewritten(
    found: Iterator[Invocation], rewriting: Rewriters, random: Random
) -> Iterator[list[tuple[Invocation, Call]]]:
    """Yield the invocations with what is sent for them, in batches; few are refused, and those misled the servers."""
    batch: list[tuple[Invocation, Call]] = []
    for each in found:
        try:
            batch.append((each, rewriting.rewrite(each.call(random))))
        except CommandRefusedError as error:
            assert each.name in BY_HAND, each
            assert "reads as an option" in str(error), each  # noqa: PT017 - which error it is depends on chance
            continue
        if len(batch) == _BATCH:
            yield batch
            batch = []
    yield batch


@pytest.mark.parametrize("layout", list(KeyLayout))
def test_every_key_of_every_command_is_the_tenants(server: Server, layout: KeyLayout, full: bool) -> None:  # noqa: FBT001 - a fixture
    prefix = TenantNames(TENANT, layout).prefix.encode()
    checked: Counter[str] = Counter()
    found = generated(server, 2, ENOUGH * (10 if full else 1) * 21 // 20)
    with server.client() as raw:
        asking: Any = raw
        for batch in rewritten(found, rewriters(layout=layout), chance(1)):
            asked = asking.pipeline(transaction=False)
            for each, (name, *words) in batch:
                assert name == each.name
                expected = [encoded(word) for word in each.words]
                assert [encoded(word) for word in words] == [
                    prefix + word if at in each.keys else word for at, word in enumerate(expected)
                ]
                asked.execute_command("COMMAND GETKEYS", *name.split(), *words)
            for (each, _), keys in zip(batch, asked.execute(raise_on_error=False), strict=True):
                if isinstance(keys, redis.ResponseError):
                    # GETKEYS answers for what it could run alone: never seen but for words that are no number.
                    assert "Invalid arguments" in str(keys), (each, keys)
                    continue
                checked[each.name] += 1
                assert keys
                assert [key for key in keys if not key.encode("utf-8", "surrogateescape").startswith(prefix)] == []
    assert checked.total() >= ENOUGH
    assert set(checked) == set(keyed(command_rows(server)))


def test_whatever_is_sent_is_about_the_tenants_keys(server: Server, full: bool) -> None:  # noqa: FBT001 - a fixture
    """Words at random after every command's name: what is not refused, the server's two oracles must both clear."""
    prefix = TenantNames(TENANT).prefix
    server.run("ACL", "SETUSER", "ours", "on", "nopass", f"~{prefix}*", f"&{prefix}*", "+@all")
    random, rewriting = chance(5), rewriters()
    names = sorted([*command_rows(server), "UNHEARD-OF", "JSON.SET"])
    sent: Counter[str] = Counter()
    with server.client(decode_responses=True, encoding_errors="replace") as raw:
        asking: Any = raw
        for _ in range(200 if full else 25):
            asked, calls = asking.pipeline(transaction=False), []
            for name in names:
                for _ in range(3):
                    words = [random.choice(WORDS) for _ in range(random.randrange(9))]
                    with suppress(CommandRefusedError):
                        full_name, *rest = rewriting.rewrite((*name.split(), *words))
                        asked.execute_command("COMMAND GETKEYS", *full_name.split(), *rest)
                        asked.execute_command("ACL DRYRUN", "ours", *full_name.split(), *rest)
                        calls.append((full_name, *rest))
            replies = asked.execute(raise_on_error=False)
            for call, keys, may in zip(calls, replies[::2], replies[1::2], strict=True):
                sent[call[0]] += 1
                if not isinstance(keys, redis.ResponseError):
                    assert [key for key in keys if not key.startswith(prefix)] == [], call
                assert isinstance(may, redis.ResponseError) or may == "OK", (call, may)
    assert sent.total() > 10_000
    assert set(sent) <= set(names)


def test_no_command_that_runs_touches_or_tells_of_another_tenant(server: Server, full: bool) -> None:  # noqa: FBT001 - a fixture
    """The server's own wall watches: as a user of the tenant's keys alone, nothing may be denied."""
    prefix = TenantNames(TENANT).prefix
    other = TenantNames(OTHER)
    server.run("ACL", "SETUSER", "ours", "on", ">p", f"~{prefix}*", f"&{prefix}*", "+@all")
    theirs = {other.key(base).encode(): str(at) for at, base in enumerate(("asdlc:k", "", "*", "STORE", "17"))}
    for key, value in theirs.items():
        server.run("RPUSH", key, value)
    before = {key: server.run("DUMP", key) for key in theirs}
    ran: Counter[str] = Counter()
    # WATCH is no command of a transaction; in one, nothing blocks.
    found = generated(server, 4, (20_000 if full else 4_000), frozenset({"WATCH"}))
    with server.client(username="ours", password="p") as raw:  # noqa: S106 - of a test's own user
        raw.response_callbacks.clear()
        running: Any = raw
        for batch in rewritten(found, rewriters(), chance(3)):
            run = running.pipeline(transaction=True)
            for _, call in batch:
                run.execute_command(*call)
            for (each, _), reply in zip(batch, run.execute(raise_on_error=False), strict=True):
                if isinstance(reply, Exception):
                    assert "permission" not in str(reply), (each, reply)
                    continue
                ran[each.name] += 1
                bare = unprefixing(each.name, Prefix(TenantNames(TENANT), ENCODER), _same)
                assert prefix not in repr(bare(reply)), each
    assert len(ran) > 100
    assert {key: server.run("DUMP", key) for key in theirs} == before
    with server.client(decode_responses=True, encoding_errors="surrogateescape") as raw:
        keys = [str(key) for database in range(16) for key in _keys(raw, database)]
    assert [key for key in keys if not key.startswith(prefix) and key.encode() not in theirs] == []


def _same(reply: Any) -> Any:
    return reply


def _keys(raw: Any, database: int) -> list[Any]:
    asked = raw.pipeline(transaction=True)
    asked.execute_command("SELECT", database)
    asked.execute_command("KEYS", "*")
    asked.execute_command("SELECT", 0)
    return list(asked.execute()[1])
