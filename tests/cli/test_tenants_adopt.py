"""`tenants adopt`: from single-tenant keys to a tenant's, whatever happens on the way."""

import asyncio
import json
import os
import subprocess
import sys
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hitl_desktop.cli import main
from hitl_desktop.services.connection import connect
from hitl_desktop.services.gates import Gates
from hitl_desktop.tenancy import TenantNames
from tests import keyrings, processes
from tests.gates import PREFIX, TENANT, decision, gate_request
from tests.servers import Server

GROUP = "hitl-handlers"


@pytest.fixture(autouse=True)
def configured(valkey: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HITL_REDIS_URL", valkey.url)
    monkeypatch.setenv("MULTI_TENANCY_ENABLED", "true")
    monkeypatch.setenv("ALLOWED_TENANTS", "acme-corp,widgets-inc")


async def single_tenant(server: Server, gates: int = 4) -> None:
    """Write what agents without tenants and an application without tenants leave behind."""
    with server.client() as client:
        client.xadd("asdlc:events", {"_init": "true", "timestamp": "now"})
        client.xgroup_create("asdlc:events", GROUP, id="0")
        client.hset("asdlc:task:t-1", mapping={"task_id": "t-1", "state": "pending"})
        client.hset("asdlc:session:s-1", mapping={"session_id": "s-1", "tenant_id": "default"})
        client.set("asdlc:processed:abc", "1-1", ex=604_800)
        client.sadd("agent:active", "planner")
    async with connect(server.url) as connection:
        asked = Gates(connection, TenantNames(None))
        for number in range(gates):
            request = gate_request(f"Gate {number}")
            await asked.request(request)
            if number % 2:
                gate = await asked.get(request.request_id)
                await asked.decide(decision(gate), gate)
    with server.client() as client:
        client.xreadgroup(GROUP, "worker", {"asdlc:events": ">"}, count=2)


def everything(server: Server, prefix: str) -> dict[str, Any]:
    """Return all that stands under `prefix`, streams with their groups, by the names behind it."""
    found: dict[str, Any] = {}
    with server.client(decode_responses=True) as client:
        for key in client.scan_iter(f"{prefix}*"):
            kind: Any = client.type(key)
            found[key.removeprefix(prefix)] = value_of(client, key, kind)
    return found


def value_of(client: Any, key: str, kind: str) -> Any:
    match kind:
        case "hash":
            return client.hgetall(key)
        case "list":
            return client.lrange(key, 0, -1)
        case "zset":
            return client.zrange(key, 0, -1, withscores=True)
        case "set":
            return sorted(client.smembers(key))
        case "string":
            return client.get(key), client.ttl(key) > 600_000
    groups = [(group["name"], group["pending"], group["last-delivered-id"]) for group in client.xinfo_groups(key)]
    return [client.xrange(key), client.xinfo_stream(key)["last-generated-id"], *groups]


def as_the_tenants(before: dict[str, Any]) -> dict[str, Any]:
    expected = json.loads(json.dumps(before))
    for stream in ("events", "audit"):
        expected[stream][0] = [
            [entry, fields if "_init" in fields else {**fields, "tenant_id": TENANT}]
            for entry, fields in expected[stream][0]
        ]
    expected["session:s-1"]["tenant_id"] = TENANT
    return dict(expected)


def now_there(server: Server) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(everything(server, f"{PREFIX}:")))
    last = found["audit"][0].pop()
    assert last[1]["event"] == "tenant_adopted"
    found["audit"][1] = found["audit"][0][-1][0]
    return found


async def test_a_dry_run_writes_nothing(valkey: Server, capsys: pytest.CaptureFixture[str]) -> None:
    await single_tenant(valkey)
    before = everything(valkey, "")
    assert await run("tenants", "adopt", TENANT, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["executed"], told["conflicts"]) == (False, {})
    assert told["keys"]["gate_request"] == told["keys"]["evidence_bundle"] == 4
    assert everything(valkey, "") == before


