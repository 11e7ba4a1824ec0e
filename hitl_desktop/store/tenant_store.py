"""What is kept of one tenant on this machine: one encrypted file, opened whatever state it is in.

A file that cannot be used is moved aside, never deleted, and a new one begins: the gates come again from the server,
and the rows of the outbox that can still be read go over into it.
"""

import asyncio
import os
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from hitl_desktop.domain.outbox import decisions
from hitl_desktop.settings import Settings
from hitl_desktop.store import rescue
from hitl_desktop.store.database import (
    MEMORY,
    check_pages,
    close_untouched,
    first_row,
    open_database,
    sorted_out,
    transaction,
)
from hitl_desktop.store.drafts import Drafts
from hitl_desktop.store.errors import DamagedError, NoKeyError, StoreError, TooNewError, WrongKeyError
from hitl_desktop.store.evidence import EvidenceCache
from hitl_desktop.store.gates import GateCache
from hitl_desktop.store.keys import KEY_BYTES, Keys, write_private
from hitl_desktop.store.outbox import Outbox
from hitl_desktop.tenancy import TenantNames

if TYPE_CHECKING:  # only the store's thread needs it
    import apsw

_LOCKED_WITHIN = 10.0
_STORE_ID = re.compile("[0-9a-f]{16}")

Result = TypeVar("Result")


class TenantStore:
    """The store of one tenant, for one thread.

    `is_durable` says whether it is on disk at all; `notice` is a sentence about what the reviewer should know of it,
    empty where all is well.
    """

    def __init__(self, connection: "apsw.Connection", path: Path, notice: str = "") -> None:
        self.path = path
        self.is_durable = path != MEMORY
        self.notice = notice
        self._connection = connection
        self._opening = secrets.token_hex(8)
        self._file = _identity(path) if self.is_durable else None
        self.gates = GateCache(connection)
        self.evidence = EvidenceCache(connection)
        self.outbox = Outbox(connection)
        self.drafts = Drafts(connection)

    def fact(self, name: str) -> str:
        """Return one remembered text, empty if there is none."""
        row = first_row(self._connection, "SELECT value FROM facts WHERE name = ?", (name,))
        return "" if row is None else str(row[0])

    def remember(self, name: str, value: str) -> None:
        """Remember one text."""
        with transaction(self._connection):
            self._connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def version(self) -> tuple[str, int]:
        """Return what changes when another process has written, and when the file is opened anew."""
        return self._opening, int(self._connection.pragma("data_version"))

    def is_replaced(self) -> bool:
        """Whether another process has moved the file aside, or removed it."""
        return self._file is not None and _identity(self.path) != self._file

    def take_in(self, left: rescue.Rescued) -> int:
        """Add what was read of another file, and return how many decisions need the reviewer or the server still."""
        return rescue.insert(self._connection, self.outbox, left)

    def probe(self, *, thorough: bool = False) -> None:
        """Look whether the file can be used; `thorough` reads every page of it.

        Raises:
            StoreError: it cannot.
        """
        with sorted_out(self.path):
            if thorough:
                check_pages(self._connection)
            self.outbox.take_up(time.time())
            if unreadable := self.outbox.unreadable():
                self.notice = f"The outbox has {decisions(unreadable)} that cannot be read: not sent, but kept."
            next(self.gates.pages(1), None)

    def close(self, *, is_damaged: bool = False) -> None:
        """Close the file; a damaged one is left as it is."""
        # The log of one that was replaced has the name of the new file's by now, and would be deleted under that.
        if is_damaged or self.is_replaced():
            close_untouched(self._connection)
        else:
            self._connection.close()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


class StoreThread:
    """The store's own thread: `await disk(work)` does `work(store)` there, one after the other.

    `notice` is the store's, empty before it is open; `openings` says how often a file was opened: one more means that
    what it held before may be gone.
    """

    def __init__(self, open_anew: Callable[[bool], TenantStore]) -> None:
        self.notice = ""
        self.openings = 0
        self._open_anew = open_anew
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._store: TenantStore | None = None

    async def __call__(self, work: Callable[[TenantStore], Result]) -> Result:
        """Return what `work` returns.

        Raises:
            StoreError: the disk, by cause; a damaged file has been moved aside by then and the work tried once more.
        """
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._do, work)

    async def close(self) -> None:
        """Close the file once all work is done."""
        with suppress(StoreError):
            await asyncio.get_running_loop().run_in_executor(self._executor, self._close)
        self._executor.shutdown(wait=False)

    def _do(self, work: Callable[[TenantStore], Result]) -> Result:
        if self._store is not None and self._store.is_replaced():
            self._close()
        store = self._store or self._open(thorough=False)
        try:
            with sorted_out(store.path):
                return work(store)
        except DamagedError:
            self._close(is_damaged=True)
            store = self._open(thorough=True)
            with sorted_out(store.path):
                return work(store)

    def _open(self, *, thorough: bool) -> TenantStore:
        store = self._store = self._open_anew(thorough)
        self.notice = store.notice
        self.openings += 1
        return store

    def _close(self, *, is_damaged: bool = False) -> None:
        store, self._store = self._store, None
        if store is not None:
            with suppress(StoreError), sorted_out(store.path):
                store.close(is_damaged=is_damaged)


