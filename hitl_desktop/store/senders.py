"""Who sends a row of the outbox: a name to claim it under, and whether the process of that name has ended."""

import os
import secrets
import socket


def new_sender() -> str:
    """Return a name for one opener of an outbox: a process may have several of one tenant open.

    Each answers for what it claimed itself.
    """
    return f"{socket.gethostname()} {os.getpid()} {secrets.token_hex(4)}"


def has_ended(sender: str | None) -> bool:
    """Whether a sender is certainly gone; of one on another machine that cannot be told."""
    host, pid, *_ = [*(sender or "").split(" "), "", ""]
    if host != socket.gethostname() or os.name != "posix":
        return False
    if not pid.isascii() or not pid.isdigit():
        return True
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return False
    return False
