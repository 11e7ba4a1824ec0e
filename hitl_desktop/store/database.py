"""One encrypted SQLite file: opening it, telling what is wrong with it, and its schema.

A database without a key would silently be a plain file, and a wrong key looks like damage: both are checked.
Every call blocks on the disk: only the store's own thread makes them.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hitl_desktop.store.errors import DamagedError, StoreError, StoreFullError, TooNewError, WrongKeyError
from hitl_desktop.store.schema import APPLICATION_ID, MIGRATIONS

if TYPE_CHECKING:  # only the store's thread needs it
    import apsw

MEMORY = Path(":memory:")
_BUSY_MS = 5_000
_PLAIN = b"SQLite format 3\x00"
_PAGE = 4096


def open_database(path: Path, key: bytes) -> "apsw.Connection":
    """Open the file at `path`, making it if it is absent, and bring its schema up to date.

    Args:
        path: the file; `MEMORY` for one that is never on disk and needs no key.
        key: 32 bytes.

    Raises:
        WrongKeyError: the file is whole, as far as can be told, but not with this key.
        DamagedError: it cannot be read.
        TooNewError: a newer version of the application wrote it.
        StoreFullError: the disk is full or cannot be written.
    """
    if path != MEMORY:
        with sorted_out(path):
            if path.exists():
                _look_at(path)
            else:
                _make(path, key)
    return _connected(path, key)


def _look_at(path: Path) -> None:
    """Refuse what SQLite would silently take for a new file; by its status alone, as `_make` tells why."""
    status = path.stat()
    if os.name == "posix" and status.st_mode & 0o077:
        path.chmod(0o600)
    if status.st_size < _PAGE:
        raise DamagedError("The file was cut off." if status.st_size else "The file is empty.")


def _make(path: Path, key: bytes) -> None:
    """Make the file. It is looked at as a file here, while nobody has it open, and where it cannot be opened.

    To close a file takes this process's locks off it, those of SQLite too, and the next process to close the database
    would take its log away from under us.
    """
    # SQLite would give it the account's usual mode.
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
    _connected(path, key).close()
    if _is_plain(path):
        raise DamagedError("The file is not encrypted, so it is not used.")


def _is_plain(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_PLAIN)) == _PLAIN


def _connected(path: Path, key: bytes) -> "apsw.Connection":
    import apsw

    connection = apsw.Connection(str(path))
    try:
        with sorted_out(path):
            if path != MEMORY:
                connection.pragma("cipher", "aegis")
                connection.pragma("key", f"raw:{key.hex()}")
            connection.set_busy_timeout(_BUSY_MS)
            connection.pragma("temp_store", "memory")
            _check(connection, path)
            connection.pragma("journal_mode", "wal")
            connection.pragma("synchronous", "normal")
            connection.pragma("foreign_keys", True)  # noqa: FBT003 - apsw's own
            _migrate(connection)
    except BaseException:
        close_untouched(connection)
        raise
    return connection


def close_untouched(connection: "apsw.Connection") -> None:
    """Close a file as it is, without writing its log into it: what is damaged must not get worse before it is saved."""
    import apsw

    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    connection.close()


def _check(connection: "apsw.Connection", path: Path) -> None:
    import apsw

    try:
        version = connection.pragma("user_version")
        application = connection.pragma("application_id")
    except apsw.NotADBError:
        raise _wrong_or_damaged(path) from None
    if version == 0 and not connection.execute("SELECT 1 FROM sqlite_master").fetchall():
        return
    if application != APPLICATION_ID:
        raise DamagedError("The file is another application's.")
    if version > len(MIGRATIONS):
        raise TooNewError("A newer version of this application wrote the file.")


def _wrong_or_damaged(path: Path) -> StoreError:
    """Tell a wrong key from damage: the page size of a sound file divides its length."""
    with contextlib.suppress(OSError):
        if _is_plain(path):
            return DamagedError("The file is not encrypted, so it is not used.")
        if path.stat().st_size % _PAGE:
            return DamagedError("The file was cut off.")
    return WrongKeyError("The key does not open the file, or its beginning is damaged.")


def _migrate(connection: "apsw.Connection") -> None:
    version = connection.pragma("user_version")
    if version == len(MIGRATIONS):
        return
    with transaction(connection, durable=True):
        version = connection.pragma("user_version")
        for statements in MIGRATIONS[version:]:
            connection.execute(statements)
        connection.pragma("application_id", APPLICATION_ID)
        connection.pragma("user_version", len(MIGRATIONS))


def check_pages(connection: "apsw.Connection") -> None:
    """Read every page, which takes as long as the file is large.

    Raises:
        DamagedError: one of them is not as it was written.
    """
    found = connection.execute("PRAGMA quick_check(1)").fetchall()
    if found != [("ok",)]:
        raise DamagedError("The file is damaged inside.")


@contextlib.contextmanager
def sorted_out(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into the store's, by cause."""
    import apsw

    try:
        yield
    except (apsw.CorruptError, apsw.NotADBError) as error:
        raise DamagedError(f"The file is damaged ({error}).") from None
    except (apsw.FullError, apsw.IOError, apsw.ReadOnlyError, apsw.CantOpenError) as error:
        raise StoreFullError(
            f"The disk with {path.parent} is full or cannot be written ({error}); free some space, nothing was kept."
        ) from None
    except apsw.BusyError:
        raise StoreError(
            "Another process has been using what is kept of this tenant for long; nothing was kept, try again."
        ) from None
    except apsw.Error as error:
        raise StoreError(
            f"What is kept on this machine cannot be used ({error}); nothing was kept, try again."
        ) from None
    except TimeoutError:
        raise StoreError(
            "Another process has been opening what is kept of this tenant for long; nothing was kept, try again."
        ) from None
    except OSError as error:
        raise StoreFullError(f"{path} cannot be used: {error.strerror or error}; nothing was kept.") from None


def first_row(connection: "apsw.Connection", statement: str, bindings: Sequence[Any] = ()) -> Any:
    """Return the first row that `statement` finds, None if it finds none; `statement` is read to its end.

    One that is left half-read may keep its view of the file for good: nothing can be written upon that once another
    process has written, and SQLite says at once that the file is busy.
    """
    rows = connection.execute(statement, bindings).fetchall()
    return rows[0] if rows else None


@contextlib.contextmanager
def transaction(connection: "apsw.Connection", *, durable: bool = False) -> Iterator[None]:
    """Do the block as one transaction that writes; `durable` waits until the disk has it."""
    connection.pragma("synchronous", "full" if durable else "normal")
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # after a full disk, SQLite has rolled it back itself
            connection.execute("ROLLBACK")
        raise


def storable(text: str) -> str:
    """Return `text` as UTF-8 can hold it: a half of a character, which Qt and a terminal may give, becomes a mark."""
    return text.encode("utf-8", "replace").decode()
