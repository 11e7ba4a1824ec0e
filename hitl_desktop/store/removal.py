"""Removing what is kept of a tenant on this machine: its key first, so that what is left of its files is noise."""

from pathlib import Path

from hitl_desktop.domain.outbox import decisions
from hitl_desktop.settings import Settings
from hitl_desktop.store.database import open_database, sorted_out
from hitl_desktop.store.errors import InUseError, NoKeyError, StoreError, UndeliveredError
from hitl_desktop.store.keys import Keys
from hitl_desktop.store.outbox import Outbox
from hitl_desktop.store.tenant_store import keys_of, locked
from hitl_desktop.tenancy import TenantNames

_WAITED_MS = 1_000


def remove_store(settings: Settings, names: TenantNames, *, discard: bool = False) -> bool:
    """Destroy the tenant's keys and then its files; return whether there were any. Blocks: on disk and keyring.

    Args:
        settings: where the files are, and what has the keys.
        names: the tenant's.
        discard: whether to lose decisions that were not delivered.

    Raises:
        UndeliveredError: there are, or may be, such decisions; nothing was removed.
        InUseError: a window or another command has the file open; nothing was removed.
        NoKeyError: what has the key is locked or was not given; nothing was removed.
        StoreError: the keyring or the disk keeps some of it.
    """
    folder = settings.stores_dir
    if not folder.exists():
        return False
    with sorted_out(folder), locked(folder, names):
        keys = keys_of(settings)
        files = [path for path in folder.glob(f"{names.file_stem}.*") if path.suffix != ".lock"]
        if files:
            _refuse(folder / f"{names.file_stem}.db", files, names, keys, discard=discard)
        keys.destroy(names)
        for path in files:
            path.unlink(missing_ok=True)
        return bool(files)


def _refuse(path: Path, files: list[Path], names: TenantNames, keys: Keys, *, discard: bool) -> None:
    count, unread = 0, [file.name for file in files if ".aside-" in file.name and file.suffix == ".db"]
    if path.exists():
        try:
            count = _undelivered(path, names, keys)
        except InUseError:
            raise
        except NoKeyError:  # whoever has the key can count
            if not discard:
                raise
        except StoreError:  # go on: what cannot be read cannot be counted
            unread.append(path.name)
    if discard:
        return
    if count:
        raise UndeliveredError(f"{decisions(count)} would be lost undelivered, so nothing was removed.")
    if unread:
        kept = ", ".join(sorted(unread))
        raise UndeliveredError(f"{kept} cannot be read and may hold undelivered decisions, so nothing was removed.")


def _undelivered(path: Path, names: TenantNames, keys: Keys) -> int:
    import apsw

    key = keys.find(names)
    if key is None:
        raise StoreError("The key of what was kept of this tenant is gone.")
    connection = open_database(path, key)
    try:
        connection.set_busy_timeout(_WAITED_MS)
        with sorted_out(path):
            entries = Outbox(connection).entries()
            try:
                # Only who has the file alone may leave the write-ahead log.
                connection.pragma("journal_mode", "delete")
            except apsw.BusyError:
                raise InUseError("A window has this tenant open: close it first, nothing was removed.") from None
        return sum(entry.state.is_open or entry.state.needs_answer for entry in entries)
    finally:
        connection.close()