async def test_all_of_it_becomes_the_tenants(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HITL_REDIS_URL", server.url)
    await single_tenant(server)
    before = everything(server, "asdlc:")
    assert await run("tenants", "adopt", TENANT, "--execute") == 0
    assert everything(server, "asdlc:") == {}
    assert now_there(server) == as_the_tenants(before)
    assert server.run("SMEMBERS", "agent:active") in ([b"planner"], {b"planner"})


async def test_a_second_time_there_is_nothing_left(valkey: Server, capsys: pytest.CaptureFixture[str]) -> None:
    await single_tenant(valkey)
    await run("tenants", "adopt", TENANT, "--execute")
    before = everything(valkey, "")
    capsys.readouterr()
    assert await run("tenants", "adopt", TENANT, "--execute") == 0
    assert capsys.readouterr().out == "Nothing without a prefix is left for acme-corp.\n"
    assert everything(valkey, "") == before


@pytest.mark.parametrize(
    ("command", "key", "state"),
    [
        (("HSET", f"{PREFIX}:task:t-1", "task_id", "another"), "asdlc:task:t-1", "differs"),
        (("XADD", "asdlc:events", "*", "event_type", "x", "tenant_id", "widgets-inc"), "asdlc:events", "foreign"),
        (("RPUSH", f"{PREFIX}:pending_gates", "x"), "asdlc:pending_gates", "differs"),
        (("SET", b"asdlc:task:\xff", "x"), "asdlc:task:�", "unknown"),
    ],
)
async def test_what_needs_an_answer_is_told_and_nothing_is_written(
    valkey: Server, capsys: pytest.CaptureFixture[str], command: tuple[str, ...], key: str, state: str
) -> None:
    await single_tenant(valkey)
    valkey.run(*command)
    before = len(valkey.run("KEYS", "*"))
    assert await run("tenants", "adopt", TENANT, "--execute", "--json") == 5
    assert json.loads(capsys.readouterr().out)["conflicts"] == {key: state}
    assert len(valkey.run("KEYS", "*")) == before


async def test_a_tenant_that_is_not_allowed_adopts_nothing(valkey: Server) -> None:
    await single_tenant(valkey)
    assert await run("tenants", "adopt", "other-corp", "--execute") == 2
    assert valkey.run("KEYS", "tenant:*") in ([], set())


async def test_a_kill_at_any_point_is_gone_on_with(valkey: Server, *, full: bool) -> None:
    random = Random(seed := 20)  # noqa: S311 - chooses where to kill
    for round_ in range(40 if full else 6):
        valkey.flush()
        await single_tenant(valkey, gates=30)
        before = everything(valkey, "asdlc:")
        total = len(before)
        process = processes.start(
            [sys.executable, "-m", "hitl_desktop", "tenants", "adopt", TENANT, "--execute"],
            environment={**os.environ, "HITL_REVIEWER": "me"},
        )
        wanted = random.randrange(1, 2 * total)

        def passed(wanted: int = wanted, process: "subprocess.Popen[bytes]" = process, total: int = total) -> bool:
            copies = len(valkey.run("KEYS", f"{PREFIX}:*"))
            left = len(valkey.run("KEYS", "asdlc:*"))
            return process.poll() is not None or copies + (total - left) >= wanted

        processes.until(passed, f"step {wanted} of round {round_}, seed {seed}")
        processes.end(process, kill=True)
        assert await run("tenants", "adopt", TENANT, "--execute") == 0
        assert everything(valkey, "asdlc:") == {}
        assert now_there_after_kill(valkey) == as_the_tenants(before)


def now_there_after_kill(server: Server) -> dict[str, Any]:
    """Return what is there now; the kill may have come after the last step, but before the record of it."""
    if everything(server, f"{PREFIX}:")["audit"][0][-1][1]["event"] == "tenant_adopted":
        return now_there(server)
    found: dict[str, Any] = json.loads(json.dumps(everything(server, f"{PREFIX}:")))
    return found


TEXT = st.text(max_size=8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    hashes=st.dictionaries(st.text(min_size=1, max_size=4), st.dictionaries(TEXT, TEXT, min_size=1), max_size=4),
    entries=st.lists(st.lists(TEXT, min_size=2, max_size=6).filter(lambda parts: len(parts) % 2 == 0), max_size=6),
    scores=st.dictionaries(TEXT, st.sampled_from([0.0, 1.5, float("inf")]), max_size=6),
    texts=st.lists(TEXT, max_size=6),
)
def test_whatever_stands_there_is_copied_whole(
    valkey: Server, hashes: dict[str, Any], entries: list[list[str]], scores: dict[str, float], texts: list[str]
) -> None:
    valkey.flush()
    with valkey.client() as client:
        for name, fields in hashes.items():
            client.hset(f"asdlc:task:{name}", mapping=fields)
        for fields in entries:
            parts = ["tenant-id" if part == "tenant_id" else part for part in fields]
            valkey.run("XADD", "asdlc:audit", "*", *parts)
        if scores:
            client.zadd("asdlc:pending_gates", scores)
        for text in texts:
            client.rpush("asdlc:decision_log:x", text)
    before = everything(valkey, "asdlc:")
    raw = valkey.run("XRANGE", "asdlc:audit", "-", "+") if entries else []
    assert main(["tenants", "adopt", TENANT, "--execute"]) == 0
    after = everything(valkey, f"{PREFIX}:")
    after.pop("audit", None)
    before.pop("audit", None)
    assert after == before
    assert len(valkey.run("XRANGE", f"{PREFIX}:audit", "-", "+") or []) == len(raw) + bool(before or raw)


async def run(*arguments: str) -> int:
    """Run a verb in a thread, since it has a loop of its own."""
    return await asyncio.to_thread(main, arguments)


def test_it_is_done_as_the_address_says_whoever_is_logged_in(
    valkey: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(single_tenant(valkey))
    passwords = keyrings.make_users(valkey, TENANT)
    valkey.run("ACL", "SETUSER", "root", "on", ">root", "~*", "&*", "+@all")
    monkeypatch.setenv("HITL_REDIS_URL", valkey.url.replace("//", "//root:root@"))
    with keyrings.used(keyrings.Asked()):
        keyrings.log_in(TENANT, valkey.url, passwords[TENANT])
        assert main(["tenants", "adopt", TENANT, "--execute"]) == 0
    assert "All of it is" in capsys.readouterr().out
    assert valkey.run("EXISTS", f"{PREFIX}:events") == 1
