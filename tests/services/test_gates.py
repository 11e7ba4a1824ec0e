"""Gates on real servers, exactly as the wire has them."""

import json
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from hitl_desktop.domain.gate import Gate, Quarantined
from hitl_desktop.domain.time import format_time
from hitl_desktop.services.connection import connect
from hitl_desktop.services.gates import Gates
from hitl_desktop.settings import KeyLayout
from hitl_desktop.tenancy import TenantContext, TenantNames
from tests.gates import PREFIX, TENANT, decision, gate_request, item, opened, posted
from tests.servers import Server

# --- requesting -------------------------------------------------------------------------------------------------------


async def test_a_request_is_written_as_agents_write_it(server: Server) -> None:
    request = gate_request("Retry with jitter", expires_in=3600)
    async with opened(server) as gates:
        assert await gates.request(request)
        assert not await gates.request(request)
    with server.client(decode_responses=True) as client:
        gate: Any = client.hgetall(f"{PREFIX}:gate_request:{request.request_id}")
        bundle: Any = client.hgetall(f"{PREFIX}:evidence_bundle:{request.bundle['bundle_id']}")
        score: Any = client.zscore(f"{PREFIX}:pending_gates", request.request_id)
        log: Any = client.lrange(f"{PREFIX}:decision_log:{request.task_id}", 0, -1)
        audit: Any = client.xrange(f"{PREFIX}:audit")
        events: Any = client.xrange(f"{PREFIX}:events")
        assert client.dbsize() == 6
    assert request.expires_at is not None
    assert gate == {
        "request_id": request.request_id,
        "task_id": request.task_id,
        "session_id": "session-1",
        "gate_type": "hitl_4_code",
        "status": "pending",
        "evidence_bundle_id": request.bundle["bundle_id"],
        "requested_by": "tdd_orchestrator",
        "requested_at": format_time(request.requested_at),
        "expires_at": format_time(request.expires_at),
    }
    assert bundle == dict(request.bundle)
    assert score == pytest.approx(request.expires_at.timestamp())
    expected = {
        "event": "gate_requested",
        "request_id": request.request_id,
        "task_id": request.task_id,
        "gate_type": "hitl_4_code",
        "requested_by": "tdd_orchestrator",
        "timestamp": format_time(request.requested_at),
        "tenant_id": TENANT,
    }
    assert [json.loads(entry) for entry in log] == [expected]
    assert [fields for _, fields in audit] == [expected]
    event = events[0][1]
    key = sha256(f"gate_requested:session-1:{request.task_id}:{request.request_id}".encode()).hexdigest()[:32]
    assert event["idempotency_key"] == key
    assert (event["event_type"], event["mode"], event["tenant_id"]) == ("gate_requested", "normal", TENANT)
    assert json.loads(event["metadata"]) == {
        "request_id": request.request_id,
        "gate_type": "hitl_4_code",
        "evidence_bundle_id": request.bundle["bundle_id"],
    }


async def test_single_tenant_mode_prefixes_nothing_and_names_no_tenant(valkey: Server) -> None:
    request = gate_request("A gate")
    async with connect(valkey.url) as connection:
        await Gates(connection, TenantNames(None)).request(request)
    with valkey.client(decode_responses=True) as client:
        keys: Any = client.keys("*")
        events: Any = client.xrange("asdlc:events")
        score: Any = client.zscore("asdlc:pending_gates", request.request_id)
    assert all(key.startswith("asdlc:") for key in keys)
    assert "tenant_id" not in events[0][1]
    assert score == float("inf")


async def test_the_hash_tag_layout_keeps_a_tenant_in_one_slot(valkey: Server) -> None:
    request = gate_request("A gate")
    async with connect(valkey.url) as connection:
        with TenantContext.tenant_scope(TENANT):
            gates = Gates(connection, TenantNames(TENANT, KeyLayout.HASHTAG))
            gate = await posted(gates, request)
            await gates.decide(decision(gate), gate)
    with valkey.client(decode_responses=True) as client:
        keys: Any = client.keys("*")
        assert len({client.execute_command("CLUSTER", "KEYSLOT", key) for key in keys}) == 1  # type: ignore[no-untyped-call]
    assert all(key.startswith("tenant:{acme-corp}:asdlc:") for key in keys)


# --- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gate_type", ["hitl_4_code", "code_review", "hitl-2", "something_new"])
async def test_every_vocabulary_is_read_and_kept_as_it_is(valkey: Server, gate_type: str) -> None:
    async with opened(valkey) as gates:
        gate = await posted(gates, gate_request("A gate", gate_type=gate_type))
    assert gate.gate_type == gate_type


