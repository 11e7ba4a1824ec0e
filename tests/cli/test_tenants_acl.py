"""`tenants acl` and `tenants revoke`: from the printed line to a user at work, and off again."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from hitl_desktop.cli import main
from hitl_desktop.services.acl import Role, ServerKind, set_user
from hitl_desktop.services.scripts import LIBRARY, function_library
from hitl_desktop.settings import KeyLayout
from hitl_desktop.tenancy import TenantNames
from tests.gates import TENANT, ask, gate_request, written
from tests.processes import until
from tests.servers import Server
from tests.users import SECRET, load_functions, make_user, raw_client

NAMES = TenantNames(TENANT)
REVIEWER = NAMES.redis_user(Role.REVIEWER)
AGENT = NAMES.redis_user(Role.AGENT)
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(["tenants", *arguments])
        told = capsys.readouterr()
        return code, told.out, told.err

    return call


# --- printing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", list(KeyLayout))
@pytest.mark.parametrize("role", list(Role))
def test_a_users_line_is_printed_alone(
    run: Run, monkeypatch: pytest.MonkeyPatch, role: Role, layout: KeyLayout
) -> None:
    monkeypatch.setenv("HITL_KEY_LAYOUT", layout.value)
    names = TenantNames(TENANT, layout)
    assert run("acl", TENANT, "--role", role.value) == (0, f"{set_user(names, role)}\n", "")
    valkey9 = set_user(names, role, ServerKind.VALKEY9)
    assert run("acl", TENANT, "--role", role.value, "--server", "valkey9") == (0, f"{valkey9}\n", "")


def test_without_a_role_both_users_are_printed(run: Run) -> None:
    code, out, _ = run("acl", TENANT)
    assert (code, out.splitlines()) == (0, [set_user(NAMES, role) for role in Role])
    code, out, _ = run("acl", TENANT, "--json")
    users = [{"user": NAMES.redis_user(role), "command": set_user(NAMES, role)} for role in Role]
    assert (code, json.loads(out)) == (0, {"tenant_id": TENANT, "users": users})


def test_the_configured_database_is_minded(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for url, selects in (("redis://localhost:6379/0", False), ("redis://localhost:6379/3", True)):
        monkeypatch.setenv("HITL_REDIS_URL", url)
        line = set_user(NAMES, Role.AGENT, selects=selects)
        assert run("acl", TENANT, "--role", "agent") == (0, f"{line}\n", "")


def test_the_functions_are_printed_alone_and_need_no_tenant(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOWED_TENANTS", "widgets-inc")
    code, out, err = run("acl", "--functions")
    assert (code, out, err) == (0, function_library(), "")
    assert out.startswith(f"#!lua name={LIBRARY}\n")
    assert json.loads(run("acl", "--functions", "--json")[1]) == {"library": LIBRARY, "code": function_library()}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["acl"], "Name the tenant"),
        (["acl", TENANT, "--functions"], "leave the tenant out"),
        (["acl", "Not_One"], "is not a tenant id"),
        (["acl", "elsewhere"], "not on the allowlist"),
        (["acl", TENANT, "--role", "admin"], "Invalid value for '--role'"),
        (["acl", TENANT, "--server", "redis6"], "Invalid value for '--server'"),
        (["revoke", "elsewhere"], "not on the allowlist"),
        (["revoke", TENANT], "The local workspace has no users"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(
    run: Run, monkeypatch: pytest.MonkeyPatch, words: list[str], told: str
) -> None:
    monkeypatch.setenv("ALLOWED_TENANTS", f"{TENANT},widgets-inc")
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert told in err


def test_an_administrator_takes_what_is_printed_to_redis_cli(server: Server, redis_cli: Path) -> None:
    def piped(words: str, *arguments: str, filled: bool = False) -> str:
        verb = [sys.executable, "-m", "hitl_desktop", *words.split()]
        printed = subprocess.run(verb, capture_output=True, check=True).stdout
        given = printed.replace(b"<PASSWORD>", SECRET.encode()) if filled else printed
        command = [str(redis_cli), "-e", "-p", str(server.port), *arguments]
        return subprocess.run(command, input=given, capture_output=True, check=True).stdout.decode().strip()

    assert piped("tenants acl --functions", "-x", "FUNCTION", "LOAD", "REPLACE") == LIBRARY
    assert piped(f"tenants acl {TENANT}", filled=True).split() == ["OK", "OK"]
    for user in (REVIEWER, AGENT):
        with raw_client(server, user) as mine:
            assert mine.ping()


# --- working as such a user -------------------------------------------------------------------------------------------


def use(monkeypatch: pytest.MonkeyPatch, url: str, layout: KeyLayout = KeyLayout.PLAIN) -> None:
    environment = {
        "HITL_REDIS_URL": url,
        "MULTI_TENANCY_ENABLED": "true",
        "ALLOWED_TENANTS": f"{TENANT},widgets-inc",
        "HITL_REVIEWER": "rev@example.org",
        "HITL_KEY_LAYOUT": layout.value,
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("layout", list(KeyLayout))
def test_the_command_line_asks_as_the_agents_user_and_decides_as_the_reviewers(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], layout: KeyLayout
) -> None:
    load_functions(server)
    names = TenantNames(TENANT, layout)
    agent, reviewer = (make_user(server, names, role) for role in (Role.AGENT, Role.REVIEWER))
    use(monkeypatch, agent, layout)
    asked = "gates request --type code --task t-1 --session s-1 --summary Asked --expires-in 1h --wait --json"
    command = [sys.executable, "-m", "hitl_desktop", *asked.split(), "--tenant", TENANT]
    with subprocess.Popen(command, env=dict(os.environ), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as waiting:
        until(lambda: bool(server.run("ZCARD", names.pending_gates)), "the agent has asked")
        use(monkeypatch, reviewer, layout)
        assert main(["gates", "list", "--tenant", TENANT, "--json"]) == 0
        (gate,) = json.loads(capsys.readouterr().out)["gates"]
        assert main(["gates", "approve", gate["request_id"], "--tenant", TENANT, "--reason", "Because"]) == 0
        out, err = waiting.communicate()
    assert (waiting.returncode, err) == (0, b"")
    assert json.loads(out)["status"] == "approved"
    capsys.readouterr()
    assert main(["doctor", "--tenant", TENANT, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    (health,) = [check for check in told["checks"] if check["name"] == "server"]
    assert health["status"] == "ok"
    assert {"redis": "Redis 7", "valkey": "Valkey 9"}[server.kind] in health["detail"]


@pytest.mark.parametrize("verb", ["list", "request --type code --task t --session s --summary x"])
def test_another_tenants_gates_are_refused_to_it(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    load_functions(server)
    use(monkeypatch, make_user(server, NAMES, Role.AGENT))
    assert main(["gates", *verb.split(), "--tenant", "widgets-inc"]) == 6
    told = capsys.readouterr()
    assert told.out == ""
    assert "does not permit this, so nothing was written" in told.err
    assert server.run("DBSIZE") == 0


def test_without_the_functions_one_sentence_says_how_to_load_them(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    request = gate_request("A gate")
    asyncio.run(ask(server.url, TENANT, request))
    use(monkeypatch, make_user(server, NAMES, Role.REVIEWER))
    loading = "hitl-desktop tenants acl --functions | redis-cli -x FUNCTION LOAD REPLACE"
    assert main(["gates", "list", "--tenant", TENANT]) == 6
    told = capsys.readouterr()
    assert loading in told.err
    assert len(told.err.splitlines()) == 1
    assert main(["doctor", "--tenant", TENANT, "--json"]) == 6
    (health,) = [check for check in json.loads(capsys.readouterr().out)["checks"] if check["name"] == "server"]
    assert health["status"] == "failed"
    assert loading in health["detail"]
    assert written(server, TENANT, request).is_pending


# --- revoking ---------------------------------------------------------------------------------------------------------


class Follower:
    """Another program that is logged in and waits for events, until its connection ends."""

    def __init__(self, server: Server, user: str) -> None:
        self.client = raw_client(server, user)
        self.client.ping()
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._wait, daemon=True)
        self._thread.start()

    def _wait(self) -> None:
        try:
            self.client.xread({NAMES.events: "$"}, block=0)
        except redis.RedisError as error:
            self.error = error

    def ended(self) -> bool:
        return not self._thread.is_alive()


def test_a_revoked_user_is_off_and_its_open_connections_end(
    server: Server, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HITL_REDIS_URL", server.url)
    others = TenantNames("widgets-inc")
    for names, role in ((NAMES, Role.REVIEWER), (NAMES, Role.AGENT), (others, Role.REVIEWER)):
        make_user(server, names, role)
    with raw_client(server, AGENT) as agent, raw_client(server, others.redis_user(Role.REVIEWER)) as stranger:
        assert agent.ping()
        assert stranger.ping()
        follower = Follower(server, REVIEWER)
        until(lambda: b"cmd=xread" in server.run("CLIENT", "LIST"), "the follower waits")
        code, out, err = run("revoke", TENANT, "--role", "reviewer")
        assert (code, out) == (0, f"{REVIEWER} is switched off; 1 of its connections were ended.\n")
        assert "ACL SAVE" in err
        until(follower.ended, "the follower's connection has ended")
        assert isinstance(follower.error, redis.ConnectionError)
        with raw_client(server, REVIEWER) as again, pytest.raises(redis.AuthenticationError):
            again.ping()
        assert agent.ping()
        assert stranger.ping()
    follower.client.close()


def test_without_a_role_all_users_of_the_tenant_are_revoked(
    server: Server, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HITL_REDIS_URL", server.url)
    for role in Role:
        make_user(server, NAMES, role)
    code, out, _ = run("revoke", TENANT, "--json")
    revoked = [{"user": user, "connections_ended": 0} for user in (REVIEWER, AGENT)]
    assert (code, json.loads(out)) == (0, {"tenant_id": TENANT, "revoked": revoked})
    for user in (REVIEWER, AGENT):
        with raw_client(server, user) as mine, pytest.raises(redis.AuthenticationError):
            mine.ping()


@pytest.mark.parametrize("words", [["--role", "agent"], []])
def test_a_user_who_is_not_there_is_not_made(
    server: Server, run: Run, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.setenv("HITL_REDIS_URL", server.url)
    code, out, err = run("revoke", TENANT, *words)
    assert (code, out) == (7, "")
    assert "There is no user acme-corp-" in err
    assert AGENT.encode() not in server.run("ACL", "USERS")


def administrator(server: Server, *rules: str) -> str:
    server.run("ACL", "SETUSER", "boss", "reset", "on", f">{SECRET}", *rules)
    return server.url.replace("redis://", f"redis://boss:{SECRET}@")


def test_who_may_not_revoke_is_told_that_nothing_was_switched_off(
    server: Server, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HITL_REDIS_URL", make_user(server, NAMES, Role.REVIEWER))
    code, out, err = run("revoke", TENANT, "--role", "reviewer")
    assert (code, out) == (6, "")
    assert f"{REVIEWER} was not switched off" in err
    with raw_client(server, REVIEWER) as mine:
        assert mine.ping()


def test_who_may_not_end_connections_is_told_that_they_go_on(
    server: Server, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_user(server, NAMES, Role.REVIEWER)
    monkeypatch.setenv("HITL_REDIS_URL", administrator(server, "+@all", "-client|kill"))
    with raw_client(server, REVIEWER) as mine:
        mine.ping()
        code, out, err = run("revoke", TENANT, "--role", "reviewer")
        assert (code, out) == (6, "")
        assert f"{REVIEWER} is switched off, but its open connections go on" in err
        assert mine.ping()
    monkeypatch.setenv("HITL_REDIS_URL", administrator(server, "+@all"))
    assert run("revoke", TENANT, "--role", "reviewer")[0] == 0


def test_a_server_that_is_away_leaves_it_uncertain(valkey: Server, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HITL_REDIS_URL", valkey.url)
    with valkey.offline():
        code, out, err = run("revoke", TENANT, "--role", "reviewer")
    assert (code, out) == (6, "")
    assert "not certain" in err
    assert "run this again" in err


def test_a_user_made_again_by_its_line_works_again(server: Server, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HITL_REDIS_URL", server.url)
    make_user(server, NAMES, Role.REVIEWER)
    assert run("revoke", TENANT, "--role", "reviewer")[0] == 0
    make_user(server, NAMES, Role.REVIEWER)
    with raw_client(server, REVIEWER) as mine:
        assert mine.ping()
