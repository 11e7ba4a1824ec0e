"""`tenants login` and `logout` with a real keyring and a real server; the secret is looked for everywhere."""

import asyncio
import io
import json
import os
import pty
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from types import MappingProxyType

import pytest
from keyring.backend import KeyringBackend
from keyring.backends import fail, null

from hitl_desktop.store.credentials import Login, Service, read_logins
from hitl_desktop.tenancy import TenantNames
from tests import keyrings, processes
from tests.gates import ask, gate_request
from tests.servers import Server
from tests.verbs import Answer, Run, run_verb

TENANT, OTHER = "acme-corp", "widgets-inc"
NAMES = TenantNames(TENANT)
SENTINEL = "S3NTINEL-9f21c0"
TOKEN = "hitl_T0KENSENTINEL"  # noqa: S105 - looked for where it must not be


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command line in this process, with `given` on its standard input."""

    def call(*arguments: str, given: bytes = b"", **environment: str) -> Answer:
        with monkeypatch.context() as there:
            for name, value in environment.items():
                there.setenv(name, value)
            there.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given), "utf-8", "surrogateescape"))
            return without_secrets(run_verb(capsys, *arguments))

    return call


def process(*arguments: str, given: bytes = b"", environment: Mapping[str, str] = MappingProxyType({})) -> Answer:
    """Run the command line as a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "hitl_desktop", *arguments],
        input=given,
        capture_output=True,
        env={**os.environ, **environment},
        timeout=60,
        check=False,
    )
    return without_secrets(Answer(done.returncode, done.stdout.decode(), done.stderr.decode()))


def without_secrets(answer: Answer) -> Answer:
    said = answer.out + answer.err
    assert not [secret for secret in (SENTINEL, TOKEN, "Traceback") if secret in said]
    return answer


def kept() -> dict[Service, Login]:
    return read_logins(NAMES, "")


def found_in_files(folder: Path) -> list[Path]:
    needles = (SENTINEL.encode(), TOKEN.encode(), SENTINEL.encode().hex().encode())
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return [path for path in files if any(needle in path.read_bytes() for needle in needles)]


@pytest.fixture
def walled(valkey: Server, monkeypatch: pytest.MonkeyPatch, secret_service: str) -> Server:
    """A server with the tenant's user, whose password is the sentinel, and no other way in."""
    for name, value in {
        "HITL_REDIS_URL": valkey.url,
        "MULTI_TENANCY_ENABLED": "true",
        "ALLOWED_TENANTS": f"{TENANT},{OTHER}",
        "HITL_REVIEWER": "rev@example.org",
    }.items():
        monkeypatch.setenv(name, value)
    keyrings.make_users(valkey, TENANT, OTHER)
    valkey.run("ACL", "SETUSER", f"{TENANT}-reviewer", "resetpass", f">{SENTINEL}")
    return valkey


def test_a_password_is_kept_once_the_server_takes_it(walled: Server, run: Run) -> None:
    answer = run("tenants", "login", TENANT, given=f"{SENTINEL}\n".encode())
    assert (answer.code, answer.err) == (0, "")
    assert f"The password of {TENANT}-reviewer for redis://127.0.0.1:{walled.port} is kept" in answer.out
    assert kept() == {Service.REDIS: Login(f"redis://127.0.0.1:{walled.port}", SENTINEL, f"{TENANT}-reviewer")}
    rows = json.loads(run("tenants", "list", "--json").out)["tenants"]
    assert [(row["tenant_id"], row["pending"]) for row in rows] == [(TENANT, 0), (OTHER, None)]
    out = run("tenants", "logout", TENANT).out
    assert (
        out == f"The password of {TENANT}-reviewer for redis://127.0.0.1:{walled.port} is deleted from the keyring.\n"
    )
    assert kept() == {}
    assert run("tenants", "logout", TENANT).out == f"The keyring has no credentials of {TENANT}.\n"
    listed = run("gates", "list", "--tenant", TENANT)
    assert listed.code == 6
    assert f"`hitl-desktop tenants login {TENANT}`" in listed.err


def test_another_user_can_be_named_and_json_tells_all_but_the_secret(walled: Server, run: Run) -> None:
    walled.run("ACL", "SETUSER", "lead", "on", f">{SENTINEL}", f"~tenant:{TENANT}:asdlc:*", "+@all")
    answer = run("tenants", "login", TENANT, "--user", "lead", "--json", given=SENTINEL.encode())
    server = f"redis://127.0.0.1:{walled.port}"
    assert json.loads(answer.out) == {
        "tenant_id": TENANT,
        "keyring": "SecretService Keyring",
        "kept": [{"service": "redis", "user": "lead", "server": server, "checked": True}],
    }
    assert kept()[Service.REDIS].user == "lead"
    deleted = json.loads(run("tenants", "logout", TENANT, "--json").out)
    assert deleted == {"tenant_id": TENANT, "deleted": ["redis"]}


