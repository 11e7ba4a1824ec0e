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
from datetime import UTC, datetime, timedelta
from pathlib import Path

import filelock
import keyring
import pytest

from hitl_desktop.domain.decision import Draft
from hitl_desktop.domain.outbox import OutboxState, decisions
from hitl_desktop.settings import Settings
from hitl_desktop.store import database as databases
from hitl_desktop.store import rescue, tenant_store
from hitl_desktop.store.database import open_database
from hitl_desktop.store.errors import StoreError
from hitl_desktop.store.evidence import Kept
from hitl_desktop.store.keys import Keys
from hitl_desktop.store.outbox import Outcome
from hitl_desktop.store.outbox_rows import pack
from hitl_desktop.store.removal import remove_store
from hitl_desktop.store.schema import MIGRATIONS
from hitl_desktop.store.tenant_store import StoreThread, kept_tenants, open_store, open_tenant_store
from hitl_desktop.tenancy import TenantNames
from tests.environments import key_file
from tests.stores import NAMES, add, bundle_fields, database, entry, files, gate, opened, settings, summaries

ROOT = Path(__file__).parent.parent.parent
PAGE = 4096


@pytest.fixture
def wanted(home: Path) -> Settings:
    return settings(home / "state", key_file=key_file(home))


def flip(path: Path, *places: int) -> None:
    content = bytearray(path.read_bytes())
    for place in places:
        content[place] ^= 0xFF
    path.write_bytes(content)


def data_key(wanted: Settings) -> bytes:
    key = Keys(wanted.stores_dir, wanted.key_file, "", "id").find(NAMES)
    assert key is not None
    return key


def moved(wanted: Settings, why: str) -> list[str]:
    return [name for name in files(wanted) if f".{why}-" in name]


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


def test_a_file_of_a_newer_version_gives_its_decisions(wanted: Settings) -> None:
    with opened(wanted) as store:
        add(store, "first", "second")
        store.drafts.keep({"request": Draft("half a sentence")})
        store._connection.pragma("user_version", len(MIGRATIONS) + 1)
    with opened(wanted) as store:
        assert "newer version" in store.notice
        assert "2 decisions" in store.notice
        assert summaries(store) == ["first", "second"]
        assert store.drafts.all() == {"request": Draft("half a sentence")}
    assert moved(wanted, "newer")