DAMAGES: dict[str, tuple[list[tuple[Any, ...]], str]] = {
    "no hash": ([("DEL", "{gate}")], "does not exist"),
    "no bundle": ([("DEL", "{bundle}")], "evidence bundle does not exist"),
    "gate of another type": ([("DEL", "{gate}"), ("SET", "{gate}", "x")], "WRONGTYPE"),
    "bundle of another type": ([("DEL", "{bundle}"), ("RPUSH", "{bundle}", "x")], "WRONGTYPE"),
    "no task": ([("HDEL", "{gate}", "task_id")], "no task_id"),
    "bad status": ([("HSET", "{gate}", "status", "maybe")], "status 'maybe'"),
    "bad time": ([("HSET", "{gate}", "requested_at", "yesterday")], "no time"),
    "bad expiry": ([("HSET", "{gate}", "expires_at", "soon")], "no time"),
    "broken JSON": ([("HSET", "{bundle}", "items", "[{")], "items are not as agreed"),
    "items of another shape": ([("HSET", "{bundle}", "items", '{"a": 1}')], "items are not as agreed"),
    "not UTF-8": ([("HSET", "{gate}", "task_id", b"\xff\xfe")], "not UTF-8"),
    "filed under another id": ([("HSET", "{gate}", "request_id", "other")], "not the one it is filed under"),
    "a huge field": ([("HSET", "{gate}", "requested_by", "x" * 20_000)], "too long"),
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_bad_record_costs_only_itself(server: Server, damage: str) -> None:
    bad, good = gate_request("Bad"), gate_request("Good")
    places = {"gate": f"{PREFIX}:gate_request:{bad.request_id}"}
    places["bundle"] = f"{PREFIX}:evidence_bundle:{bad.bundle['bundle_id']}"
    commands, reason = DAMAGES[damage]
    async with opened(server) as gates:
        for request in (bad, good):
            await gates.request(request)
        for command in commands:
            server.run(
                *(
                    part.format(**places) if isinstance(part, str) and part in {"{gate}", "{bundle}"} else part
                    for part in command
                )
            )
        records = {record.name: record for record in map(Named, await gates.read([bad.request_id, good.request_id]))}
    assert isinstance(records[good.request_id].record, Gate)
    damaged = records[places["gate"]].record
    assert isinstance(damaged, Quarantined)
    assert reason in damaged.reason


class Named:
    def __init__(self, record: Gate | Quarantined) -> None:
        self.record = record
        self.name = record.request_id if isinstance(record, Gate) else record.key


async def test_bytes_that_are_no_text_in_a_foreign_field_cost_nothing(server: Server) -> None:
    request = gate_request("A gate")
    async with opened(server) as gates:
        await gates.request(request)
        server.run("HSET", f"{PREFIX}:evidence_bundle:{request.bundle['bundle_id']}", "extra", b"\xff\x00\xfe")
        gate = await gates.get(request.request_id)
        assert gate.bundle.fields[b"extra"] == b"\xff\x00\xfe"
        assert (await gates.decide(decision(gate), gate)).status == "approved"


async def test_large_items_are_left_out_of_a_list_and_read_when_opened(server: Server) -> None:
    request = gate_request("Large")
    large = json.dumps([item("artifact", "a.py", "x" * 50_000)])
    request = replace(request, bundle={**request.bundle, "items": large})
    async with opened(server) as gates:
        await gates.request(request)
        listed = (await gates.read([request.request_id]))[0]
        assert isinstance(listed, Gate)
        assert listed.bundle.items is None
        assert not listed.bundle.is_whole
        whole = await gates.get(request.request_id)
    assert whole.bundle.items is not None
    assert len(whole.bundle.items) == 1


async def test_a_reply_that_is_full_is_continued(valkey: Server) -> None:
    content = json.dumps([item("artifact", "a.py", "x" * 15_000)])
    requests = [gate_request(f"Gate {number}") for number in range(80)]
    async with opened(valkey) as gates:
        for request in requests:
            await gates.request(replace(request, bundle={**request.bundle, "items": content}))
        ids = await gates.pending_ids()
        assert len(await gates.read(ids)) < len(ids)
        read = [record async for page in gates.read_all(ids) for record in page]
    assert {record.request_id for record in read if isinstance(record, Gate)} == {r.request_id for r in requests}


async def test_gates_come_soonest_to_expire_first(valkey: Server) -> None:
    late, soon, never = gate_request("late", expires_in=900), gate_request("soon", expires_in=60), gate_request("never")
    async with opened(valkey) as gates:
        for request in (late, never, soon):
            await gates.request(request)
        assert await gates.pending_ids() == (soon.request_id, late.request_id, never.request_id)
