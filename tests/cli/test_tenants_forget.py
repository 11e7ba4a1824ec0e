"""`tenants forget`: the key first, then the files, then the credentials; never a decision without being told to."""

import asyncio
import io
import json
import os
import sys
from pathlib import Path

import keyring
import pytest

from hitl_desktop.session import open_backend, open_session
from hitl_desktop.settings import read_settings
from hitl_desktop.store.credentials import Login, Service, keep_login, read_logins
from hitl_desktop.store.keys import KEY_BYTES
from hitl_desktop.store.removal import remove_store
from hitl_desktop.store.windows import WindowState, WindowStore
from hitl_desktop.tenancy import TenantNames
from tests import keyrings
from tests.environments import key_file
from tests.gates import ask, gate_request
from tests.servers import Server
from tests.verbs import Answer, Run, run_verb

TENANT, OTHER = "acme-corp", "acme"
NAMES = TenantNames(TENANT)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    def call(*arguments: str, given: str = "") -> Answer:
        monkeypatch.setattr(sys, "stdin", io.StringIO(given))
        return run_verb(capsys, *arguments)

    return call


@pytest.fixture
def configured(home: Path, valkey: Server, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Configure a server without a key file; return where the stores are."""
    for name, value in {
        "HITL_REDIS_URL": valkey.url,
        "MULTI_TENANCY_ENABLED": "true",
        "ALLOWED_TENANTS": f"{TENANT},{OTHER}",
        "HITL_REVIEWER": "rev@example.org",
    }.items():
        monkeypatch.setenv(name, value)
    return read_settings().stores_dir


@pytest.fixture
def with_key_file(home: Path, configured: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HITL_KEY_FILE", str(key_file(home)))
    return configured


def gate_kept(run: Run, valkey: Server, tenant_id: str = TENANT) -> str:
    request = gate_request("Retry with jitter")
    asyncio.run(ask(valkey.url, tenant_id, request))
    assert run("gates", "sync", "--tenant", tenant_id).code == 0
    return request.request_id


def files(stores: Path, tenant_id: str = TENANT) -> list[str]:
    return sorted(path.name for path in stores.glob(f"{TenantNames(tenant_id).file_stem}.*") if path.suffix != ".lock")


def data_key(stores: Path, names: TenantNames = NAMES) -> str | None:
    return keyring.get_password(*names.data_key_entry((stores / "store-id").read_text()))


def test_all_of_one_tenant_is_removed_and_nothing_of_another(
    valkey: Server, run: Run, configured: Path, secret_service: str
) -> None:
    for tenant_id in (TENANT, OTHER):
        gate_kept(run, valkey, tenant_id)
        keep_login(TenantNames(tenant_id), "", Service.REDIS, Login("redis://db", "s", "u"))
    assert data_key(configured) is not None
    theirs, key_of_other = files(configured, OTHER), data_key(configured, TenantNames(OTHER))
    answer = run("tenants", "forget", TENANT, "--yes", "--json")
    assert (answer.code, answer.err) == (0, "")
    assert json.loads(answer.out) == {"tenant_id": TENANT, "data": True, "credentials": ["redis"]}
    assert files(configured) == []
    assert (data_key(configured), read_logins(NAMES, "")) == (None, {})
    assert files(configured, OTHER) == theirs
    assert data_key(configured, TenantNames(OTHER)) == key_of_other
    assert read_logins(TenantNames(OTHER), "").keys() == {Service.REDIS}
    assert run("tenants", "forget", TENANT, "--yes").out == f"Nothing of {TENANT} was kept on this machine.\n"
    assert run("gates", "list", "--tenant", TENANT).code == 0  # it can be worked for again


def test_with_a_key_file_it_needs_no_keyring(valkey: Server, run: Run, with_key_file: Path) -> None:
    gate_kept(run, valkey)
    assert f"{NAMES.file_stem}.key" in files(with_key_file)
    answer = run("tenants", "forget", TENANT, "--yes")
    assert (answer.code, answer.out) == (0, f"Removed of {TENANT}: gates and decisions.\n")
    assert "Credentials in it, if there are any, were not deleted." in answer.err
    assert files(with_key_file) == []


def test_a_tenant_that_is_not_allowed_any_more_can_be_forgotten(
    valkey: Server, run: Run, with_key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate_kept(run, valkey)
    monkeypatch.setenv("ALLOWED_TENANTS", OTHER)
    assert run("tenants", "forget", TENANT, "--yes").code == 0
    assert files(with_key_file) == []
    assert run("tenants", "forget", "../x", "--yes").code == 2


def test_it_is_asked_for_first(valkey: Server, run: Run, with_key_file: Path) -> None:
    gate_kept(run, valkey)
    before = files(with_key_file)
    for given in ("n\n", ""):
        answer = run("tenants", "forget", TENANT, given=given)
        assert (answer.code, answer.out) == (130, "")
        assert f"Remove all that this machine keeps of {TENANT}?" in answer.err
    assert files(with_key_file) == before
    assert run("tenants", "forget", TENANT, given="y\n").code == 0
    assert files(with_key_file) == []


@pytest.mark.parametrize("conflict", [False, True])
def test_decisions_that_were_not_delivered_are_kept(
    valkey: Server,
    run: Run,
    with_key_file: Path,
    conflict: bool,  # noqa: FBT001 - parametrized
) -> None:
    request_id = gate_kept(run, valkey)
    of = ("--tenant", TENANT)
    assert run("gates", "approve", request_id, *of, "--reason", "Fine", "--offline").code == 0
    if conflict:
        valkey.run("HSET", f"tenant:{TENANT}:asdlc:gate_request:{request_id}", "status", "rejected")
        assert run("gates", "sync", *of).code == 5
    before = files(with_key_file)
    refused = run("tenants", "forget", TENANT, "--yes")
    assert refused.code == 5
    assert refused.err.startswith("Error: 1 decision would be lost undelivered, so nothing was removed.")
    assert "--discard-decisions" in refused.err
    assert files(with_key_file) == before
    assert len(json.loads(run("outbox", "list", *of, "--json").out)["decisions"]) == 1
    assert run("tenants", "forget", TENANT, "--yes", "--discard-decisions").code == 0
    assert files(with_key_file) == []


def test_a_delivered_decision_keeps_nothing(valkey: Server, run: Run, with_key_file: Path) -> None:
    request_id = gate_kept(run, valkey)
    assert run("gates", "approve", request_id, "--tenant", TENANT).code == 0
    assert run("tenants", "forget", TENANT, "--yes").code == 0


def test_what_cannot_be_read_may_hold_decisions(valkey: Server, run: Run, with_key_file: Path, home: Path) -> None:
    gate_kept(run, valkey)
    (home / "key").write_bytes(os.urandom(KEY_BYTES))
    before = files(with_key_file)
    refused = run("tenants", "forget", TENANT, "--yes")
    assert refused.code == 5
    assert f"{NAMES.file_stem}.db cannot be read and may hold undelivered decisions" in refused.err
    assert files(with_key_file) == before
    assert run("gates", "sync", "--tenant", TENANT).code == 0  # moves it aside, and begins anew
    assert any(".aside-" in name and name.endswith(".key") for name in files(with_key_file))
    refused = run("tenants", "forget", TENANT, "--yes")
    assert (refused.code, ".aside-" in refused.err) == (5, True)
    assert run("tenants", "forget", TENANT, "--yes", "--discard-decisions").code == 0
    assert files(with_key_file) == []


def test_a_tenant_that_a_window_has_open_stays(valkey: Server, run: Run, with_key_file: Path) -> None:
    gate_kept(run, valkey)

    async def with_a_window() -> Answer:
        async with open_backend(read_settings()) as backend, open_session(backend, TENANT) as session:
            await session.drafts()
            return await asyncio.to_thread(run, "tenants", "forget", TENANT, "--yes", "--discard-decisions")

    refused = asyncio.run(with_a_window())
    assert (refused.code, "close it first" in refused.err) == (5, True)
    assert f"{NAMES.file_stem}.db" in files(with_key_file)
    assert run("tenants", "forget", TENANT, "--yes").code == 0


def test_a_locked_keyring_keeps_everything(valkey: Server, run: Run, configured: Path, secret_service: str) -> None:
    gate_kept(run, valkey)
    before = files(configured)
    with keyrings.locked(secret_service):
        for more in ((), ("--discard-decisions",)):
            refused = run("tenants", "forget", TENANT, "--yes", *more)
            assert (refused.code, "cannot be used (KeyringLocked)" in refused.err) == (2, True)
    assert files(configured) == before


def test_the_key_goes_before_any_file(
    valkey: Server, run: Run, configured: Path, secret_service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate_kept(run, valkey)

    class Killed(Exception):  # noqa: N818 - what a power cut is
        pass

    def cut(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as there:
        there.setattr(Path, "unlink", cut)
        with pytest.raises(Killed):
            remove_store(read_settings(), NAMES)
    assert data_key(configured) is None
    assert files(configured)
    assert run("tenants", "forget", TENANT, "--yes", "--discard-decisions").code == 0
    assert files(configured) == []


def test_a_key_from_before_the_key_file_goes_too(
    home: Path, valkey: Server, run: Run, configured: Path, secret_service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate_kept(run, valkey)
    monkeypatch.setenv("HITL_KEY_FILE", str(key_file(home)))
    assert run("tenants", "forget", TENANT, "--yes", "--discard-decisions").code == 0
    assert data_key(configured) is None


def test_no_window_comes_back_for_it(run: Run, with_key_file: Path) -> None:
    state_dir = read_settings().state_dir
    store = WindowStore(state_dir)
    store.save((WindowState("1", TENANT, "g"), WindowState("2", OTHER)))
    store.save((WindowState("2", OTHER), WindowState("1", TENANT, "g")))
    assert run("tenants", "forget", TENANT, "--yes").code == 0
    assert store.load() == (WindowState("2", OTHER),)
    assert store.recent_tenants() == (OTHER,)
    untouched = (state_dir / "windows.json").stat().st_mtime_ns
    assert run("tenants", "forget", TENANT, "--yes").code == 0
    assert (state_dir / "windows.json").stat().st_mtime_ns == untouched
