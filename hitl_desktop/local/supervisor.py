"""The supervisor: a process of its own that runs one workspace's server as long as somebody uses the workspace.

It holds the supervisor's lock, which the server inherits, so that the lock is free only when both are gone: there is
never a second server on one folder. It ends the server when no process holds the users' lock any more, however those
processes ended. If the supervisor itself is killed, the kernel ends its server (Linux), or the next supervisor does.
"""

import contextlib
import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from hitl_desktop.local.errors import LocalWorkspaceError
from hitl_desktop.local.folder import Folder, open_lock
from hitl_desktop.local.server import server_command

_LOOK_EVERY = 0.2
_END_WITHIN = 20.0
_LEFT_BEHIND_WITHIN = 5.0
_PR_SET_PDEATHSIG = 1


def supervise(path: Path) -> int:
    """Start the server of the workspace at `path` and return whether it was started, as an exit code.

    A second process stays behind and keeps the server running until nobody uses the workspace.
    """
    os.umask(0o077)
    started, tells = os.pipe()
    if os.fork():
        # Whoever started this waits for it, so it ends as soon as the server is started; the other half stays.
        os.close(tells)
        return 0 if os.read(started, 1) else 1
    os.close(started)
    folder = Folder(path)
    lock = open_lock(folder.supervisor_lock)
    try:
        server = _start(folder, lock) if _take(folder, lock) else None
    except (OSError, LocalWorkspaceError) as error:
        with contextlib.suppress(OSError), folder.log.open("a", encoding="utf-8") as log:
            log.write(f"supervisor: {error}\n")
        return 1
    os.write(tells, b"1")
    os.close(tells)
    if server is not None:
        _serve(folder, server)
    return 0


def command(path: Path) -> list[str]:
    """Return how the supervisor of the workspace at `path` is started, from a source tree and frozen alike."""
    program = [sys.executable] if getattr(sys, "frozen", False) else [sys.executable, "-m", "hitl_desktop"]
    return [*program, "supervise-workspace", str(path)]


def _take(folder: Folder, lock: int) -> bool:
    """Return whether this process is the supervisor now; a server that lost its supervisor is ended first."""
    deadline = time.monotonic() + _LEFT_BEHIND_WITHIN
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if _supervisor_lives(folder) or time.monotonic() > deadline:
                return False
            _end_left_behind(folder)
            time.sleep(_LOOK_EVERY)
        else:
            (folder.path / "supervisor.pid").write_text(str(os.getpid()))
            return True


def _supervisor_lives(folder: Folder) -> bool:
    pid = _read_pid(folder.path / "supervisor.pid")
    return pid is not None and pid != os.getpid() and _runs(pid, "supervise-workspace")


def _end_left_behind(folder: Folder) -> None:
    pid = _read_pid(folder.data / "server.pid")
    if pid is not None and _runs(pid, "valkey-server"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


def _start(folder: Folder, lock: int) -> subprocess.Popen[bytes]:
    socket = folder.socket()
    socket.unlink(missing_ok=True)
    os.set_inheritable(lock, True)  # noqa: FBT003 - the function's own signature
    server = subprocess.Popen(  # noqa: S603 - our own program
        server_command(folder, socket),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder.data,
        pass_fds=(lock,),
        preexec_fn=_die_with_parent(),  # noqa: PLW1509 - this process has one thread
    )
    (folder.data / "server.pid").write_text(str(server.pid))
    return server


def _die_with_parent() -> Callable[[], None] | None:
    """Return what makes a child end when its parent does, where the kernel can."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def _serve(folder: Folder, server: subprocess.Popen[bytes]) -> None:
    users = open_lock(folder.users_lock)
    stopping: list[int] = []
    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(name, lambda number, _frame: stopping.append(number))
    while server.poll() is None and not stopping:
        with contextlib.suppress(BlockingIOError):
            # Whoever comes now waits for its shared lock until the server has ended, and then starts another.
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(_LOOK_EVERY)
    server.terminate()
    try:
        server.wait(_END_WITHIN)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _read_pid(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None


def _runs(pid: int, word: str) -> bool:
    """Whether process `pid` runs and its command line holds `word`, so that no stranger with an old id is meant."""
    listing = Path(f"/proc/{pid}/cmdline")
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            return word.encode() in listing.read_bytes()
        return False
    told = subprocess.run(  # noqa: S603 - fixed program, and a number
        ["/bin/ps", "-o", "command=", "-p", str(pid)], capture_output=True, check=False
    )
    return word.encode() in told.stdout