@asynccontextmanager
async def open_store(settings: Settings, names: TenantNames) -> AsyncIterator[StoreThread]:
    """Yield the tenant's store. It always opens: without a key it is in memory, and its notice says so."""
    disk = StoreThread(partial(open_tenant_store, settings, names))
    try:
        yield disk
    finally:
        await disk.close()


def kept_tenants(settings: Settings) -> tuple[str | None, ...]:
    """Return the tenants of which there is a file on this machine; None is single-tenant mode."""
    from hitl_desktop.tenancy.naming import tenant_of_stem

    found: list[str | None] = []
    with suppress(OSError):
        for path in sorted(settings.stores_dir.glob("*.db")):
            with suppress(ValueError):
                found.append(tenant_of_stem(path.stem))
    return tuple(found)


def open_tenant_store(settings: Settings, names: TenantNames, thorough: bool = False) -> TenantStore:  # noqa: FBT001, FBT002 - bound by position
    """Open the tenant's file, moving aside what cannot be used. Blocks: on the disk, on the keyring, on a person.

    Args:
        settings: where it is, and what its key is wrapped with.
        names: the tenant's.
        thorough: whether to read all of it first, since it is known to be damaged somewhere.

    Raises:
        StoreError: the disk is full or cannot be written.
    """
    folder = settings.stores_dir
    try:
        with sorted_out(folder):
            _make_private(folder, settings.state_dir)
            keys = keys_of(settings)
            with locked(folder, names):
                return _open(folder / f"{names.file_stem}.db", names, keys, thorough=thorough)
    except NoKeyError as error:
        return TenantStore(open_database(MEMORY, bytes(KEY_BYTES)), MEMORY, str(error))


def _open(path: Path, names: TenantNames, keys: Keys, *, thorough: bool) -> TenantStore:
    key: bytes | None = None
    try:
        key = keys.find(names) or _first_key(path, names, keys)
        store = _opened(path, key, thorough=thorough)
    except (WrongKeyError, DamagedError, TooNewError) as error:
        key, store = _begin_anew(path, names, keys, key, error)
    for old in rescue.waiting(path):
        _take_over(store, old, names, keys, key)
    return store


def _opened(path: Path, key: bytes, *, thorough: bool = False) -> TenantStore:
    store = TenantStore(open_database(path, key), path)
    try:
        store.probe(thorough=thorough)
    except BaseException:
        store.close(is_damaged=True)
        raise
    return store


def _first_key(path: Path, names: TenantNames, keys: Keys) -> bytes:
    if path.exists():
        raise WrongKeyError("The key of what was kept of this tenant is gone.")
    return keys.create(names)


def _begin_anew(
    path: Path, names: TenantNames, keys: Keys, key: bytes | None, cause: StoreError
) -> tuple[bytes, TenantStore]:
    """Move the file aside and begin another one; a key that is at hand stays in use, so that none is ever lost."""
    left = rescue.Rescued()
    if key is not None:
        with suppress(WrongKeyError):
            left = rescue.read_what_is_left(path, key)
    aside = rescue.move_aside(path, cause, with_key=key is None)
    key = key or keys.create(names)
    store = _opened(path, key)
    store.notice = rescue.sentence(cause, aside, store.take_in(left))
    return key, store


def _take_over(store: TenantStore, old: Path, names: TenantNames, keys: Keys, key: bytes) -> None:
    """Take what a reviewer wrote out of a file that was moved aside for its key, should that be at hand again."""
    wrapped = old.with_suffix(".key")
    try:
        its_key = keys.unwrap(names, wrapped.read_bytes()) if wrapped.exists() else key
        left = rescue.read_what_is_left(old, its_key)
    except (OSError, StoreError):  # go on: it waits for its key
        return
    rescued = store.take_in(left)
    rescue.mark_taken(old)
    if rescued:
        told = f"The outbox has {decisions(rescued)} again, from a file that had been moved aside ({old.name})."
        store.notice = " ".join(filter(None, (store.notice, told)))


def keys_of(settings: Settings) -> Keys:
    """Return the data keys of the settings' folder of stores, which exists.

    Raises:
        OSError: the folder cannot be read or written.
    """
    from filelock import FileLock

    folder = settings.stores_dir
    named = folder / "store-id"
    if _STORE_ID.fullmatch(_read(named)) is None:
        # Under a lock, since the loser of a race would keep its keys under an id that nobody finds again.
        with FileLock(folder / "store-id.lock", timeout=_LOCKED_WITHIN, mode=0o600):
            if _STORE_ID.fullmatch(_read(named)) is None:
                if named.exists():
                    named.replace(named.with_name(f"store-id.damaged-{secrets.token_hex(2)}"))
                write_private(named, secrets.token_hex(8).encode())
    return Keys(folder, settings.key_file, settings.passphrase, _read(named))


def _read(named: Path) -> str:
    return named.read_text(encoding="ascii", errors="replace").strip() if named.exists() else ""


def _make_private(folder: Path, state_dir: Path) -> None:
    for part in (state_dir, folder.parent, folder):
        part.mkdir(mode=0o700, parents=True, exist_ok=True)
    for part in (folder.parent, folder):
        if os.name == "posix" and part.stat().st_mode & 0o077:
            part.chmod(0o700)


def locked(folder: Path, names: TenantNames) -> Any:
    """Return a lock that keeps other processes from opening the tenant's file anew."""
    from filelock import FileLock

    return FileLock(folder / f"{names.file_stem}.lock", timeout=_LOCKED_WITHIN, mode=0o600)
