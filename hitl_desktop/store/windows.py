"""Which windows were open, and for which tenant each: restored at the next launch."""

import contextlib
import os
from pathlib import Path

import msgspec

_FILE = "windows.json"
_REMEMBERED = 50


class WindowState(msgspec.Struct, frozen=True):
    """One window: its id, its tenant (None in single-tenant mode) and its geometry as Qt saves it, in base64."""

    window_id: str
    tenant_id: str | None = None
    geometry: str = ""


class _Windows(msgspec.Struct, frozen=True):
    windows: tuple[WindowState, ...] = ()
    recent_tenants: tuple[str, ...] = ()


class WindowStore:
    """The file of open windows in the state folder. Its calls read and write the disk: not for the GUI thread."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / _FILE

    def load(self) -> tuple[WindowState, ...]:
        """Return the windows that were open; none if the file is absent or damaged."""
        return self._read().windows

    def recent_tenants(self) -> tuple[str, ...]:
        """Return the tenants worked for lately, newest first."""
        return self._read().recent_tenants

    def save(self, windows: tuple[WindowState, ...]) -> None:
        """Remember `windows` as the open ones.

        Raises:
            OSError: the state folder cannot be written.
        """
        used = tuple(window.tenant_id for window in windows if window.tenant_id)
        recent = tuple(dict.fromkeys((*used, *self._read().recent_tenants)))[:_REMEMBERED]
        self._write(_Windows(windows, recent))

    def forget(self, tenant_id: str) -> None:
        """Remember neither a window of this tenant nor that it was worked for.

        Raises:
            OSError: the state folder cannot be written.
        """
        known = self._read()
        windows = tuple(window for window in known.windows if window.tenant_id != tenant_id)
        recent = tuple(other for other in known.recent_tenants if other != tenant_id)
        if (windows, recent) != (known.windows, known.recent_tenants):
            self._write(_Windows(windows, recent))

    def _write(self, content: _Windows) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._path.with_suffix(".new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(content))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)

    def _read(self) -> _Windows:
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            return msgspec.json.decode(self._path.read_bytes(), type=_Windows)
        return _Windows()
