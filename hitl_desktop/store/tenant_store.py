"""What is kept of one tenant on this machine: one encrypted file, opened whatever state it is in.

A file that cannot be used is moved aside, never deleted, and a new one begins: the gates come again from the server,
and the rows of the outbox that can still be read go over into it.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from hitl_desktop.settings import Settings
from hitl_desktop.store.database import MEMORY, first_row, open_database, sorted_out, transaction
from hitl_desktop.store.drafts import Drafts
from hitl_desktop.store.errors import DamagedError, NoKeyError, StoreError, TooNewError, WrongKeyError
from hitl_desktop.store.evidence import EvidenceCache
from hitl_desktop.store.gates import GateCache
from hitl_desktop.store.keys import KEY_BYTES, Keys, write_private
from hitl_desktop.store.outbox import Outbox
from hitl_desktop.tenancy import TenantNames

if TYPE_CHECKING:  # only the store's thread needs it
    import apsw

_SUFFIXES = (".db", ".db-wal", ".db-shm", ".key")
_RESCUED = "SELECT decision, gate, device, state, held_until, attempts, cause, problem, theirs, fields FROM outbox"
_LOCKED_WITHIN = 10.0

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

    def version(self) -> int:
        """Return a number that changes when another process has written."""
        return int(self._connection.pragma("data_version"))

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


class StoreThread:
    """The store's own thread: `await disk(work)` does `work(store)` there, one after the other."""

    def __init__(self, open_anew: Callable[[], TenantStore]) -> None:
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
        if self._store is None:
            self._store = self._open_anew()
        try:
            with sorted_out(self._store.path):
                return work(self._store)
        except DamagedError:
            self._close()
            self._store = self._open_anew()
            with sorted_out(self._store.path):
                return work(self._store)

    def _close(self) -> None:
        if self._store is not None:
            with sorted_out(self._store.path):
                self._store.close()
            self._store = None


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


def open_tenant_store(settings: Settings, names: TenantNames) -> TenantStore:
    """Open the tenant's file, moving aside what cannot be used. Blocks: on the disk, on the keyring, on a person.

    Raises:
        StoreError: the disk is full or cannot be written.
    """
    folder = settings.stores_dir
    try:
        with sorted_out(folder):
            _make_private(folder, settings.state_dir)
            keys = keys_of(settings)
            with locked(folder, names):
                return _open(folder / f"{names.file_stem}.db", names, keys)
    except NoKeyError as error:
        return TenantStore(open_database(MEMORY, bytes(KEY_BYTES)), MEMORY, str(error))


def _open(path: Path, names: TenantNames, keys: Keys) -> TenantStore:
    key: bytes | None = None
    try:
        key = keys.find(names) or _first_key(path, names, keys)
        store = _probed(TenantStore(open_database(path, key), path))
    except (WrongKeyError, DamagedError, TooNewError) as error:
        store = _begin_anew(path, names, keys, key, error)
    for old in sorted(path.parent.glob(f"{names.file_stem}.aside-*.db")):
        _take_over(store, old, names, keys)
    return store


def _first_key(path: Path, names: TenantNames, keys: Keys) -> bytes:
    if path.exists():
        raise WrongKeyError("The key of what was kept of this tenant is gone.")
    return keys.create(names)


def _probed(store: TenantStore) -> TenantStore:
    try:
        with sorted_out(store.path):
            store.outbox.entries()
            next(store.gates.pages(1), None)
    except BaseException:
        store.close()
        raise
    return store


def _begin_anew(path: Path, names: TenantNames, keys: Keys, key: bytes | None, cause: StoreError) -> TenantStore:
    rows = [] if key is None or isinstance(cause, WrongKeyError) else _readable_rows(path, key)
    keeps_key = not isinstance(cause, WrongKeyError)
    aside = _move_aside(path, with_key=not keeps_key)
    new_key = key if keeps_key and key is not None else keys.create(names)
    store = TenantStore(open_database(path, new_key), path)
    rescued = _insert(store, rows)
    kept = f"{rescued} decisions that were on their way are kept" if rescued else "no decision in it could be read"
    store.notice = (
        f"What was kept of this tenant could not be used: {str(cause)[:1].lower()}{str(cause)[1:].rstrip('.')}. It was "
        f"moved aside as {aside.name}; {kept}, and the gates come again from the server."
    )
    return store


def _take_over(store: TenantStore, old: Path, names: TenantNames, keys: Keys) -> None:
    """Take the outbox of a file that was moved aside for its key, should that key be at hand again."""
    beside = old.with_suffix(".key")
    try:
        key = keys.unwrap(names, beside.read_bytes())
        rows = _readable_rows(old, key)
    except (OSError, StoreError):  # go on: it waits for its key
        return
    rescued = _insert(store, [row for row in rows if row[3] != "delivered"])
    for path in _files(old):
        path.rename(path.with_name(path.name.replace(".aside-", ".taken-", 1)))
    if rescued:
        store.notice = f"{rescued} decisions from a file that had been moved aside ({old.name}) are on their way again."


def _readable_rows(path: Path, key: bytes) -> list[Sequence[Any]]:
    """Return the rows of the outbox that can be read, from both ends of the table towards what is damaged."""
    import apsw

    rows: dict[bytes, Sequence[Any]] = {}
    with suppress(apsw.Error, OSError):
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            connection.pragma("cipher", "aegis")
            connection.pragma("key", f"raw:{key.hex()}")
            for order in ("ASC", "DESC"):
                with suppress(apsw.Error):
                    for row in connection.execute(f"{_RESCUED} ORDER BY seq {order}"):
                        rows.setdefault(bytes(row[0]), row)
        finally:
            connection.close()
    return list(rows.values())


def _insert(store: TenantStore, rows: Sequence[Sequence[Any]]) -> int:
    rescued = 0
    for row in rows:
        with suppress(ValueError, TypeError, OverflowError):  # a row that cannot be read stays in the file moved aside
            store.outbox.insert_rescued(row)
            rescued += row[3] != "delivered"
    return rescued


def _move_aside(path: Path, *, with_key: bool) -> Path:
    stamp = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    aside = path.with_name(f"{path.stem}.aside-{stamp}.db")
    for suffix in _SUFFIXES:
        old = path.with_name(f"{path.stem}{suffix}")
        if old.exists() and (with_key or suffix != ".key"):
            old.rename(aside.with_name(aside.name.removesuffix(".db") + suffix))
    return aside


def _files(path: Path) -> list[Path]:
    stem = path.name.removesuffix(".db")
    return [found for suffix in _SUFFIXES if (found := path.with_name(stem + suffix)).exists()]


def keys_of(settings: Settings) -> Keys:
    """Return the data keys of the settings' folder of stores, which exists.

    Raises:
        OSError: the folder cannot be read or written.
    """
    folder = settings.stores_dir
    named = folder / "store-id"
    if not named.exists():
        with suppress(FileExistsError):
            write_private(named, secrets.token_hex(8).encode())
    return Keys(folder, settings.key_file, settings.passphrase, named.read_text(encoding="ascii").strip())


def _make_private(folder: Path, state_dir: Path) -> None:
    for part in (state_dir, state_dir / "stores", folder):
        part.mkdir(mode=0o700, parents=True, exist_ok=True)


def locked(folder: Path, names: TenantNames) -> Any:
    """Return a lock that keeps other processes from opening the tenant's file anew."""
    from filelock import FileLock

    return FileLock(folder / f"{names.file_stem}.lock", timeout=_LOCKED_WITHIN, mode=0o600)
