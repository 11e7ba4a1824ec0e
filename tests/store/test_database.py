"""The encrypted file: what stands on the disk, its schema, and each thing that can be wrong with it."""

import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from hitl_desktop.store import database
from hitl_desktop.store.database import MEMORY, open_database, sorted_out, transaction
from hitl_desktop.store.errors import DamagedError, StoreError, StoreFullError, TooNewError, WrongKeyError
from hitl_desktop.store.outbox import Outbox
from hitl_desktop.store.outbox_rows import pack
from hitl_desktop.store.schema import APPLICATION_ID, MIGRATIONS
from tests.stores import entry, gate

KEY, OTHER = bytes(range(32)), bytes(32)
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def path(home: Path) -> Path:
    return home / "store.db"


def made(path: Path) -> Path:
    """Make a file with a row in it, and close it."""
    with closing(open_database(path, KEY)) as connection:
        connection.execute("INSERT INTO facts VALUES ('greeting', 'good morning')")
    return path


def fact(path: Path) -> object:
    with closing(open_database(path, KEY)) as connection:
        return connection.execute("SELECT value FROM facts").fetchone()


def test_nothing_of_it_can_be_read_without_the_key(path: Path) -> None:
    with closing(open_database(path, KEY)) as connection:
        connection.execute("INSERT INTO facts VALUES ('greeting', 'good morning')")
        log = path.with_name("store.db-wal")
        assert log.stat().st_size > 0
        for file in (path, log):
            content = file.read_bytes()
            assert b"good morning" not in content
            assert b"CREATE TABLE" not in content
            assert not content.startswith(b"SQLite format 3")
        assert connection.pragma("cipher") == "aegis"
        assert connection.pragma("journal_mode") == "wal"
        assert connection.pragma("temp_store") == 2


def test_the_key_is_used_raw(path: Path) -> None:
    made(path)
    with closing(apsw.Connection(str(path))) as connection:
        connection.pragma("cipher", "aegis")
        connection.pragma("key", f"raw:{KEY.hex()}")
        assert connection.pragma("application_id") == APPLICATION_ID


def test_all_its_files_are_the_accounts_alone(path: Path) -> None:
    before = os.umask(0)
    try:
        with closing(open_database(path, KEY)) as connection:
            connection.execute("INSERT INTO facts VALUES ('a', 'b')")
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.glob("store.db*")}
    finally:
        os.umask(before)
    assert modes == {"store.db": 0o600, "store.db-wal": 0o600, "store.db-shm": 0o600}


