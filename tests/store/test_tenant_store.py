"""A tenant's store in whatever state its file is: explained, moved aside, rebuilt, and the decisions saved."""

import asyncio
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import filelock
import keyring
import pytest

from hitl_desktop.settings import Settings
from hitl_desktop.store import tenant_store
from hitl_desktop.store.errors import StoreError
from hitl_desktop.store.removal import remove_store
from hitl_desktop.store.tenant_store import StoreThread, kept_tenants, open_tenant_store
from hitl_desktop.tenancy import TenantNames
from tests.environments import key_file
from tests.stores import (
    NAMES,
    PAGE,
    add,
    database,
    files,
    flip,
    opened,
    settings,
    summaries,
)

ROOT = Path(__file__).parent.parent.parent


def test_folders_are_the_accounts_alone_whatever_the_umask(home: Path) -> None:
    wanted = settings(home / "new" / "state", key_file=key_file(home))
    before = os.umask(0)
    try:
        with opened(wanted):
            folders = [wanted.state_dir, wanted.stores_dir.parent, wanted.stores_dir]
            assert [stat.S_IMODE(folder.stat().st_mode) for folder in folders] == [0o700] * 3
            assert {stat.S_IMODE(file.stat().st_mode) for file in wanted.stores_dir.iterdir()} == {0o600}
    finally:
        os.umask(before)


