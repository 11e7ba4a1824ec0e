"""The first rows of a window's list, read in a thread while the window is being made."""

import threading

from PySide6.QtCore import QObject, Signal

from hitl_desktop.settings import Settings

_COUNT = 50
"""More rows than the tallest screen shows."""


class FirstRows(QObject):
    """`ready` comes once: with the tenant's id (None is single-tenant mode) and its gates, none where none are kept."""

    ready = Signal(object, object)

    def __init__(self, settings: Settings, tenant_id: str | None) -> None:
        super().__init__()
        self._settings = settings
        self._wanted = tenant_id
        # It may wait for a person who unlocks the keyring; nobody waits for it.
        self._thread = threading.Thread(target=self._read, name="first-rows", daemon=True)

    @property
    def is_reading(self) -> bool:
        """Whether `ready` is still to come."""
        return self._thread.is_alive()

    def begin(self) -> None:
        """Begin to read."""
        self._thread.start()

    def _read(self) -> None:
        if not self._settings.stores_dir.is_dir():
            self.ready.emit(None, ())
            return
        from hitl_desktop.store.first_rows import first_rows
        from hitl_desktop.store.windows import WindowStore
        from hitl_desktop.tenancy import TenancyError, TenantConfig, TenantNames

        settings = self._settings
        wanted = self._wanted
        if wanted is None and (windows := WindowStore(settings.state_dir).load()):
            wanted = windows[0].tenant_id
        try:
            chosen = TenantConfig.of(settings).choose(wanted)
        except TenancyError:  # the session says why
            self.ready.emit(None, ())
            return
        self.ready.emit(chosen, first_rows(settings, TenantNames(chosen, settings.key_layout), _COUNT))
