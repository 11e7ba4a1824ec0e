"""The first rows of a window's list, read by a process of their own while this one loads Qt and makes the window."""

import os
import subprocess
import threading
from collections.abc import Callable, Mapping

from hitl_desktop.settings import Settings
from hitl_desktop.store.first_rows import FirstRows, command, unpacked

_NO_CONSOLE = getattr(subprocess, "CREATE_NO_WINDOW", 0)
"""On Windows, one would flash otherwise."""


class RowsReader:
    """The process that reads, and a thread that waits for what it tells. Nothing here needs Qt."""

    def __init__(self, settings: Settings, tenant_id: str | None, environment: Mapping[str, str] | None = None) -> None:
        """Begin to read for a window of this tenant; None is the one that a window was last open for.

        Args:
            settings: where the stores are; without any, nothing is started.
            tenant_id: the tenant that is asked for.
            environment: where the process reads the same settings from; this process's own by default.
        """
        self._process: subprocess.Popen[bytes] | None = None
        self._rows: FirstRows | None = None
        self._follower: Callable[[FirstRows], None] | None = None
        self._lock = threading.Lock()
        if not settings.stores_dir.is_dir():
            self._rows = FirstRows()
            return
        self._process = subprocess.Popen(  # noqa: S603 - this program itself
            command(tenant_id),
            env=dict(os.environ if environment is None else environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            creationflags=_NO_CONSOLE,
        )
        threading.Thread(target=self._read, args=(self._process,), name="first-rows", daemon=True).start()

    @property
    def is_reading(self) -> bool:
        """Whether the rows are still to come; it may wait for a person who unlocks the keyring."""
        return self._rows is None

    @property
    def tenant_id(self) -> str | None:
        """The tenant whose rows are read by now; None where there are none yet, and in single-tenant mode."""
        return None if self._rows is None else self._rows.tenant_id

    def follow(self, follower: Callable[[FirstRows], None]) -> None:
        """Call `follower` once with the rows: now, or from another thread when they come."""
        with self._lock:
            self._follower = follower
            rows = self._rows
        if rows is not None:
            follower(rows)

    def end(self) -> None:
        """Wait no longer for what is not read by now."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _read(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        with process.stdout:
            rows = unpacked(process.stdout.read())
        process.wait()
        with self._lock:
            self._rows = rows
            follower = self._follower
        if follower is not None:
            follower(rows)
