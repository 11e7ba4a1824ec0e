"""Gates on real servers, exactly as the wire has them."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest

from hitl_desktop.domain.decision import Decision, Verdict
from hitl_desktop.domain.gate import Gate, GateStatus, Quarantined
from hitl_desktop.domain.time import format_time
from hitl_desktop.services.connection import connect
from hitl_desktop.services.encoding import GateRequest
from hitl_desktop.services.errors import (
    AlreadyDecided,
    Conflict,
    EvidenceChanged,
    Malformed,
    NotFound,
    Overdue,
    Refused,
    Unavailable,
)
from hitl_desktop.services.gates import Gates
from hitl_desktop.services.history import History
from hitl_desktop.settings import KeyLayout
from hitl_desktop.tenancy import TenantContext, TenantMismatchError, TenantNames, TenantNotSetError
from tests.gates import gate_request, item, written
from tests.servers import Server

TENANT = "acme-corp"
PREFIX = f"tenant:{TENANT}:asdlc"


@asynccontextmanager
async def opened(server: Server, url: str = "") -> AsyncIterator[Gates]:
    async with connect(url or server.url) as connection:
        with TenantContext.tenant_scope(TENANT):
            yield Gates(connection, TenantNames(TENANT))


def decision(gate: Gate, verdict: Verdict = Verdict.APPROVED, **changes: Any) -> Decision:
    made = Decision(
        decision_id=str(uuid.uuid4()),
        request_id=gate.request_id,
        bundle_id=gate.evidence_bundle_id,
        evidence_digest=gate.bundle.digest,
        verdict=verdict,
        reviewer="rev@example.org",
        decided_at=datetime.now(UTC),
        reason="Because",
    )
    return replace(made, **changes)


async def posted(gates: Gates, request: GateRequest | None = None) -> Gate:
    request = request or gate_request("A gate")
    assert await gates.request(request)
    return await gates.get(request.request_id)


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


# --- deciding ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verdict", list(Verdict))
async def test_a_decision_is_one_step_in_every_record(server: Server, verdict: Verdict) -> None:
    request = gate_request("A gate")
    async with opened(server) as gates:
        gate = await posted(gates, request)
        made = decision(gate, verdict, conditions=("Only on weekdays",), feedback="More tests", tags=("tests",))
        decided = await gates.decide(made, gate)
    assert (decided.status, decided.reviewer) == (verdict, "rev@example.org")
    found = written(server, TENANT, request)
    assert not found.is_pending
    assert found.gate["status"] == verdict
    assert found.gate["evidence_digest"] == gate.bundle.digest
    entry = {
        "event": "gate_decision",
        "request_id": request.request_id,
        "decision_id": made.decision_id,
        "task_id": request.task_id,
        "gate_type": "hitl_4_code",
        "approved": "true" if verdict is Verdict.APPROVED else "false",
        "reviewer": "rev@example.org",
        "reason": "Because",
        "timestamp": format_time(made.decided_at),
        "evidence_digest": gate.bundle.digest,
        "tenant_id": TENANT,
    }
    assert found.log == found.audit == [entry]
    assert [event["event_type"] for event in found.events] == [f"gate_{verdict}"]
    event = found.events[0]
    assert (event["session_id"], event["task_id"], event["tenant_id"]) == ("session-1", request.task_id, TENANT)
    metadata = json.loads(event["metadata"])
    assert metadata["feedback"] == "Because\nMore tests\nConcerns: tests."
    assert metadata["conditions"] == ["Only on weekdays"]
    assert metadata["decision_id"] == made.decision_id


async def test_the_same_decision_sent_again_writes_once(server: Server) -> None:
    request = gate_request("A gate")
    async with opened(server) as gates:
        gate = await posted(gates, request)
        made = decision(gate)
        first = await gates.decide(made, gate)
        again = await gates.decide(made, gate)
    assert (again.decision_id, again.status, again.reason) == (first.decision_id, first.status, first.reason)
    found = written(server, TENANT, request)
    assert len(found.log) == len(found.audit) == len(found.events) == 1


@pytest.mark.parametrize("verdict", list(Verdict))
async def test_the_loser_is_told_who_what_and_when(server: Server, verdict: Verdict) -> None:
    async with opened(server) as gates:
        gate = await posted(gates)
        await gates.decide(decision(gate, reviewer="first@example.org", reason="I was faster"), gate)
        with pytest.raises(AlreadyDecided) as told:
            await gates.decide(decision(gate, verdict), gate)
    assert told.value.decided.status == "approved"
    assert told.value.decided.reviewer == "first@example.org"
    assert told.value.decided.decided_at is not None
    assert "I was faster" in str(told.value)


async def test_an_orchestrators_own_decision_is_found_in_the_log(server: Server) -> None:
    async with opened(server) as gates:
        gate = await posted(gates)
        server.run("HSET", f"{PREFIX}:gate_request:{gate.request_id}", "status", "rejected")
        entry = {
            "event": "gate_decision",
            "request_id": gate.request_id,
            "decision_id": "d-1",
            "task_id": gate.task_id,
            "gate_type": gate.gate_type,
            "approved": "false",
            "reviewer": "web-user",
            "reason": "Not yet",
            "timestamp": "2026-01-01T00:00:00",
        }
        server.run("RPUSH", f"{PREFIX}:decision_log:{gate.task_id}", json.dumps(entry))
        with pytest.raises(AlreadyDecided) as told:
            await gates.decide(decision(gate), gate)
    assert (told.value.decided.reviewer, told.value.decided.reason) == ("web-user", "Not yet")


CHANGES: dict[str, tuple[Any, ...]] = {
    "one byte of a field": ("HSET", "{bundle}", "summary", "A gatf"),
    "a field more": ("HSET", "{bundle}", "more", "x"),
    "a field less": ("HDEL", "{bundle}", "git_sha"),
    "another bundle": ("HSET", "{gate}", "evidence_bundle_id", "other"),
    "another deadline": ("HSET", "{gate}", "expires_at", "2099-01-01T00:00:00+00:00"),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_changed_evidence_is_not_decided(server: Server, change: str) -> None:
    request = gate_request("A gate")
    places = {"gate": f"{PREFIX}:gate_request:{request.request_id}"}
    places["bundle"] = f"{PREFIX}:evidence_bundle:{request.bundle['bundle_id']}"
    async with opened(server) as gates:
        gate = await posted(gates, request)
        server.run(*(part.format(**places) for part in CHANGES[change]))
        with pytest.raises(EvidenceChanged):
            await gates.decide(decision(gate), gate)
    found = written(server, TENANT, request)
    assert found.gate["status"] == "pending"
    assert (found.log, found.audit, found.events) == ([], [], [])


async def test_an_overdue_gate_cannot_be_decided(server: Server) -> None:
    async with opened(server) as gates:
        gate = await posted(gates, gate_request("Too late", expires_in=-1))
        with pytest.raises(Overdue):
            await gates.decide(decision(gate), gate)


async def test_a_gate_that_is_gone_cannot_be_decided(server: Server) -> None:
    async with opened(server) as gates:
        gate = await posted(gates)
        server.run("DEL", f"{PREFIX}:gate_request:{gate.request_id}")
        with pytest.raises(NotFound):
            await gates.decide(decision(gate), gate)
        with pytest.raises(NotFound):
            await gates.get(gate.request_id)


@pytest.mark.parametrize("key", ["pending_gates", "decision_log:{task}", "audit", "events"])
async def test_a_key_of_another_type_lets_nothing_be_written(server: Server, key: str) -> None:
    request = gate_request("A gate")
    async with opened(server) as gates:
        gate = await posted(gates, request)
        name = f"{PREFIX}:{key.format(task=request.task_id)}"
        server.run("DEL", name)
        server.run("SET", name, "in the way")
        with pytest.raises(Malformed, match="nothing was written"):
            await gates.decide(decision(gate), gate)
    assert server.run("HGET", f"{PREFIX}:gate_request:{request.request_id}", "status") == b"pending"


@pytest.mark.parametrize("denied", ["hset", "zrem", "rpush", "xadd"])
async def test_a_missing_permission_lets_nothing_be_written(server: Server, denied: str) -> None:
    request = gate_request("A gate")
    async with opened(server) as gates:
        await gates.request(request)
    server.run("ACL", "SETUSER", "weak", "on", ">pw", f"~tenant:{TENANT}:*", "+@all", f"-{denied}")
    url = server.url.replace("redis://", "redis://weak:pw@")
    async with opened(server, url) as gates:
        gate = await gates.get(request.request_id)
        with pytest.raises(Refused, match="nothing was written"):
            await gates.decide(decision(gate), gate)
    found = written(server, TENANT, request)
    assert found.gate["status"] == "pending"
    assert found.is_pending
    assert (found.log, found.audit, found.events) == ([], [], [])


async def test_of_many_reviewers_exactly_one_decides(server: Server) -> None:
    request = gate_request("Wanted")

    async def reviewer(name: str) -> str:
        async with opened(server) as gates:
            gate = await gates.get(request.request_id)
            try:
                return (await gates.decide(decision(gate, reviewer=name), gate)).reviewer
            except AlreadyDecided as error:
                return f"lost to {error.decided.reviewer}"

    async with opened(server) as gates:
        await gates.request(request)
    results = await asyncio.gather(*(reviewer(f"r{number}") for number in range(20)))
    winners = [result for result in results if not result.startswith("lost")]
    assert len(winners) == 1
    assert results.count(f"lost to {winners[0]}") == 19
    assert len(written(server, TENANT, request).events) == 1


async def test_a_server_that_forgot_the_scripts_is_told_them_again(server: Server) -> None:
    async with opened(server) as gates:
        gate = await posted(gates)
        server.run("SCRIPT", "FLUSH")
        assert (await gates.decide(decision(gate), gate)).status == "approved"


async def test_expiry_is_one_step_and_only_when_due(server: Server) -> None:
    due, early = gate_request("Due", expires_in=-1), gate_request("Early", expires_in=3600)
    async with opened(server) as gates:
        gate = await posted(gates, due)
        await gates.expire(gate)
        await gates.expire(gate)
        with pytest.raises(Conflict, match="not run out"):
            await gates.expire(await posted(gates, early))
        assert (await gates.get(due.request_id)).status is GateStatus.EXPIRED
    found = written(server, TENANT, due)
    assert not found.is_pending
    assert [event["event_type"] for event in found.events] == ["gate_expired"]
    assert json.loads(found.events[0]["metadata"]) == {"request_id": due.request_id}


# --- tenants and servers ----------------------------------------------------------------------------------------------


async def test_every_call_checks_whose_context_it_runs_in(valkey: Server) -> None:
    async with connect(valkey.url) as connection:
        gates = Gates(connection, TenantNames(TENANT))
        with pytest.raises(TenantNotSetError):
            await gates.pending_ids()
        with TenantContext.tenant_scope("widgets-inc"), pytest.raises(TenantMismatchError):
            await gates.request(gate_request("A gate"))
    assert valkey.run("DBSIZE") == 0


async def test_a_wrong_password_is_refused_in_one_sentence(server: Server) -> None:
    server.run("CONFIG", "SET", "requirepass", "right")
    async with opened(server, server.url.replace("redis://", "redis://:wrong-secret@")) as gates:
        with pytest.raises(Refused) as told:
            await gates.pending_ids()
    assert "wrong-secret" not in str(told.value)
    async with opened(server) as gates:
        with pytest.raises(Refused):
            await gates.pending_ids()


async def test_an_absent_server_is_unavailable_in_one_sentence(valkey: Server) -> None:
    with valkey.offline():
        async with opened(valkey) as gates:
            with pytest.raises(Unavailable, match=r"cannot be reached; nothing was written.*\.$"):
                await gates.pending_ids()


async def test_history_lists_the_newest_decision_of_each_gate(server: Server) -> None:
    async with connect(server.url) as connection:
        with TenantContext.tenant_scope(TENANT):
            gates = Gates(connection, TenantNames(TENANT))
            first, second = await posted(gates), await posted(gates)
            await gates.decide(decision(first), first)
            await gates.decide(decision(second, Verdict.REJECTED), second)
            recent = await History(connection, TenantNames(TENANT)).recent()
    assert [(entry.request_id, entry.status) for entry in recent] == [
        (second.request_id, "rejected"),
        (first.request_id, "approved"),
    ]
