"""Work without a network on the command line: queue, sync, and answer what could not be delivered."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from hitl_desktop.domain.outbox import Cause
from hitl_desktop.session.stranded import open_stranded
from hitl_desktop.settings import read_settings
from tests.environments import keeping
from tests.gates import ask, gate_request, written
from tests.servers import Server
from tests.verbs import Answer, run_verb

TENANT = "acme-corp"


Run = Callable[..., Awaitable[Answer]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    async def call(*arguments: str) -> Answer:
        return await asyncio.to_thread(run_verb, capsys, *arguments)

    return call


@pytest.fixture(autouse=True)
def configured(home: Path, valkey: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in keeping(home, valkey.url).items():
        monkeypatch.setenv(name, value)


async def test_a_day_on_the_train(valkey: Server, run: Run) -> None:
    first, second = gate_request("Retry"), gate_request("Schema")
    await ask(valkey.url, TENANT, first, second)
    assert (await run("gates", "sync")).code == 0
    with valkey.offline():
        listed = (await run("gates", "list", "--json")).document
        assert listed["source"] == "cache"
        assert {gate["request_id"] for gate in listed["gates"]} == {first.request_id, second.request_id}
        assert all(gate["evidence_digest"] and gate["evidence"] for gate in listed["gates"])
        queued = await run("gates", "approve", first.request_id, "--reason", "Fine", "--offline", "--json")
        assert (queued.code, queued.document["state"]) == (0, "queued")
        assert (await run("gates", "reject", second.request_id, "--reason", "No", "--offline")).code == 0
        decisions = (await run("outbox", "list", "--json")).document
        assert [(row["verdict"], row["state"]) for row in decisions["decisions"]] == [
            ("approved", "queued"),
            ("rejected", "queued"),
        ]
        assert (await run("gates", "sync")).code == 6
    synced = await run("gates", "sync", "--json")
    assert (synced.code, synced.document["delivered"], synced.document["queued"]) == (0, 2, 0)
    for request, status in ((first, "approved"), (second, "rejected")):
        found = written(valkey, TENANT, request)
        assert (found.gate["status"], len(found.log), len(found.audit), len(found.events)) == (status, 1, 1, 1)
    assert written(valkey, TENANT, second).gate["decision_id"] == decisions["decisions"][1]["decision_id"]
    assert (await run("outbox", "list", "--json")).document["decisions"] == []
    assert len((await run("outbox", "list", "--all", "--json")).document["decisions"]) == 2
    assert (await run("gates", "list", "--json")).document["source"] == "server"


async def test_somebody_was_faster(valkey: Server, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    request = gate_request("Retry")
    await ask(valkey.url, TENANT, request)
    await run("gates", "sync")
    queued = (await run("gates", "reject", request.request_id, "--reason", "No", "--offline", "--json")).document
    with monkeypatch.context() as other:
        other.setenv("HITL_REVIEWER", "other@example.org")
        other.setenv("HITL_STATE_DIR", os.environ["HITL_STATE_DIR"] + "-other")
        assert (await run("gates", "approve", request.request_id)).code == 0
    assert (await run("gates", "sync")).code == 5
    shown = (await run("outbox", "show", queued["decision_id"], "--json")).document
    assert (shown["state"], shown["cause"], shown["theirs"]["reviewer"]) == ("conflict", "decided", "other@example.org")
    assert (await run("gates", "sync")).code == 5
    assert (await run("outbox", "withdraw", queued["decision_id"])).code == 0
    assert (await run("gates", "sync")).code == 0
    assert len(written(valkey, TENANT, request).events) == 1


async def test_a_second_decision_about_the_same_gate_waits_for_the_first(valkey: Server, run: Run) -> None:
    request = gate_request("Retry")
    await ask(valkey.url, TENANT, request)
    await run("gates", "sync")
    first = (await run("gates", "approve", request.request_id, "--offline", "--json")).document
    again = await run("gates", "reject", request.request_id, "--reason", "No", "--offline")
    assert again.code == 5
    assert "still queued" in again.err
    assert (await run("outbox", "withdraw", first["decision_id"])).code == 0
    assert (await run("gates", "reject", request.request_id, "--reason", "No", "--offline")).code == 0


async def test_an_unreachable_server_leaves_no_row(valkey: Server, run: Run) -> None:
    request = gate_request("Retry")
    await ask(valkey.url, TENANT, request)
    await run("gates", "sync")
    with valkey.offline():
        assert (await run("gates", "approve", request.request_id)).code == 6
    assert (await run("outbox", "list", "--json")).document["decisions"] == []


async def test_without_a_key_nothing_is_kept_and_nothing_queued(
    valkey: Server, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HITL_KEY_FILE")
    request = gate_request("Retry")
    await ask(valkey.url, TENANT, request)
    assert (await run("gates", "sync")).code == 0
    refused = await run("gates", "approve", request.request_id, "--offline")
    assert refused.code == 2
    assert "only work online" in refused.err
    assert not [name for _, _, names in os.walk(os.environ["HITL_STATE_DIR"]) for name in names if name.endswith(".db")]
    with valkey.offline():
        assert (await run("gates", "list")).code == 6
    assert (await run("gates", "approve", request.request_id)).code == 0


async def test_evidence_that_changed_is_told_and_the_rest_delivered(valkey: Server, run: Run) -> None:
    first, second = gate_request("Retry"), gate_request("Schema")
    await ask(valkey.url, TENANT, first, second)
    await run("gates", "sync")
    for request in (first, second):
        await run("gates", "approve", request.request_id, "--offline")
    valkey.run("HSET", f"tenant:{TENANT}:asdlc:evidence_bundle:{first.bundle['bundle_id']}", "summary", "Changed")
    assert (await run("gates", "sync")).code == 5
    rows = (await run("outbox", "list", "--json")).document["decisions"]
    assert [(row["request_id"], row["cause"]) for row in rows] == [(first.request_id, "changed")]
    assert written(valkey, TENANT, second).gate["status"] == "approved"


async def test_an_export_has_the_evidence_and_is_private(valkey: Server, run: Run, home: Path) -> None:
    request = gate_request("Retry")
    await ask(valkey.url, TENANT, request)
    await run("gates", "sync")
    await run("gates", "approve", request.request_id, "--offline")
    target = home / "export.json"
    assert (await run("outbox", "export", "--output", str(target))).code == 0
    assert target.stat().st_mode & 0o777 == 0o600
    exported = json.loads(target.read_text())["decisions"][0]
    assert exported["evidence_bundle"]["summary"] == "Retry"
    assert (await run("outbox", "export", "--output", str(target))).code == 1
    told = (await run("outbox", "export", "--json", "--output", str(home / "other.json"))).document
    assert told == {"tenant_id": TENANT, "exported": 1, "output": str(home / "other.json")}
    assert (await run("outbox", "export", "--json")).document["decisions"] == [exported]


async def test_a_tenant_no_longer_allowed_still_has_its_rows_here(
    valkey: Server, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = gate_request("Retry")
    await ask(valkey.url, TENANT, request)
    await run("gates", "sync")
    await run("gates", "approve", request.request_id, "--offline")
    monkeypatch.setenv("ALLOWED_TENANTS", "widgets-inc")
    monkeypatch.setenv("DEFAULT_TENANT_ID", "widgets-inc")
    assert (await run("gates", "sync", "--tenant", TENANT)).code == 2
    rows = (await run("outbox", "list", "--tenant", TENANT, "--json")).document["decisions"]
    assert len(rows) == 1
    assert (await run("outbox", "withdraw", rows[0]["decision_id"], "--tenant", TENANT)).code == 0
    assert (await run("outbox", "list", "--tenant", "never-seen")).code == 2


async def test_what_the_server_forgot_is_delivered_again(valkey: Server, run: Run) -> None:
    request = gate_request("Retry")
    await ask(valkey.url, TENANT, request)
    valkey.restart()
    assert (await run("gates", "approve", request.request_id)).code == 0
    first = written(valkey, TENANT, request)
    valkey.run("DEL", f"tenant:{TENANT}:asdlc:audit", f"tenant:{TENANT}:asdlc:events")
    valkey.run("RPOP", f"tenant:{TENANT}:asdlc:decision_log:{request.task_id}")
    valkey.run("ZADD", f"tenant:{TENANT}:asdlc:pending_gates", "inf", request.request_id)
    valkey.run("HDEL", f"tenant:{TENANT}:asdlc:gate_request:{request.request_id}", "decision_id", "reviewer")
    valkey.run("HSET", f"tenant:{TENANT}:asdlc:gate_request:{request.request_id}", "status", "pending")
    valkey.restart()
    assert (await run("gates", "sync")).code == 0
    again = written(valkey, TENANT, request)
    assert again.gate["decision_id"] == first.gate["decision_id"]
    assert (len(again.log), len(again.audit), len(again.events)) == (1, 1, 1)


async def test_half_a_character_in_a_reason_is_no_crash(valkey: Server, run: Run) -> None:
    request, other = gate_request("Retry"), gate_request("Schema")
    await ask(valkey.url, TENANT, request, other)
    await run("gates", "sync")
    queued = await run("gates", "reject", request.request_id, "--reason", "not \udcff good", "--offline", "--json")
    assert (queued.code, queued.document["reason"]) == (0, "not ? good")
    assert (await run("gates", "approve", other.request_id, "--condition", "\ud800")).code == 0
    assert (await run("gates", "sync")).code == 0
    assert written(valkey, TENANT, request).gate["reason"] == "not ? good"


async def test_a_list_that_was_never_kept_is_not_called_empty(valkey: Server, run: Run) -> None:
    await ask(valkey.url, TENANT, gate_request("Retry"))
    listed = await run("gates", "list", "--offline")
    assert listed.code == 6
    assert "gates sync" in listed.err
    with valkey.offline():
        assert (await run("gates", "list")).code == 6


async def test_a_decision_that_another_overtook_while_its_tenant_was_not_allowed(
    valkey: Server, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = gate_request("Retry")
    await ask(valkey.url, TENANT, request)
    assert (await run("gates", "sync")).code == 0
    first = (await run("gates", "approve", request.request_id, "--offline", "--json")).document["decision_id"]
    with monkeypatch.context() as patch:
        patch.setenv("ALLOWED_TENANTS", "widgets-inc")
        patch.setenv("DEFAULT_TENANT_ID", "widgets-inc")
        async with open_stranded(read_settings(), TENANT) as outbox:  # as windows do
            assert [entry.cause for entry in await outbox.entries()] == [Cause.NOT_ALLOWED]
    assert (await run("gates", "reject", request.request_id, "--reason", "No", "--offline")).code == 0
    assert (await run("gates", "sync", "--json")).document["delivered"] == 1
    (row,) = (await run("outbox", "list", "--json")).document["decisions"]
    assert (row["decision_id"], row["state"], row["cause"]) == (first, "refused", "overtaken")
    assert "Another decision of yours about this gate was on its way" in row["problem"]
    assert (await run("gates", "sync", "--json")).document["delivered"] == 0
    assert written(valkey, TENANT, request).gate["status"] == "rejected"
    assert len((await run("outbox", "export", "--json")).document["decisions"]) == 1
    assert (await run("outbox", "withdraw", first)).code == 0
    assert (await run("outbox", "list", "--json")).document["decisions"] == []
