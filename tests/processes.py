"""Starting processes that cannot outlive the tests, and waiting for conditions with a deadline."""

import atexit
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO

DEADLINE = 20.0
"""Seconds that a local process may take for anything; only a broken test ever waits that long."""

_POLL = 0.005


def until(condition: Callable[[], bool], what: str, *, within: float = DEADLINE) -> None:
    """Return as soon as `condition` holds; for what no file descriptor announces.

    Raises:
        TimeoutError: it did not hold `within` seconds; the message names `what`.
    """
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {within:.0f} s still waiting until {what}")
        time.sleep(_POLL)


def start(
    command: Sequence[str | Path],
    *,
    environment: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    reads: bytes = b"",
) -> subprocess.Popen[bytes]:
    """Start a server in a session of its own, so that Ctrl-C ends the tests first and they end it; it reads `reads`."""
    process = subprocess.Popen(
        [os.fspath(word) for word in command],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=None if environment is None else dict(environment),
        pass_fds=pass_fds,
        start_new_session=True,
    )
    _tell_guard(f"+{process.pid}")
    assert process.stdin is not None
    with process.stdin as pipe:
        pipe.write(reads)
    return process


def end(process: subprocess.Popen[bytes], *, kill: bool = False) -> None:
    """End a process of `start` and wait for it: by SIGTERM, or by SIGKILL when asked or when SIGTERM does not help."""
    if process.poll() is None:
        process.kill() if kill else process.terminate()
        try:
            process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    _tell_guard(f"-{process.pid}")


@cache
def _guard() -> IO[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", Path(__file__).with_name("guard.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        bufsize=0,
    )
    # It ends after this process does; nobody waits for it, and that is no leak to warn of.
    process.returncode = 0
    assert process.stdin is not None
    atexit.register(process.stdin.close)
    return process.stdin


def _tell_guard(line: str) -> None:
    _guard().write(f"{line}\n".encode())