def test_a_file_that_others_may_read_is_taken_from_them(path: Path) -> None:
    made(path).chmod(0o644)
    assert fact(path) == ("good morning",)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_of_an_older_version_is_brought_up_to_date(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(path)
    newer = (*MIGRATIONS, "CREATE TABLE extra(a TEXT) STRICT; INSERT INTO extra SELECT value FROM facts;")
    monkeypatch.setattr(database, "MIGRATIONS", newer)
    with closing(open_database(path, KEY)) as connection:
        assert connection.execute("SELECT a FROM extra").fetchall() == [("good morning",)]
        assert connection.pragma("user_version") == len(newer)
    with closing(open_database(path, KEY)) as connection:
        assert connection.execute("SELECT count(*) FROM extra").fetchone() == (1,)


def test_rows_of_the_first_version_are_all_there_in_this_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(database, "MIGRATIONS", MIGRATIONS[:1])
        with closing(open_database(path, KEY)) as connection:
            connection.execute(
                "INSERT INTO outbox(decision_id, request_id, state, decision, gate, fields, device, run_id) "
                "VALUES ('one', 'gate', 'delivered', x'', x'', x'', 'here', 'before')"
            )
            about = gate("Retry")
            waits = entry(about)
            connection.execute(
                "INSERT INTO outbox(decision_id, request_id, state, decision, gate, fields, device) "
                "VALUES (?, ?, 'queued', ?, ?, ?, 'here')",
                (waits.decision_id, waits.request_id, *map(pack, (waits.decision, waits.gate, about.bundle.fields))),
            )
    with closing(open_database(path, KEY)) as connection:
        assert Outbox(connection).find(waits.decision_id) == waits._replace(device="here")
        assert Outbox(connection).fields(waits.decision_id) == about.bundle.fields
        assert Outbox(connection).delivered_under_another("before") == []
        assert Outbox(connection).delivered_under_another("after") == ["one"]


def test_a_migration_that_fails_leaves_the_older_version(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(path)
    with monkeypatch.context() as patched:
        patched.setattr(database, "MIGRATIONS", (*MIGRATIONS, "CREATE TABLE extra(a); CREATE TABLE facts(a);"))
        with pytest.raises(StoreError):
            open_database(path, KEY)
    assert fact(path) == ("good morning",)


def test_a_file_of_a_newer_version_is_left_as_it_is(path: Path) -> None:
    made(path)
    with closing(open_database(path, KEY)) as connection:
        connection.pragma("user_version", len(MIGRATIONS) + 1)
    before = path.read_bytes()
    with pytest.raises(TooNewError, match="newer version"):
        open_database(path, KEY)
    assert path.read_bytes() == before


def test_a_wrong_key_does_not_change_the_file(path: Path) -> None:
    before = made(path).read_bytes()
    with pytest.raises(WrongKeyError):
        open_database(path, OTHER)
    assert path.read_bytes() == before
    assert fact(path) == ("good morning",)


def test_a_plain_database_is_never_used(path: Path) -> None:
    with closing(sqlite3.connect(path)) as plain:
        plain.executescript("CREATE TABLE facts(name, value); INSERT INTO facts VALUES ('a', 'b');")
    with pytest.raises(DamagedError, match="not encrypted"):
        open_database(path, KEY)


def test_a_file_of_another_application_is_never_used(path: Path) -> None:
    with closing(apsw.Connection(str(path))) as connection:
        connection.pragma("cipher", "aegis")
        connection.pragma("key", f"raw:{KEY.hex()}")
        connection.execute("CREATE TABLE theirs(a)")
    with pytest.raises(DamagedError, match="another application"):
        open_database(path, KEY)


@pytest.mark.parametrize(
    ("length", "told"), [(0, "empty"), (1, "cut off"), (4095, "cut off"), (4096, "damaged"), (10_000, "damaged")]
)
def test_a_file_that_was_cut_off_says_so(path: Path, length: int, told: str) -> None:
    os.truncate(made(path), length)
    with pytest.raises(DamagedError, match=told):
        open_database(path, KEY)


def test_a_transaction_that_fails_at_its_end_leaves_no_trace(path: Path) -> None:
    with closing(open_database(path, KEY)) as connection:
        # Deferred, so that it fails as it is committed and not before.
        connection.execute("CREATE TABLE child(a REFERENCES facts(name) DEFERRABLE INITIALLY DEFERRED)")
        with pytest.raises(StoreError), sorted_out(path), transaction(connection):
            connection.execute("INSERT INTO child VALUES ('absent')")
        with transaction(connection):
            connection.execute("INSERT INTO facts VALUES ('still', 'here')")
        assert connection.execute("SELECT count(*) FROM child").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM facts").fetchone() == (1,)


def test_a_full_database_says_so_and_goes_on_afterwards(path: Path) -> None:
    with closing(open_database(path, KEY)) as connection:
        limit = connection.pragma("max_page_count")
        connection.pragma("max_page_count", int(connection.pragma("page_count")) + 1)
        for _ in range(2):
            with pytest.raises(StoreFullError, match="free some space"), sorted_out(path), transaction(connection):
                connection.execute("INSERT INTO contents VALUES ('x', zeroblob(100000))")
        connection.pragma("max_page_count", limit)
        with transaction(connection):
            connection.execute("INSERT INTO contents VALUES ('x', zeroblob(100000))")


def test_no_value_of_another_kind_can_stand_in_a_column(path: Path) -> None:
    with closing(open_database(path, KEY)) as connection:
        tables = connection.execute(
            "SELECT name, strict FROM pragma_table_list WHERE schema = 'main' AND type = 'table'"
        )
        ours = {name: strict for name, strict in tables if not str(name).startswith(("sqlite_", "words"))}
    assert len(ours) == 9
    assert set(ours.values()) == {1}


def test_memory_is_never_on_disk(home: Path) -> None:
    before = set(home.rglob("*"))
    with closing(open_database(MEMORY, KEY)) as connection:
        connection.execute("INSERT INTO facts VALUES ('a', 'b')")
        assert set(home.rglob("*")) == before
    assert not (Path.cwd() / ":memory:").exists()


def test_a_disk_that_is_really_full(home: Path, small_disk: list[str]) -> None:
    script = """
import os, sys
from pathlib import Path
from tests.environments import key_file
from tests.stores import add, entry, gate, opened, settings, summaries
from hitl_desktop.domain.decision import Draft
from hitl_desktop.store.errors import StoreFullError

disk, elsewhere = map(Path, sys.argv[1:])
wanted = settings(disk, key_file=key_file(elsewhere))
with opened(wanted) as store:
    rows = add(store, "kept before")
    store.drafts.keep({"r": Draft("half a sentence")})
    filler = (disk / "filler").open("wb", buffering=0)
    try:
        while filler.write(bytes(4096)):
            pass
    except OSError as error:
        print(error.strerror)
    refused = 0
    from hitl_desktop.store.database import sorted_out
    for number in range(20):
        try:
            with sorted_out(store.path):
                add(store, f"added to a full disk {number}", size=20_000)
        except StoreFullError as error:
            refused += 1
    kept = summaries(store)
    print("refused", refused > 0, "told of all", len(kept) == 1 + 20 - refused)
    filler.close()
    (disk / "filler").unlink()
    add(store, "kept after")
    expected = [*kept, "kept after"]
    print("goes on", summaries(store) == expected)
with opened(wanted) as store:
    print("outlives", summaries(store) == expected, store.drafts.all()["r"].reason, repr(store.notice))
"""
    run = subprocess.run(
        [*small_disk, sys.executable, "-c", script, str(home / "disk"), str(home)],
        capture_output=True,
        cwd=ROOT,
        check=False,
        text=True,
        timeout=60,
    )
    assert run.stderr == ""
    assert run.stdout.splitlines() == [
        "No space left on device",
        "refused True told of all True",
        "goes on True",
        "outlives True half a sentence ''",
    ]


def test_to_open_it_again_takes_no_locks_off_it(path: Path) -> None:
    script = """
import sys
from pathlib import Path
from hitl_desktop.store.database import open_database, transaction
from hitl_desktop.store.errors import StoreError
path, key = Path(sys.argv[1]), bytes(range(32))
first = open_database(path, key)
open_database(path, key).close()
first.execute("BEGIN IMMEDIATE")
open_database(path, key).close()
print("held", flush=True)
sys.stdin.readline()
first.execute("INSERT INTO facts VALUES ('a', 'b')")
first.execute("COMMIT")
print("written", flush=True)
sys.stdin.readline()
"""
    made(path)
    with subprocess.Popen(
        [sys.executable, "-c", script, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        other = open_database(path, KEY)
        other.set_busy_timeout(0)
        with pytest.raises(apsw.BusyError):
            other.execute("BEGIN IMMEDIATE")
        other.close()
        process.stdin.write("go on\n")
        process.stdin.flush()
        assert process.stdout.readline() == "written\n"
        # The last to close takes the log away, and this one is not the last.
        open_database(path, KEY).close()
        assert path.with_name("store.db-wal").exists()
        process.stdin.write("go on\n")
    assert process.returncode == 0
    with closing(open_database(path, KEY)) as connection:
        assert connection.execute("SELECT value FROM facts WHERE name = 'a'").fetchone() == ("b",)