def test_what_the_server_refuses_is_not_kept(walled: Server, run: Run) -> None:
    wrong = run("tenants", "login", TENANT, given=b"wr0ng-password\n")
    assert wrong.code == 6
    assert "refused the user name or password" in wrong.err
    assert wrong.err.rstrip().endswith("Nothing was kept.")
    assert "wr0ng" not in wrong.err
    # Another tenant's user is taken by the server, but not for this tenant's keys.
    walled.run("ACL", "SETUSER", f"{OTHER}-reviewer", "resetpass", f">{SENTINEL}")
    foreign = run("tenants", "login", TENANT, "--user", f"{OTHER}-reviewer", given=SENTINEL.encode())
    assert foreign.code == 6
    assert "Nothing was kept." in foreign.err
    assert kept() == {}


def test_an_absent_server_is_no_reason_to_keep_unchecked(walled: Server, run: Run) -> None:
    with walled.offline():
        assert run("tenants", "login", TENANT, given=SENTINEL.encode()).code == 6
        assert kept() == {}
        answer = run("tenants", "login", TENANT, "--no-check", given=SENTINEL.encode())
        assert (answer.code, answer.out.rstrip().endswith(", unchecked.")) == (0, True)
    assert kept()[Service.REDIS].secret == SENTINEL


def test_password_and_token_are_two_lines(walled: Server, run: Run) -> None:
    answer = run(
        *("tenants", "login", TENANT, "--redis", "--chroma", "--no-check"),
        given=f"{SENTINEL}\r\n{TOKEN}\r\n".encode(),
        HITL_CHROMA_URL="https://user:password@chroma.example:8443/base/",
    )
    assert answer.code == 0
    assert {service: (login.server, login.secret, login.user) for service, login in kept().items()} == {
        Service.REDIS: (f"redis://127.0.0.1:{walled.port}", SENTINEL, f"{TENANT}-reviewer"),
        Service.CHROMA: ("https://chroma.example:8443/base", TOKEN, ""),
    }
    assert "password@" not in answer.out
    assert json.loads(run("tenants", "logout", TENANT, "--json").out)["deleted"] == ["redis", "chroma"]
    assert kept() == {}


