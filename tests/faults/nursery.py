"""Starts applications as processes of their own, quickly: it has imported what they need, and forks.

Run as a script with the modules of this folder that it may be asked for. Each line on standard input is one birth, as
JSON: a name, a module, its environment and its arguments. What a child says follows its name on standard output; after
its last word comes `NAME ended STATUS`. When its input ends, also because the tests were killed, it kills all and ends.
"""

import importlib
import json
import os
import signal
import sys
import traceback
from typing import Any

_children: dict[int, str] = {}


def say(*words: object) -> None:
    """Say one line, whole, whoever else speaks."""
    os.write(1, (" ".join(str(word) for word in words) + "\n").encode())


def main() -> None:
    for module in sys.argv[1:]:
        importlib.import_module(module)
    signal.signal(signal.SIGCHLD, _bury)
    for line in sys.stdin:
        birth = json.loads(line)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        pid = os.fork()
        if pid == 0:
            _live(birth)
        _children[pid] = birth["name"]
        say(birth["name"], "pid", pid)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    for pid in tuple(_children):
        os.kill(pid, signal.SIGKILL)


def _live(birth: dict[str, Any]) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    os.environ.clear()
    os.environ.update(birth["environment"])
    status = 1
    try:
        sys.modules[birth["module"]].live(birth["name"], *birth["arguments"])
        status = 0
    except BaseException:  # noqa: BLE001 - a child must not return into its parent's loop
        traceback.print_exc()
    sys.stderr.flush()
    os._exit(status)


def _bury(*_: object) -> None:
    while _children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        say(_children.pop(pid), "ended", os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
