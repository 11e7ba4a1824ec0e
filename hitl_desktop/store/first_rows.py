"""The first rows of a tenant's list, for a window whose session is not open yet. It reads and does nothing else.

A process of its own reads them, while the window's process loads Qt; they go through a pipe between the two, never
over the disk. Whatever the file needs beyond reading (a key, a migration, a rescue) is left to the store itself.
"""

import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hitl_desktop.domain.gate import Gate
from hitl_desktop.settings import Settings, SettingsError, read_settings
from hitl_desktop.store.gate_rows import gate_of, row_of

if TYPE_CHECKING:  # what the window's process needs to take rows in is kept small
    from hitl_desktop.tenancy import TenantNames

COUNT = 50
"""How many are told: more than the tallest screen shows."""


class FirstRows(NamedTuple):
    """A tenant's id (None is single-tenant mode) and the gates that wait longest; none where none can be read."""

    tenant_id: str | None = None
    gates: tuple[Gate, ...] = ()


def command(tenant_id: str | None) -> list[str]:
    """Return how the process is started that reads for a window of this tenant; None: of the one it was last open for.

    From a source tree and frozen alike.
    """
    program = [sys.executable] if getattr(sys, "frozen", False) else [sys.executable, "-m", "hitl_desktop"]
    return [*program, "first-rows", *([] if tenant_id is None else [tenant_id])]


def write_first_rows(arguments: Sequence[str]) -> int:
    """Read what `command` asks for and write it to standard output, packed; return the exit code."""
    try:
        found = read_first_rows(read_settings(), arguments[0] if arguments else None)
    except SettingsError:  # the window says why
        return 2
    with suppress(OSError):  # the window is gone
        sys.stdout.buffer.write(packed(found))
        sys.stdout.buffer.flush()
    return 0


def packed(rows: FirstRows) -> bytes:
    """Return `rows` as bytes, for `unpacked`."""
    return json.dumps([rows.tenant_id, [row_of(gate) for gate in rows.gates]]).encode()


def unpacked(content: bytes) -> FirstRows:
    """Return what `packed` was given; no rows if it was cut short."""
    with suppress(ValueError, TypeError):
        tenant_id, rows = json.loads(content)
        return FirstRows(tenant_id, tuple(gate for row in rows if (gate := gate_of(row)) is not None))
    return FirstRows()


def read_first_rows(settings: Settings, wanted: str | None, count: int = COUNT) -> FirstRows:
    """Return the gates kept that wait longest and are not decided here, at most `count`.

    Of the tenant `wanted`, or of the one that a window was last open for; of none that the allowlist does not admit.
    Blocks: on the disk, on the keyring, on a person.
    """
    from hitl_desktop.store.windows import WindowStore
    from hitl_desktop.tenancy import TenancyError, TenantConfig, TenantNames

    if wanted is None and (windows := WindowStore(settings.state_dir).load()):
        wanted = windows[0].tenant_id
    try:
        chosen = TenantConfig.of(settings).choose(wanted)
    except TenancyError:  # the session says why
        return FirstRows()
    return FirstRows(chosen, tuple(_undecided(settings, TenantNames(chosen, settings.key_layout), count)))


def _undecided(settings: Settings, names: "TenantNames", count: int) -> list[Gate]:
    import apsw

    from hitl_desktop.store.errors import StoreError
    from hitl_desktop.store.keys import Keys

    folder = settings.stores_dir
    with suppress(StoreError, OSError, ValueError, apsw.Error):
        store_id = (folder / "store-id").read_text(encoding="ascii").strip()
        key = Keys(folder, settings.key_file, settings.passphrase, store_id).find(names)
        if key is not None:
            return _read(folder / f"{names.file_stem}.db", key, count)
    return []


def _read(path: Path, key: bytes, count: int) -> list[Gate]:
    import apsw

    from hitl_desktop.store.database import close_untouched
    from hitl_desktop.store.gates import GateCache
    from hitl_desktop.store.schema import MIGRATIONS

    # Not to be made where it is absent: that is the store's, under its lock.
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        connection.pragma("cipher", "aegis")
        connection.pragma("key", f"raw:{key.hex()}")
        return GateCache(connection).undecided(count) if connection.pragma("user_version") == len(MIGRATIONS) else []
    finally:
        close_untouched(connection)
