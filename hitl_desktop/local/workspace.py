"""The local workspace: found, started, and kept as long as this process uses it."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hitl_desktop.local.chroma import EmbeddedChroma
from hitl_desktop.local.errors import NoEmbeddedServer, ServerNotStarted
from hitl_desktop.local.folder import Folder, Record, locked, open_lock
from hitl_desktop.local.server import answers, program

_STARTED_WITHIN = 30.0
_LOOK_EVERY = 0.01
_LOOK_AGAIN = 2.0


class LocalWorkspace:
    """One process's use of a workspace."""

    def __init__(self, folder: Folder, socket: Path) -> None:
        self.folder = folder.path
        self.redis_url = f"unix://{quote(str(socket))}"
        self.tenants: tuple[str, ...] = folder.read().tenants
        self._folder = folder
        self._socket = socket
        self._chroma = EmbeddedChroma(folder)
        self._claiming = asyncio.Lock()

    async def record_tenant(self, tenant_id: str) -> None:
        """Record a tenant, last; one that is recorded stays where it is.

        Raises:
            FolderUnusable: it cannot be written.
        """
        if tenant_id not in self.tenants:
            self.tenants = await asyncio.to_thread(_record, self._folder, tenant_id)

    async def ensure_server(self) -> None:
        """Start the server again if it is gone.

        Raises:
            ServerNotStarted: it does not start.
        """
        await asyncio.to_thread(_ensure, self._folder, self._socket)

    async def chroma(self) -> Any:
        """Return the embedded Chroma's client, or None while another process owns the folder.

        Raises:
            FolderUnusable: Chroma cannot open the folder.
        """
        async with self._claiming:
            return await asyncio.to_thread(self._chroma.claim)

    async def release(self) -> None:
        """Give Chroma up, if this process has it."""
        async with self._claiming:
            await asyncio.to_thread(self._chroma.release)


@asynccontextmanager
async def open_workspace(path: Path) -> AsyncIterator[LocalWorkspace]:
    """Yield the workspace at `path`, its server running; the server ends with the last process that uses it.

    Raises:
        LocalWorkspaceError: there is no embedded server, the folder cannot be used, or the server does not start.
    """
    if sys.platform == "win32":
        raise NoEmbeddedServer
    folder, users, socket = await asyncio.to_thread(_join, path)
    try:
        workspace = LocalWorkspace(folder, socket)
        try:
            yield workspace
        finally:
            await workspace.release()
    finally:
        os.close(users)


def _join(path: Path) -> tuple[Folder, int, Path]:
    import fcntl

    program()
    folder = Folder(path.absolute())
    folder.prepare()
    users = open_lock(folder.users_lock)
    try:
        fcntl.flock(users, fcntl.LOCK_SH)
        socket = folder.socket()
        _ensure(folder, socket)
    except BaseException:
        os.close(users)
        raise
    return folder, users, socket


def _ensure(folder: Folder, socket: Path) -> None:
    if answers(socket):
        return
    with locked(folder.start_lock):
        deadline = time.monotonic() + _STARTED_WITHIN
        while not answers(socket):
            if time.monotonic() > deadline or not _start_supervisor(folder):
                raise ServerNotStarted(_last_line(folder))
            _await_answer(socket, deadline)


def _await_answer(socket: Path, deadline: float) -> None:
    """Wait until the server answers, but not long: one that ended again must be started again."""
    until = min(deadline, time.monotonic() + _LOOK_AGAIN)
    while not answers(socket) and time.monotonic() < until:
        time.sleep(_LOOK_EVERY)


def _start_supervisor(folder: Folder) -> bool:
    from hitl_desktop.local.supervisor import command

    with os.fdopen(os.open(folder.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as log:
        done = subprocess.run(  # noqa: S603 - our own program
            command(folder.path),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder.path,
            start_new_session=True,
            check=False,
        )
    return done.returncode == 0


def _record(folder: Folder, tenant_id: str) -> tuple[str, ...]:
    with locked(folder.record_lock):
        record = folder.read()
        if tenant_id in record.tenants:
            return record.tenants
        tenants = (*record.tenants, tenant_id)
        folder.write(Record(tenants, record.socket))
        return tenants


def _last_line(folder: Folder) -> str:
    try:
        lines = folder.log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    return lines[-1] if lines else "it left no log"
