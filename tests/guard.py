"""Kills the tests' servers when the tests end, however they end.

Run as a script. It reads `+PID` and `-PID` lines from standard input, whose other end only the tests hold: when that
closes, also after a SIGKILL, every process still listed is killed. Unlike the kernel's parent-death signal it does not
care which thread started a server, and macOS has it too.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterable


def watch(lines: Iterable[str]) -> None:
    """Follow the list of processes until it ends, then kill what is on it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    listed: set[int] = set()
    for line in lines:
        process = int(line[1:])
        listed.add(process) if line[0] == "+" else listed.discard(process)
    for process in listed:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


if __name__ == "__main__":
    watch(sys.stdin)
