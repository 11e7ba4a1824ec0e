"""The first rows of a tenant's list, for a window whose session is not open yet. It reads and does nothing else.

Whatever the file needs beyond reading (a key, a migration, a rescue) is left to the store itself. The window waits for
this at its start, so that it imports only what reading needs.
"""

from contextlib import suppress

from hitl_desktop.domain.gate import Gate
from hitl_desktop.settings import Settings
from hitl_desktop.store.database import close_untouched
from hitl_desktop.store.errors import StoreError
from hitl_desktop.store.gates import GateCache
from hitl_desktop.store.keys import Keys
from hitl_desktop.store.schema import MIGRATIONS
from hitl_desktop.tenancy.naming import TenantNames


def first_rows(settings: Settings, names: TenantNames, count: int) -> list[Gate]:
    """Return the gates kept of a tenant that wait longest and are not decided here, at most `count`.

    Empty where none are kept, or where they cannot simply be read. Blocks: on the disk, on the keyring, on a person.
    """
    import apsw

    folder = settings.stores_dir
    path = folder / f"{names.file_stem}.db"
    with suppress(StoreError, OSError, ValueError, apsw.Error):
        store_id = (folder / "store-id").read_text(encoding="ascii").strip()
        key = Keys(folder, settings.key_file, settings.passphrase, store_id).find(names)
        if key is not None:
            return _read(path, key, count)
    return []


def _read(path: object, key: bytes, count: int) -> list[Gate]:
    import apsw

    # Not to be made where it is absent: that is the store's, under its lock.
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        connection.pragma("cipher", "aegis")
        connection.pragma("key", f"raw:{key.hex()}")
        return GateCache(connection).undecided(count) if connection.pragma("user_version") == len(MIGRATIONS) else []
    finally:
        close_untouched(connection)