def test_what_can_be_read_of_a_damaged_outbox_is_saved(wanted: Settings) -> None:
    names = [f"decision {number}" for number in range(60)]
    with opened(wanted) as store:
        add(store, *names, size=1_000)
        store.drafts.keep({"request": Draft("half a sentence")})
        pages = store._connection.pragma("page_count")
    # What the rows are about lies in the file's middle; the schema in its first page.
    flip(database(wanted), int(pages) * PAGE // 3 + 7, int(pages) * PAGE // 2 + 7)
    with opened(wanted) as store:
        saved = summaries(store)
        assert 50 <= len(saved) < 60
        assert saved == [name for name in names if name in saved]
        assert f"the outbox has {decisions(len(saved))} from it" in store.notice
        assert store.drafts.all() == {"request": Draft("half a sentence")}
    with opened(wanted) as store:
        assert summaries(store) == saved
        assert store.notice == ""


async def test_damaged_evidence_of_a_decision_is_found_as_it_is_sent(wanted: Settings) -> None:
    names = [f"decision {number}" for number in range(60)]
    with opened(wanted) as store:
        add(store, *names, size=9_000)
        pages = store._connection.pragma("page_count")
    flip(database(wanted), int(pages) * PAGE // 3 + 7, int(pages) * PAGE // 2 + 7)
    async with open_store(wanted, NAMES) as disk:
        claimed = await disk(lambda store: store.outbox.claim(0.0, 100))
        assert 57 <= len(claimed) < 60
        assert disk.openings == 2
        assert f"the outbox has {decisions(len(claimed))} from it" in disk.notice


def test_decisions_whose_state_is_lost_are_saved_as_ones_that_may_have_been_sent(wanted: Settings) -> None:
    names = [f"decision {number}" for number in range(60)]
    with opened(wanted) as store:
        rows = add(store, *names)
        ((root,),) = store._connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'outbox'")
    flip(database(wanted), (int(root) - 1) * PAGE + 7)
    with opened(wanted) as store:
        saved = store.outbox.entries()
        assert [(one.decision, one.gate) for one in saved] == [(one.decision, one.gate) for one in rows]
        assert {(one.state, one.attempts) for one in saved} == {(OutboxState.UNKNOWN, 1)}
        assert not any(one.can_be_withdrawn for one in saved)
        assert len(store.outbox.claim(0.0, 100)) == 60


def test_a_damaged_file_of_the_first_version_is_read_as_well(wanted: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(wanted):
        pass
    path = database(wanted)
    path.unlink()
    rows, large = [entry() for _ in range(60)], pack({b"blob": b"x" * 2_000})
    with monkeypatch.context() as patched:
        patched.setattr(databases, "MIGRATIONS", MIGRATIONS[:1])
        with closing(open_database(path, data_key(wanted))) as connection:
            connection.executemany(
                "INSERT INTO outbox(decision_id, request_id, state, decision, gate, fields, device) "
                "VALUES (?, ?, 'queued', ?, ?, ?, 'here')",
                [(one.decision_id, one.request_id, pack(one.decision), pack(one.gate), large) for one in rows],
            )
            pages = int(connection.pragma("page_count"))
    flip(path, pages // 2 * PAGE + 7)
    with opened(wanted) as store:
        saved = store.outbox.entries()
        assert 50 <= len(saved) < 60
        assert {one.state for one in saved} == {OutboxState.QUEUED}
        assert f"the outbox has {decisions(len(saved))} from it" in store.notice


async def test_damage_far_from_the_outbox_is_found_as_it_is_met(wanted: Settings) -> None:
    with opened(wanted) as store:
        add(store, "on its way")
        for number in range(40):
            kept = Kept(bundle_fields(blob="x" * 9_000), "digest", {})
            store.evidence.put(f"request-{number}", "bundle", kept, "A title", ["text " * 1_000])
        pages = int(store._connection.pragma("page_count"))
    path = database(wanted)
    flip(path, *(page * PAGE + 7 for page in range(pages // 2, pages)))
    with opened(wanted) as store:
        assert store.notice == ""
    async with open_store(wanted, NAMES) as disk:
        assert (
            await disk(lambda store: [store.evidence.find(f"request-{number}") for number in range(40)]) == [None] * 40
        )
        assert disk.openings == 2
        assert "the outbox has 1 decision from it" in disk.notice
        assert await disk(summaries) == ["on its way"]
    assert moved(wanted, "damaged")


def test_a_key_that_comes_back_brings_its_decisions(home: Path) -> None:
    first, second = (settings(home / "state", key_file=key_file(home, name)) for name in ("first", "second"))
    with opened(first) as store:
        add(store, "under the first")
        delivered = add(store, "delivered")[0]
        store.outbox.settle([Outcome(delivered.decision_id, OutboxState.DELIVERED)], 0.0)
    with opened(second) as store:
        assert "HITL_KEY_FILE" in store.notice
        add(store, "under the second")
    with opened(first) as store:
        assert summaries(store) == ["under the first"]
        assert "The outbox has 1 decision again, from a file that had been moved aside" in store.notice
        add(store, "later")
    with opened(second) as store:
        assert summaries(store) == ["under the second"]
    with opened(first) as store:
        assert summaries(store) == ["under the first", "later"]


def test_a_keyring_that_comes_back_brings_its_decisions(home: Path, secret_service: str) -> None:
    wanted = settings(home / "state")
    with opened(wanted) as store:
        add(store, "under the first")
    where = NAMES.data_key_entry((wanted.stores_dir / "store-id").read_text().strip())
    first = keyring.get_password(*where)
    assert first is not None
    keyring.delete_password(*where)
    with opened(wanted) as store:
        assert "key of what was kept of this tenant is gone" in store.notice
        add(store, "under the second")
    second = keyring.get_password(*where)
    assert second is not None
    keyring.set_password(*where, first)
    with opened(wanted) as store:
        assert summaries(store) == ["under the first"]
        assert keyring.get_password(*where) == first
    keyring.set_password(*where, second)
    with opened(wanted) as store:
        assert summaries(store) == ["under the second"]


def test_what_was_answered_meanwhile_does_not_come_back(wanted: Settings) -> None:
    with opened(wanted) as store:
        add(store, "withdrawn later", "kept")
        store._connection.pragma("user_version", len(MIGRATIONS) + 1)
    with opened(wanted) as store:
        store.outbox.withdraw(store.outbox.entries()[0].decision_id)
    with opened(wanted) as store:
        assert summaries(store) == ["kept"]


def test_a_second_decision_about_the_same_gate_is_put_to_the_reviewer(wanted: Settings, home: Path) -> None:
    about = gate("Retry")
    old, new = entry(about, reason="Then"), entry(about, reason="Now")
    with opened(wanted) as store:
        store.outbox.add(old, about.bundle.fields)
    left = rescue.read_what_is_left(database(wanted), data_key(wanted))
    with opened(wanted) as store:
        store.outbox.withdraw(old.decision_id)
        store.outbox.add(new, about.bundle.fields)
        assert store.take_in(left) == 1
        rows = {one.decision.reason: one for one in store.outbox.entries()}
        assert rows["Now"].state is OutboxState.QUEUED
        assert rows["Then"].state is OutboxState.REFUSED
        assert "again since" in rows["Then"].problem
        assert store.take_in(left) == 0


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


def test_a_held_decision_stays_held_over_damage(wanted: Settings) -> None:
    about = gate("Retry")
    with opened(wanted) as store:
        store.outbox.add(entry(about, hold=600), about.bundle.fields)
        store._connection.pragma("user_version", len(MIGRATIONS) + 1)
    with opened(wanted) as store:
        held = store.outbox.entries()[0].held_until
    assert held is not None
    assert held - datetime.now(UTC) > timedelta(seconds=500)
