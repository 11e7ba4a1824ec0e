"""Fuzzed store files and rows: no crash, and no loss of an outbox row that was readable."""

import json
import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import apsw
import msgspec
import pytest

from hitl_desktop.domain.decision import Decided, Decision, Draft
from hitl_desktop.domain.outbox import AlreadyQueuedError, Cause, NotWithdrawableError, OutboxState
from hitl_desktop.session.export import entry_document, export_document
from hitl_desktop.settings import Settings
from hitl_desktop.store.database import MEMORY, open_database
from hitl_desktop.store.errors import StoreError
from hitl_desktop.store.evidence import Kept
from hitl_desktop.store.gates import GateCache
from hitl_desktop.store.keys import Keys
from hitl_desktop.store.outbox import LEASE, Outbox, Outcome
from hitl_desktop.store.outbox_rows import CONTENTS, RESCUED, ROWS
from hitl_desktop.store.tenant_store import StoreThread, TenantStore, open_tenant_store
from tests.environments import key_file
from tests.fuzzing import cases, damaged, value
from tests.stores import NAMES, add, bundle_fields, entry, gate, opened, settings

NOW = 1_700_000_000.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder as a killed application leaves it: with rows in the file and rows in the write-ahead log."""
    home = tmp_path_factory.mktemp("fuzz")
    wanted = settings(home / "whole", key_file=key_file(home))
    with opened(wanted) as store:
        fill(store, "in the file")
    with opened(wanted) as store:
        fill(store, "in the log")
        shutil.copytree(wanted.state_dir, home / "template")
    return home / "template"


def fill(store: TenantStore, where: str) -> None:
    rows = add(store, *(f"{number} {where}" for number in range(5)), size=6_000)
    store.outbox.claim(NOW, 1, rows[0].decision_id)
    store.outbox.settle([Outcome(rows[0].decision_id, OutboxState.CONFLICT, Cause.CHANGED)], NOW)
    store.gates.put([gate(f"{number} {where}") for number in range(20)])
    store.drafts.keep({f"request {where}": Draft("half a sentence")})
    for number in range(3):
        kept = Kept(bundle_fields(blob="x" * 5_000), "digest", {0: b"content" * 500})
        store.evidence.put(f"{number} {where}", "bundle", kept, "A title", ["words " * 500])


def readable(wanted: Settings, copy: Path) -> dict[str, Sequence[Any]]:
    """Return what rows are about, as somebody with the key can read it, one by one, from a copy of the files."""
    found: dict[str, Sequence[Any]] = {}
    shutil.copytree(wanted.stores_dir, copy)
    with suppress(StoreError, OSError):
        key = Keys(copy, wanted.key_file, "", "id").find(NAMES)
        if key is not None and (copy / "tenant-acme-corp.db").stat().st_size:
            found = _read(copy / "tenant-acme-corp.db", key)
    shutil.rmtree(copy)
    return found


def _read(path: Path, key: bytes) -> dict[str, Sequence[Any]]:
    found: dict[str, Sequence[Any]] = {}
    with closing(apsw.Connection(str(path))) as connection, suppress(apsw.Error):
        connection.pragma("cipher", "aegis")
        connection.pragma("key", f"raw:{key.hex()}")
        for seq in range(1, 30):
            with suppress(apsw.Error):
                for row in connection.execute(f"SELECT {CONTENTS} FROM outbox_contents WHERE seq = ?", (seq,)):  # noqa: S608 - ours
                    found[msgspec.msgpack.decode(row[0], type=Decision).decision_id] = row
    return found


def uses(store: TenantStore) -> Iterator[Callable[[TenantStore], object]]:
    """All that a session does with a store, one thing after the other."""
    yield lambda store: [*store.gates.pages(7)]
    yield lambda store: [store.evidence.find(name) for name in store.evidence.bundle_ids()]
    yield lambda store: (store.evidence.search("words"), store.evidence.size())
    yield lambda store: (store.drafts.all(), store.drafts.viewed(), store.fact("listed"))
    yield lambda store: store.evidence.evict(10_000, ["0 in the file"])
    yield lambda store: store.gates.put([gate("new")])
    yield lambda store: store.drafts.keep({"new": Draft("words")})
    yield lambda store: store.outbox.forget_old(NOW)
    yield lambda store: store.gates.forget_old()
    yield lambda store: store.drafts.forget_old(NOW)
    yield lambda store: store.outbox.settle(
        [Outcome(one.entry.decision_id, OutboxState.QUEUED) for one in store.outbox.claim(NOW, 100)], NOW
    )


@pytest.mark.parametrize("part", range(20))
def test_damaged_files(folder: Path, home: Path, full: bool, part: int) -> None:  # noqa: FBT001 - a fixture
    key = folder.parent / "key"
    whole = settings(folder, key_file=key)
    names = sorted(path.name for path in whole.stores_dir.iterdir() if path.suffix != ".lock")
    sound = readable(whole, home / "copy")
    assert len(sound) == 10
    for told, random in cases(f"store files {part}", 200 if full else 6):
        wanted = settings(home / "case", key_file=key)
        shutil.copytree(folder, wanted.state_dir)
        for name in random.choice([*([name] for name in names), [*names], names[:2]]):
            path = wanted.stores_dir / name
            if random.randrange(8):
                path.write_bytes(damaged(random, path.read_bytes()))
            else:
                path.unlink()
        before = {name for name, row in readable(wanted, home / "copy").items() if row == sound[name]}
        thread = StoreThread(partial(open_tenant_store, wanted, NAMES))
        try:
            after = {one.decision_id for one in thread._do(lambda store: store.outbox.entries())}
            assert before <= after, told
            for use in uses(thread._do(lambda store: store)):
                with suppress(StoreError):
                    thread._do(use)
            after = {one.decision_id for one in thread._do(lambda store: store.outbox.entries())}
            assert before <= after, told
        except Exception as error:  # noqa: BLE001 - whatever comes is told with its seed
            pytest.fail(f"{told}: {type(error).__name__}: {error}")
        finally:
            thread._close()
            thread._executor.shutdown()
        shutil.rmtree(wanted.state_dir)


COLUMNS = (
    *("decision_id", "request_id", "state", "decision", "gate", "fields", "device", "held_until", "attempts", "sender"),
    *("lease", "cause", "problem", "theirs", "delivered_at", "history_id"),
)
BLOBS = frozenset({"decision", "gate", "fields", "theirs"})
TABLES = {column: "outbox_contents" if column in CONTENTS.split(", ") else "outbox" for column in COLUMNS}


def changed(random: Random, column: str, before: Any) -> Any:
    """Return another value for a column: of any kind, damaged bytes, or a message with one part replaced."""
    if column == "state":
        return random.choice([*OutboxState, value(random)])
    if column not in BLOBS or before is None or random.randrange(4) == 0:
        return value(random)
    if random.randrange(2):
        return damaged(random, before)
    message = msgspec.msgpack.decode(before)
    if isinstance(message, dict) and message:
        name = random.choice(list(message))
        message[name] = value(random)
    elif isinstance(message, list):
        message[random.randrange(len(message))] = value(random)
    return msgspec.msgpack.encode(message)


def test_damaged_rows(full: bool) -> None:  # noqa: FBT001 - a fixture
    with closing(open_database(MEMORY, bytes(32))) as connection:
        applied = 0
        for told, random in cases("rows", 4_000 if full else 600):
            connection.execute("DELETE FROM outbox")
            outbox = Outbox(connection)
            rows = []
            for _ in range(4):
                about = gate("Retry")
                rows.append(entry(about, hold=random.choice([0, 0, 0, 5])))
                outbox.add(rows[-1], about.bundle.fields)
            theirs = Decided("r", "approved", reviewer="other")
            outbox.claim(NOW, 1, rows[1].decision_id)
            outbox.settle([Outcome(rows[1].decision_id, OutboxState.CONFLICT, Cause.DECIDED, "", theirs)], NOW)
            victim = random.randrange(2)
            (seq,) = [row[0] for row in connection.execute("SELECT seq FROM outbox ORDER BY seq")][victim : victim + 1]
            for _ in range(random.choice([1, 1, 2, 5])):
                column = random.choice(COLUMNS)
                ((before,),) = connection.execute(f"SELECT {column} FROM {TABLES[column]} WHERE seq = ?", (seq,))  # noqa: S608 - ours
                with suppress(apsw.ConstraintError, TypeError, ValueError, OverflowError, RecursionError):
                    new = changed(random, column, before)
                    connection.execute(f"UPDATE {TABLES[column]} SET {column} = ? WHERE seq = ?", (new, seq))  # noqa: S608 - ours
                    applied += 1
            sound = [one.decision_id for place, one in enumerate(rows) if place != victim]
            try:
                use_rows(connection, outbox, random, sound)
            except Exception as error:  # noqa: BLE001 - as above
                pytest.fail(f"{told}: {type(error).__name__}: {error}")
            assert connection.execute("SELECT count(*) FROM outbox").fetchone() == (4,), told
        assert applied > 100


def use_rows(connection: apsw.Connection, outbox: Outbox, random: Random, sound: list[str]) -> None:
    """Do all that is done with rows; the sound ones must come through it, each sent once."""
    rescued = [list(row) for row in connection.execute(f"SELECT {RESCUED} FROM {ROWS} ORDER BY seq")]  # noqa: S608 - ours
    with closing(open_database(MEMORY, bytes(32))) as another:
        for row in rescued:
            with suppress(ValueError):
                Outbox(another).insert_rescued(row)
        assert {one.decision_id for one in Outbox(another).entries()} >= set(sound)
    for one in outbox.entries(0.0):
        json.dumps(entry_document(one, "acme-corp"))
        json.dumps(export_document(one, "acme-corp", outbox.fields(one.decision_id)))
        with suppress(AlreadyQueuedError):
            if random.randrange(2) and not one.state.is_open:
                outbox.add(entry(one.gate), {})
    connection.execute("DELETE FROM outbox WHERE seq > (SELECT min(seq) + 3 FROM outbox)")
    outbox.unreadable()
    outbox.release()
    sent: list[str] = []
    for _ in range(4):
        claimed = outbox.claim(NOW + 10 * LEASE, 100)
        sent += [one.entry.decision_id for one in claimed]
        outbox.settle([Outcome(one.entry.decision_id, OutboxState.DELIVERED) for one in claimed], NOW, "run")
    assert len(sent) == len(set(sent))
    due = outbox.next_due()
    assert due is None or due > NOW + 10 * LEASE
    states = {one.decision_id: one.state for one in outbox.entries(0.0)}
    assert all(not states[name].is_open for name in sound)
    outbox.delivered_under_another("other")
    outbox.forgotten(sound)
    outbox.confirm(sound, "run")
    outbox.retry()
    for name in sound:
        with suppress(NotWithdrawableError):
            if states[name] is OutboxState.DELIVERED:
                outbox.withdraw(name)
    outbox.forget_old(-math.inf)


def test_damaged_gates(full: bool) -> None:  # noqa: FBT001 - a fixture
    with closing(open_database(MEMORY, bytes(32))) as connection:
        cache = GateCache(connection)
        columns = [str(row[1]) for row in connection.execute("PRAGMA table_info(gates)")]
        for told, random in cases("cached gates", 1_000 if full else 100):
            connection.execute("DELETE FROM gates")
            cache.put([gate("sound", request_id="sound"), gate("other", request_id="other")])
            column = random.choice(columns[1:])
            with suppress(apsw.ConstraintError, TypeError, OverflowError):
                new = value(random)
                connection.execute(f"UPDATE gates SET {column} = ? WHERE request_id = 'other'", (new,))  # noqa: S608 - ours
            found = [one.request_id for page in cache.pages(1) for one in page]
            assert "sound" in found, told
