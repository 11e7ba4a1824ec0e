"""The command line as an agent or a reviewer uses it, against real servers."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import processes
from tests.gates import ask, gate_request, written
from tests.servers import Server
from tests.verbs import Run

GATE_KEYS = {
    "request_id",
    "tenant_id",
    "gate_type",
    "status",
    "task_id",
    "session_id",
    "summary",
    "requested_by",
    "requested_at",
    "expires_at",
    "evidence_digest",
    "evidence",
}


def use(monkeypatch: pytest.MonkeyPatch, server: Server, **more: str) -> None:
    environment = {
        "HITL_REDIS_URL": server.url,
        "MULTI_TENANCY_ENABLED": "true",
        "ALLOWED_TENANTS": "acme-corp,widgets-inc",
        "HITL_REVIEWER": "rev@example.org",
        **more,
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "hitl_desktop", *arguments]
    variables = {**os.environ, **environment}
    return subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_list_prints_all_gates_and_what_is_quarantined(
    server: Server, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, server)
    request = gate_request("Retry with jitter", expires_in=3600)
    asyncio.run(ask(server.url, "acme-corp", request))
    server.run("ZADD", "tenant:acme-corp:asdlc:pending_gates", "inf", "ghost")
    answer = run("gates", "list", "--json")
    assert (answer.code, answer.err) == (0, "")
    assert answer.document["tenant_id"] == "acme-corp"
    assert answer.document["source"] == "server"
    (gate,) = answer.document["gates"]
    assert set(gate) == GATE_KEYS
    assert (gate["request_id"], gate["summary"], gate["status"]) == (request.request_id, "Retry with jitter", "pending")
    assert [item["integrity"] for item in gate["evidence"]] == ["verified", "verified"]
    assert set(gate["evidence"][0]) == {"item_type", "path", "description", "content_hash", "integrity"}
    assert answer.document["quarantined"] == [
        {"key": "tenant:acme-corp:asdlc:gate_request:ghost", "reason": "the gate does not exist"}
    ]


def test_show_prints_the_gate_itself(valkey: Server, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, valkey)
    request = gate_request("Retry with jitter")
    asyncio.run(ask(valkey.url, "acme-corp", request))
    answer = run("gates", "show", request.request_id, "--json")
    assert answer.code == 0
    assert set(answer.document) == GATE_KEYS
    assert "x = 1" in run("gates", "show", request.request_id).out


@pytest.mark.parametrize(("verb", "verdict"), [("approve", "approved"), ("reject", "rejected")])
def test_a_decision_reaches_every_record(
    server: Server, run: Run, monkeypatch: pytest.MonkeyPatch, verb: str, verdict: str
) -> None:
    use(monkeypatch, server)
    request = gate_request("A gate")
    asyncio.run(ask(server.url, "widgets-inc", request))
    words = ("--reason", "Because", "--condition", "One", "--condition", "Two", "--feedback", "More")
    answer = run("gates", verb, request.request_id, "--tenant", "widgets-inc", "--json", *words)
    assert (answer.code, answer.err) == (0, "")
    assert answer.document["status"] == verdict
    assert answer.document["conditions"] == ["One", "Two"]
    found = written(server, "widgets-inc", request)
    assert found.gate["status"] == verdict
    assert found.gate["decision_id"] == answer.document["decision_id"]
    assert len(found.log) == len(found.audit) == len(found.events) == 1
    again = run("gates", verb, request.request_id, "--tenant", "widgets-inc", "--reason", "Again", "--json")
    assert (again.code, again.out) == (5, "")
    assert "rev@example.org" in again.err


def test_only_the_evidence_that_was_read_is_decided(valkey: Server, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, valkey)
    request = gate_request("A gate")
    asyncio.run(ask(valkey.url, "acme-corp", request))
    digest = run("gates", "show", request.request_id, "--json").document["evidence_digest"]
    valkey.run("HSET", f"tenant:acme-corp:asdlc:evidence_bundle:{request.bundle['bundle_id']}", "summary", "Other")
    refused = run("gates", "approve", request.request_id, "--evidence-digest", digest)
    assert (refused.code, refused.out) == (5, "")
    assert "has changed" in refused.err
    fresh = run("gates", "show", request.request_id, "--json").document["evidence_digest"]
    assert run("gates", "approve", request.request_id, "--evidence-digest", fresh).code == 0


def test_each_cause_has_its_exit_code_and_one_sentence(
    valkey: Server, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, valkey)
    request, late = gate_request("A gate"), gate_request("Late", expires_in=-1)
    asyncio.run(ask(valkey.url, "acme-corp", request, late))
    expected = {
        ("gates", "reject", request.request_id): 2,
        ("gates", "list", "--tenant", "evil-corp"): 2,
        ("gates", "list", "--tenant", "No_Tenant"): 2,
        ("gates", "list", "--nonsense"): 2,
        ("gates", "approve", late.request_id): 5,
        ("gates", "show", "nowhere"): 7,
        ("gates", "approve", "nowhere"): 7,
    }
    for arguments, code in expected.items():
        answer = run(*arguments)
        assert (answer.code, answer.out) == (code, ""), arguments
        assert "Traceback" not in answer.err
        assert answer.err.strip()
    monkeypatch.setenv("REDIS_PORT", "many")
    assert run("gates", "list").code == 2
    monkeypatch.delenv("REDIS_PORT")
    valkey.run("CONFIG", "SET", "requirepass", "secret")
    refused = run("gates", "list", "--json")
    assert (refused.code, refused.out) == (6, "")
    with valkey.offline():
        away = run("gates", "list", "--json")
    assert (away.code, away.out) == (6, "")
    assert "cannot be reached" in away.err


@pytest.mark.parametrize("verb", [("gates", "list"), ("gates", "approve", "x"), ("tenants", "list"), ("doctor",)])
def test_a_refused_tenant_is_noted_locally_and_nowhere_else(
    verb: tuple[str, ...], valkey: Server, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, valkey)
    answer = run(*verb, "--tenant", "evil-corp")
    assert answer.code == 2
    log = Path(os.environ["HITL_STATE_DIR"]) / "log" / "tenants.jsonl"
    told = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(entry["event"], entry["tenant_id"], entry["reviewer"]) for entry in told] == [
        ("tenant_refused", "evil-corp", "rev@example.org")
    ]
    assert told[0]["reason"] in answer.err
    assert valkey.run("DBSIZE") == 0


def test_request_posts_a_gate_from_files(
    server: Server, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use(monkeypatch, server)
    text, picture, large = tmp_path / "a.py", tmp_path / "a.png", tmp_path / "large.log"
    text.write_text("x = 1\n")
    picture.write_bytes(b"\x89PNG\r\n\x1a\n\xff")
    large.write_bytes(b"x" * (256 * 1024 + 1))
    files = [f"--evidence=artifact={text}", f"--evidence=image={picture}", f"--evidence=log={large}"]
    words = ("--type", "code", "--task", "t-1", "--session", "s-1", "--summary", "From files", "--expires-in", "2h")
    answer = run("gates", "request", *words, *files, "--requested-by", "my-agent", "--json")
    assert answer.code == 0
    assert "over 256 KiB" in answer.err
    shown = run("gates", "show", answer.document["request_id"], "--json").document
    assert (shown["gate_type"], shown["requested_by"], shown["task_id"]) == ("hitl_4_code", "my-agent", "t-1")
    assert [item["integrity"] for item in shown["evidence"]] == ["verified", "verified", "missing"]
    assert shown["expires_at"] is not None
    assert shown["evidence_digest"] == answer.document["evidence_digest"]


@pytest.mark.parametrize(
    "wrong",
    [
        ("--type", "nonsense"),
        ("--evidence", "no-equals-sign"),
        ("--evidence", "artifact=/nowhere"),
        ("--expires-in", "soon"),
    ],
)
def test_a_wrong_request_is_usage(
    valkey: Server, run: Run, monkeypatch: pytest.MonkeyPatch, wrong: tuple[str, str]
) -> None:
    use(monkeypatch, valkey)
    words = {"--type": "code", "--task": "t", "--session": "s", "--summary": "x", **dict([wrong])}
    answer = run("gates", "request", *(part for pair in words.items() for part in pair))
    assert (answer.code, answer.out) == (2, "")
    assert valkey.run("DBSIZE") == 0


def wait_for_gate(server: Server, environment: dict[str, str], *more: str) -> tuple[subprocess.Popen[str], str]:
    words = ("--type", "code", "--task", "t-1", "--session", "s-1", "--summary", "Waiting", "--wait", "--json")
    process = start("gates", "request", *words, *more, **environment)
    # The gate itself stays, also when it has expired by the time that we look.
    posted = "tenant:acme-corp:asdlc:gate_request:"
    processes.until(lambda: server.run("KEYS", f"{posted}*"), "the gate is posted")
    (key,) = server.run("KEYS", f"{posted}*")
    return process, key.decode().removeprefix(posted)


def tenancy(server: Server) -> dict[str, str]:
    return {"HITL_REDIS_URL": server.url, "MULTI_TENANCY_ENABLED": "yes", "ALLOWED_TENANTS": "acme-corp"}


@pytest.mark.parametrize(("verb", "code"), [("approve", 0), ("reject", 3)])
def test_wait_returns_the_answer(
    server: Server, run: Run, monkeypatch: pytest.MonkeyPatch, verb: str, code: int
) -> None:
    use(monkeypatch, server)
    process, request_id = wait_for_gate(server, tenancy(server))
    assert run("gates", verb, request_id, "--reason", "Because", "--condition", "One").code == 0
    out, _ = process.communicate(timeout=processes.DEADLINE)
    assert process.returncode == code
    document = json.loads(out)
    assert (document["reviewer"], document["reason"], document["conditions"]) == ("rev@example.org", "Because", ["One"])


def test_wait_ends_the_gate_when_its_time_runs_out(server: Server) -> None:
    process, request_id = wait_for_gate(server, tenancy(server), "--expires-in", "1s")
    out, _ = process.communicate(timeout=processes.DEADLINE)
    assert process.returncode == 4
    assert json.loads(out)["status"] == "expired"
    assert server.run("ZCARD", "tenant:acme-corp:asdlc:pending_gates") == 0
    assert server.run("HGET", f"tenant:acme-corp:asdlc:gate_request:{request_id}", "status") == b"expired"


def test_wait_outlives_the_server(valkey: Server, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, valkey)
    process, request_id = wait_for_gate(valkey, tenancy(valkey))
    valkey.restart()
    assert run("gates", "approve", request_id).code == 0
    process.communicate(timeout=processes.DEADLINE)
    assert process.returncode == 0


def test_an_interrupted_wait_ends_quietly(valkey: Server) -> None:
    process, _ = wait_for_gate(valkey, tenancy(valkey))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=processes.DEADLINE)
    assert process.returncode == 130
    assert "Traceback" not in err


def test_of_many_processes_one_decides_and_the_others_are_told(server: Server) -> None:
    request = gate_request("Wanted")
    asyncio.run(ask(server.url, "acme-corp", request))
    running = [
        start("gates", "approve", request.request_id, **tenancy(server), HITL_REVIEWER=f"r{number}")
        for number in range(5)
    ]
    told = [process.communicate(timeout=len(running) * processes.DEADLINE)[1] for process in running]
    codes = [process.returncode for process in running]
    assert sorted(codes) == [0, 5, 5, 5, 5]
    winner = written(server, "acme-corp", request).gate["reviewer"]
    assert all(winner in err for err, code in zip(told, codes, strict=True) if code == 5)
    assert len(written(server, "acme-corp", request).events) == 1


def test_single_tenant_mode(valkey: Server, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_HOST", valkey.host)
    monkeypatch.setenv("REDIS_PORT", str(valkey.port))
    words = ("--type", "code", "--task", "t", "--session", "s", "--summary", "Plain")
    assert run("gates", "request", *words).code == 0
    assert valkey.run("ZCARD", "asdlc:pending_gates") == 1
    listed = run("gates", "list", "--json").document
    assert listed["tenant_id"] is None
    assert listed["gates"][0]["tenant_id"] is None
    assert run("gates", "list", "--tenant", "acme-corp").code == 2


def test_tenants_are_listed_with_what_waits(valkey: Server, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, valkey)
    asyncio.run(ask(valkey.url, "widgets-inc", gate_request("A gate")))
    assert run("tenants", "list", "--json").document == {
        "multi_tenancy": True,
        "tenants": [
            {"tenant_id": "acme-corp", "default": True, "pending": 0},
            {"tenant_id": "widgets-inc", "default": False, "pending": 1},
        ],
    }


def test_doctor_names_what_works_and_stray_data(valkey: Server, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, valkey)
    valkey.run("XADD", "asdlc:events", "*", "_init", "true")
    answer = run("doctor", "--json")
    checks = {check["name"]: check for check in answer.document["checks"]}
    assert answer.code == 0
    assert checks["server"]["status"] == "ok"
    assert "Valkey" in checks["server"]["detail"]
    assert "asdlc:events" in checks["stray data"]["detail"]
    assert "tenants adopt acme-corp" in checks["stray data"]["detail"]
    assert checks["keyring"]["status"] == "warning"
    assert checks["keyring"]["detail"].endswith(": unlock or install one, or set HITL_KEY_FILE.")
    with valkey.offline():
        assert run("doctor").code == 6


@pytest.mark.parametrize("key", ["asdlc:gate_request:1", "asdlc:session:s-1", "asdlc:decision_log:task-1"])
def test_doctor_names_any_single_tenant_key(
    key: str, valkey: Server, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, valkey)
    asyncio.run(ask(valkey.url, "acme-corp", gate_request("A gate")))
    assert "stray data" not in {check["name"] for check in run("doctor", "--json").document["checks"]}
    valkey.run("SET", key, "x")
    checks = {check["name"]: check for check in run("doctor", "--json").document["checks"]}
    assert checks["stray data"]["status"] == "warning"
    assert key.rpartition(":")[0] in checks["stray data"]["detail"]


def test_nothing_of_an_agents_text_reaches_the_terminal_raw(
    valkey: Server, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, valkey)
    hostile = "\x1b]8;;http://evil\x07click\x1b[31m\u202egnp.exe\r\nsecond \x9b2J"
    asyncio.run(ask(valkey.url, "acme-corp", gate_request(hostile)))
    for verb in ("list",):
        out = run("gates", verb).out
        assert not any(char in out for char in "\x1b\x07\u202e\x9b\r")
        assert "\\u001b" in out


def test_the_demo_fills_the_local_workspace_once(run: Run) -> None:
    first = run("demo", "--json").document
    assert [tenant["tenant_id"] for tenant in first["tenants"]] == ["acme-corp", "widgets-inc"]
    assert all(tenant["gates_added"] for tenant in first["tenants"])
    assert all(not tenant["gates_added"] for tenant in run("demo", "--json").document["tenants"])
    listed = run("gates", "list", "--json").document
    assert (listed["tenant_id"], len(listed["gates"])) == ("acme-corp", 12)
    types = {gate["gate_type"] for gate in listed["gates"]}
    assert {f"hitl_{number}" for number in range(1, 7)} <= {name[:6] for name in types}
    states = {item["integrity"] for gate in listed["gates"] for item in gate["evidence"]}
    assert states == {"verified", "mismatch", "unverifiable", "missing"}


def test_the_demo_writes_to_no_configured_server(valkey: Server, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, valkey)
    assert run("demo").code == 2
    assert valkey.run("DBSIZE") == 0


def test_gate_verbs_import_neither_chroma_nor_qt(valkey: Server) -> None:
    script = (
        "import sys; from hitl_desktop.cli import main; code = main(['gates', 'list']); "
        "print([name for name in ('chromadb', 'PySide6') if name in sys.modules]); sys.exit(code)"
    )
    environment = {**os.environ, "HITL_REDIS_URL": valkey.url}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