@pytest.mark.parametrize(
    ("words", "given", "told"),
    [
        ((TENANT,), b"", "No password was given"),
        ((TENANT,), b"\n", "No password was given"),
        ((TENANT,), b"S3NTINEL-\xff\n", "characters that cannot be sent"),
        ((TENANT, "--chroma"), b"T0KEN with spaces\n", "characters that cannot be sent"),
        ((TENANT, "--chroma"), "tökén\n".encode(), "characters that cannot be sent"),
        ((TENANT, "--user", "two words"), b"x\n", "--user takes the name"),
        ((TENANT, "--chroma", "--user", "x"), b"x\n", "--user names a Redis user"),
        (("no-such-tenant",), b"x\n", "is not on the allowlist"),
        (("../x",), b"x\n", "tenant id"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_a_sentence(
    walled: Server, run: Run, words: tuple[str, ...], given: bytes, told: str
) -> None:
    answer = run("tenants", "login", *words, "--no-check", given=given, HITL_CHROMA_URL="http://chroma")
    assert answer.code == 2
    assert told in answer.err
    assert kept() == {}


def test_without_a_server_there_is_nothing_to_log_in_to(walled: Server, run: Run) -> None:
    local = run("tenants", "login", TENANT, given=b"x\n", HITL_REDIS_URL="")
    assert (local.code, "The local workspace has no passwords" in local.err) == (2, True)
    no_chroma = run("tenants", "login", TENANT, "--chroma", given=b"x\n")
    assert (no_chroma.code, "set HITL_CHROMA_URL" in no_chroma.err) == (2, True)
    single = run("tenants", "login", TENANT, given=b"x\n", MULTI_TENANCY_ENABLED="false")
    assert (single.code, "Multi-tenancy is off" in single.err) == (2, True)


@pytest.mark.parametrize(
    ("backend", "told"),
    [(null.Keyring, "does not keep what it is given"), (fail.Keyring, "cannot be used")],
)
def test_a_keyring_that_is_none_is_refused_before_anything_is_asked(
    walled: Server, run: Run, backend: type[KeyringBackend], told: str
) -> None:
    with keyrings.used(backend()):
        answer = run("tenants", "login", TENANT, given=SENTINEL.encode())
    assert answer.code == 2
    assert told in answer.err


def test_a_locked_keyring_is_refused_and_doctor_says_that_nobody_logs_in(walled: Server, run: Run) -> None:
    assert run("tenants", "login", TENANT, given=SENTINEL.encode()).code == 0
    assert "Redis: as acme-corp-reviewer, from the keyring" in run("doctor", "--tenant", TENANT).out
    elsewhere = run("doctor", "--tenant", TENANT, HITL_REDIS_URL=walled.unix_url)
    assert "the keyring has one for redis://127.0.0.1" in elsewhere.out
    with keyrings.locked(os.environ["DBUS_SESSION_BUS_ADDRESS"]):
        refused = run("tenants", "login", TENANT, given=SENTINEL.encode())
        assert (refused.code, "cannot be used" in refused.err) == (2, True)
        told = json.loads(run("doctor", "--tenant", TENANT, "--json").out)
        assert run("tenants", "logout", TENANT).code == 2
    (login,) = [check for check in told["checks"] if check["name"] == "login"]
    assert login["status"] == "warning"
    assert "So no login of acme-corp can be read, and nobody logs in for it." in login["detail"]
    (server,) = [check for check in told["checks"] if check["name"] == "server"]
    assert (server["status"], "nobody logged in for acme-corp" in server["detail"]) == ("failed", True)


def test_a_terminal_does_not_show_what_is_typed(walled: Server) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "hitl_desktop", "tenants", "login", TENANT]
    running = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    try:
        shown = b""
        while f"Password of {TENANT}-reviewer: ".encode() not in shown:
            shown += os.read(ours, 1024)
        os.write(ours, f"{SENTINEL}\n".encode())
        while b"is kept in the keyring" not in shown:
            shown += os.read(ours, 1024)
        assert running.wait(processes.DEADLINE) == 0
    finally:
        running.kill()
        running.wait()
        os.close(ours)
    assert SENTINEL.encode() not in shown
    assert kept()[Service.REDIS].secret == SENTINEL


# --- where the secret is looked for -----------------------------------------------------------------------------------


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server that a client can log in to, and that answers when the test wants it to."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        listening.settimeout(processes.DEADLINE)
        yield listening


def test_neither_arguments_nor_environment_have_it_while_it_is_sent(
    home: Path, walled: Server, listener: socket.socket
) -> None:
    running = subprocess.Popen(
        [sys.executable, "-m", "hitl_desktop", "tenants", "login", TENANT],
        env={**os.environ, "HITL_REDIS_URL": f"redis://127.0.0.1:{listener.getsockname()[1]}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert running.stdin is not None
    running.stdin.write(f"{SENTINEL}\n".encode())
    running.stdin.flush()
    connection, _ = listener.accept()
    with closing(connection):
        sent = b""
        while SENTINEL.encode() not in sent:
            sent += connection.recv(4096)
        # The process has it now, and waits for the answer.
        place = Path(f"/proc/{running.pid}")
        if place.exists():
            for name in ("cmdline", "environ", "comm"):
                assert SENTINEL.encode() not in (place / name).read_bytes()
        assert not found_in_files(home)
        connection.sendall(b"-WRONGPASS no\r\n")
        connection.shutdown(socket.SHUT_RDWR)
    out, err = running.communicate(timeout=processes.DEADLINE)
    assert running.returncode == 6
    assert SENTINEL.encode() not in out + err
    assert b"Traceback" not in err


def test_no_file_output_or_export_has_it_after_a_day_of_work(home: Path, walled: Server) -> None:
    request = gate_request("Retry with jitter")
    url = walled.url.replace("//", f"//{TENANT}-reviewer:{SENTINEL}@")
    asyncio.run(ask(url, TENANT, request))
    chroma = {"HITL_CHROMA_URL": "http://127.0.0.1:9"}
    words = ("tenants", "login", TENANT, "--redis", "--chroma", "--no-check")
    assert process(*words, given=f"{SENTINEL}\n{TOKEN}\n".encode(), environment=chroma).code == 0
    of = ("--tenant", TENANT)
    assert process("gates", "sync", *of).code == 0
    assert process("gates", "approve", request.request_id, *of, "--reason", "Fine", "--offline").code == 0
    listed = json.loads(process("outbox", "list", *of, "--json").out)
    (decision,) = listed["decisions"]
    assert process("outbox", "export", decision["decision_id"], *of).code == 0
    walled.run("ACL", "SETUSER", f"{TENANT}-reviewer", "resetpass", ">another")
    refused = process("gates", "sync", *of)
    assert (refused.code, "tenants login acme-corp" in refused.err) == (6, True)
    walled.run("ACL", "SETUSER", f"{TENANT}-reviewer", "resetpass", f">{SENTINEL}")
    assert process("outbox", "retry", decision["decision_id"], *of).code == 0
    process("doctor", *of, environment=chroma)
    assert not found_in_files(home)
    keyring_files = [path for path in home.rglob("*.keyring") if path.stat().st_size]
    assert keyring_files  # the keyring's own file was among those searched
    assert re.search(rb"GnomeKeyring", keyring_files[0].read_bytes())
