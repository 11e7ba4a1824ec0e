"""Which windows were open, and for which tenant each: restored at the next launch."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

_FILE = "windows.json"
_REMEMBERED = 50


class WindowState(NamedTuple):
    """One window: its id, its tenant (None in single-tenant mode) and its geometry as Qt saves it, in base64."""

    window_id: str
    tenant_id: str | None = None
    geometry: str = ""


class _Windows(NamedTuple):
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
            file.write(_document(content.windows, content.recent_tenants).encode())
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)

    def _read(self) -> _Windows:
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
            found = json.loads(self._path.read_bytes())
            windows = tuple(map(_window, found["windows"]))
            return _Windows(windows, tuple(_text(tenant) for tenant in found["recent_tenants"]))
        return _Windows()


def _document(windows: tuple[WindowState, ...], recent: tuple[str, ...]) -> str:
    return json.dumps({"windows": [window._asdict() for window in windows], "recent_tenants": recent})


def _window(found: dict[str, Any]) -> WindowState:
    tenant_id = found["tenant_id"]
    return WindowState(
        _text(found["window_id"]), None if tenant_id is None else _text(tenant_id), _text(found["geometry"])
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("a text is expected")
    return value
