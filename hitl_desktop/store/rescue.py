"""Files that can no longer be used: moved aside, never deleted, and what a reviewer wrote taken out of them.

The name tells why: `aside-` waits for its key, `damaged-` and `newer-` have given what could be read of them, and
`taken-` was one that had waited.
"""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hitl_desktop.domain.outbox import decisions
from hitl_desktop.store.database import close_untouched, storable, transaction
from hitl_desktop.store.errors import StoreError, TooNewError, WrongKeyError
from hitl_desktop.store.outbox import Outbox
from hitl_desktop.store.outbox_rows import CONTENTS, HEAD, lost_head

if TYPE_CHECKING:  # only the store's thread needs it
    import apsw

_SUFFIXES = (".db", ".db-wal", ".db-shm", ".key")
_MOST_ROWS = 1_000_000


@dataclass(frozen=True, slots=True)
class Rescued:
    """What could be read: rows of the outbox in their order, and drafts."""

    rows: Sequence[Sequence[Any]] = ()
    drafts: Sequence[Sequence[Any]] = ()


def move_aside(path: Path, cause: StoreError, *, with_key: bool) -> Path:
    """Move the file at `path` out of the way, with its key where that is of no more use, and return its new place."""
    why = {WrongKeyError: "aside", TooNewError: "newer"}.get(type(cause), "damaged")
    stamp = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    stem = f"{path.stem}.{why}-{stamp}"
    for suffix in _SUFFIXES:
        old = path.with_name(path.stem + suffix)
        if old.exists() and (with_key or suffix != ".key"):
            old.rename(path.with_name(stem + suffix))
    return path.with_name(f"{stem}.db")


def waiting(path: Path) -> list[Path]:
    """Return the files moved aside from `path` that wait for their key, oldest first."""
    return sorted(path.parent.glob(f"{path.stem}.aside-*.db"))


def mark_taken(path: Path) -> None:
    """Let a file that was moved aside wait no more."""
    stem = path.name.removesuffix(".db")
    for suffix in _SUFFIXES:
        old = path.with_name(stem + suffix)
        if old.exists():
            old.rename(path.with_name(stem.replace(".aside-", ".taken-", 1) + suffix))


def read_what_is_left(path: Path, key: bytes) -> Rescued:
    """Return what can be read of a damaged or newer file, page by page.

    Raises:
        WrongKeyError: the key does not open it.
    """
    import apsw

    try:
        with _opened(path, key) as connection:
            connection.pragma("user_version")
            return Rescued(_rows(connection), _drafts(connection))
    except apsw.NotADBError:
        raise WrongKeyError("The key does not open the file.") from None
    except (apsw.Error, OSError):  # nothing at all can be read
        return Rescued()


def insert(connection: "apsw.Connection", outbox: Outbox, left: Rescued) -> int:
    """Add what was read to a store, and return how many decisions need the reviewer or the server still."""
    count = 0
    with transaction(connection, durable=True):
        for row in left.rows:
            with suppress(ValueError):  # a row that cannot be read stays in the file moved aside
                count += outbox.insert_rescued(row)
        connection.executemany("INSERT OR IGNORE INTO drafts VALUES (?, ?, ?)", left.drafts)
    return count


@contextmanager
def _opened(path: Path, key: bytes) -> Iterator["apsw.Connection"]:
    import apsw

    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        connection.pragma("cipher", "aegis")
        connection.pragma("key", f"raw:{key.hex()}")
        yield connection
    finally:
        close_untouched(connection)


def _rows(connection: "apsw.Connection") -> list[Sequence[Any]]:
    """Return the rows of the outbox, columns as `RESCUED` names them; one whose state is lost may have been sent."""
    heads = _walked(connection, HEAD, "outbox")
    # Older files have both in one table.
    is_split = bool(connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'outbox_contents'").fetchall())
    contents = _walked(connection, CONTENTS, "outbox_contents" if is_split else "outbox")
    rows: list[Sequence[Any]] = []
    for seq, content in sorted(contents.items()):
        with suppress(ValueError):  # what cannot be read stays in the file moved aside
            rows.append((*(heads.get(seq) or lost_head(content[0])), *content))
    return rows


def _walked(connection: "apsw.Connection", columns: str, table: str) -> dict[int, Sequence[Any]]:
    """Return the rows of a table from both of its ends towards what is damaged, then one by one between."""
    import apsw

    rows: dict[int, Sequence[Any]] = {}
    ends = []
    for order in ("ASC", "DESC"):
        last = 0
        with suppress(apsw.Error):
            for seq, *row in connection.execute(f"SELECT seq, {columns} FROM {table} ORDER BY seq {order}"):
                rows[seq], last = row, seq
        ends.append(last)
    low, high = ends
    if not high:
        with suppress(apsw.Error):
            for (newest,) in connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'"):
                high = newest + 1
    for seq in range(low + 1, min(high, low + _MOST_ROWS)):
        with suppress(apsw.Error):
            for row in connection.execute(f"SELECT {columns} FROM {table} WHERE seq = ?", (seq,)):
                rows[seq] = row
    return rows


def _drafts(connection: "apsw.Connection") -> list[Sequence[Any]]:
    import apsw

    found: list[Sequence[Any]] = []
    with suppress(apsw.Error):
        found.extend(connection.execute("SELECT request_id, body, saved_at FROM drafts"))
    return found


def sentence(cause: StoreError, aside: Path, rescued: int) -> str:
    """Return what happened as a sentence for the reviewer."""
    what = f"{str(cause)[:1].lower()}{str(cause)[1:].rstrip('.')}"
    kept = f"the outbox has {decisions(rescued)} from it" if rescued else "no decision in it waits that could be read"
    return storable(
        f"What was kept of this tenant could not be used: {what}. It was moved aside as {aside.name}; {kept}, and the "
        "gates come again from the server."
    )
