"""Decisions on real servers: one step, once, for the right tenant, or nothing at all."""

import asyncio
import json
from typing import Any

import pytest

from hitl_desktop.domain.decision import Verdict
from hitl_desktop.domain.gate import GateStatus
from hitl_desktop.domain.time import format_time
from hitl_desktop.services.connection import connect
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
from hitl_desktop.tenancy import TenantContext, TenantMismatchError, TenantNames, TenantNotSetError
from tests.gates import PREFIX, TENANT, decision, gate_request, opened, posted, written
from tests.servers import Server

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