def test_folders_that_others_may_enter_are_taken_from_them(home: Path) -> None:
    wanted = settings(home / "state", key_file=key_file(home))
    wanted.stores_dir.mkdir(parents=True)
    for folder in (wanted.stores_dir, wanted.stores_dir.parent):
        folder.chmod(0o755)
    with opened(wanted) as store:
        add(store, "kept")
    assert stat.S_IMODE(wanted.stores_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE(wanted.stores_dir.parent.stat().st_mode) == 0o700


def test_servers_workspace_and_profiles_are_kept_apart(home: Path) -> None:
    key = key_file(home)
    several = [
        settings(home, key_file=key),
        settings(home, key_file=key, profile="client"),
        Settings(state_dir=home, key_file=key),
    ]
    for number, wanted in enumerate(several):
        with opened(wanted) as store:
            add(store, str(number))
    for number, wanted in enumerate(several):
        with opened(wanted) as store:
            assert summaries(store) == [str(number)]
        assert kept_tenants(wanted) == ("acme-corp",)


def plain(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE outbox(a)")


DAMAGES: dict[str, Callable[[Path], object]] = {
    "the key does not open": lambda path: flip(path, PAGE - 1),
    "cut off": lambda path: os.truncate(path, 1000),
    "is empty": lambda path: os.truncate(path, 0),
    "file is damaged": lambda path: os.truncate(path, 2 * PAGE),
    "not encrypted": plain,
    "does not open the file, or its beginning": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "beginning is damaged": lambda path: path.write_bytes(os.urandom(path.stat().st_size)),
}


@pytest.mark.parametrize("told", DAMAGES)
def test_a_file_that_cannot_be_used_is_explained_moved_aside_and_begun_anew(wanted: Settings, told: str) -> None:
    with opened(wanted) as store:
        add(store, "lost")
    DAMAGES[told](database(wanted))
    damaged = database(wanted).read_bytes()
    with opened(wanted) as store:
        assert told in store.notice
        assert "moved aside as tenant-acme-corp." in store.notice
        assert "come again from the server" in store.notice
        assert store.is_durable
        add(store, "new")
    aside = [name for name in files(wanted) if name.endswith(".db") and name != "tenant-acme-corp.db"]
    assert len(aside) == 1
    assert (wanted.stores_dir / aside[0]).read_bytes() == damaged
    with opened(wanted) as store:
        assert store.notice == ""
        assert summaries(store) == ["new"]
    assert kept_tenants(wanted) == ("acme-corp",)


def test_removing_a_tenant_leaves_nothing_of_it_and_all_of_the_others(wanted: Settings) -> None:
    other = TenantNames("acme-corp-2")
    for names in (NAMES, other):
        with opened(wanted, names) as store:
            add(store, "kept")
    os.truncate(database(wanted), 100)
    with opened(wanted):
        pass
    assert remove_store(wanted, NAMES, discard=True)
    assert files(wanted) == ["tenant-acme-corp-2.db", "tenant-acme-corp-2.key"]
    assert kept_tenants(wanted) == ("acme-corp-2",)
    assert not remove_store(wanted, NAMES, discard=True)
    with opened(wanted, other) as store:
        assert summaries(store) == ["kept"]


def test_removing_a_tenant_takes_its_key_out_of_the_keyring(home: Path, secret_service: str) -> None:
    wanted = settings(home / "state")
    with opened(wanted) as store:
        add(store, "kept")
    where = NAMES.data_key_entry((wanted.stores_dir / "store-id").read_text().strip())
    assert keyring.get_password(*where)
    assert remove_store(wanted, NAMES, discard=True)
    assert keyring.get_password(*where) is None


def test_a_removal_that_is_killed_has_destroyed_the_key_first(wanted: Settings) -> None:
    with opened(wanted) as store:
        add(store, "secret")
    copy = wanted.state_dir / "copy.db"
    shutil.copy(database(wanted), copy)
    script = """
import os, signal, sys
from pathlib import Path
from tests.stores import NAMES, settings
from hitl_desktop.store.removal import remove_store
remove = Path.unlink
def unlink(path, missing_ok=False):
    if path.suffix == ".db":
        os.kill(os.getpid(), signal.SIGKILL)
    remove(path, missing_ok=missing_ok)
Path.unlink = unlink
remove_store(settings(Path(sys.argv[1]), key_file=Path(sys.argv[2])), NAMES, discard=True)
"""
    arguments = [str(wanted.state_dir), str(wanted.key_file)]
    ended = subprocess.run([sys.executable, "-c", script, *arguments], cwd=ROOT, check=False, timeout=60)
    assert ended.returncode == -signal.SIGKILL
    assert database(wanted).exists()
    assert not database(wanted).with_suffix(".key").exists()
    with opened(wanted) as store:
        assert "key of what was kept of this tenant is gone" in store.notice
        assert summaries(store) == []
    assert remove_store(wanted, NAMES, discard=True)
    assert files(wanted) == []


def test_a_file_that_another_process_moved_aside_is_not_written_to(wanted: Settings) -> None:
    def use() -> None:
        thread = StoreThread(lambda thorough: open_tenant_store(wanted, NAMES, thorough))
        try:
            thread._do(lambda store: add(store, "first"))
            # As another process does that finds it damaged: its file goes aside, and the new one has a log of its own.
            for suffix in (".db", ".db-wal", ".db-shm"):
                path = database(wanted).with_suffix(suffix)
                path.rename(path.with_name(path.name.replace("acme-corp.", "acme-corp.damaged-x.")))
            with opened(wanted) as other:
                add(other, "second")
                thread._do(lambda store: add(store, "third"))
                assert thread.openings == 2
                assert summaries(other) == ["second", "third"]
                assert database(wanted).with_suffix(".db-wal").exists()
        finally:
            asyncio.run(thread.close())

    use()
    with opened(wanted) as store:
        assert summaries(store) == ["second", "third"]


def test_who_waits_too_long_for_another_process_is_told(wanted: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tenant_store, "_LOCKED_WITHIN", 0.05)
    with opened(wanted):
        pass
    held = filelock.FileLock(wanted.stores_dir / "tenant-acme-corp.lock")
    with held, pytest.raises(StoreError, match="Another process has been opening"), opened(wanted):
        pass


def test_facts_are_remembered(wanted: Settings) -> None:
    with opened(wanted) as store:
        assert store.fact("listed") == ""
        store.remember("listed", "1")
        store.remember("listed", "2")
    with opened(wanted) as store:
        assert store.fact("listed") == "2"
