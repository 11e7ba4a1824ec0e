"""The workspace's folder: what lies in it, private to its owner, and what is recorded about it."""

import contextlib
import json
import os
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hitl_desktop.local.errors import FolderUnusable

_SOCKET_LIMIT = 100
"""Bytes that a unix socket's path may have; at 108 the server exits."""


@dataclass(frozen=True, slots=True)
class Record:
    """What `workspace.json` says: the tenants in their order of arrival, and where the socket is if not inside."""

    tenants: tuple[str, ...] = ()
    socket: str = ""


@dataclass(frozen=True, slots=True)
class Folder:
    """The places in one workspace."""

    path: Path

    @property
    def users_lock(self) -> Path:
        """Held, shared, by every process that uses the workspace."""
        return self.path / "users.lock"

    @property
    def start_lock(self) -> Path:
        """Held while a process starts the supervisor."""
        return self.path / "start.lock"

    @property
    def supervisor_lock(self) -> Path:
        """Held by the one supervisor, and inherited by its server: while it is held, the folder has a server."""
        return self.path / "supervisor.lock"

    @property
    def record_lock(self) -> Path:
        """Held while the record is changed."""
        return self.path / "record.lock"

    @property
    def data(self) -> Path:
        """The server's append-only files."""
        return self.path / "redis"

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.path / "server.log"

    @property
    def chroma(self) -> Path:
        """The embedded Chroma's folder."""
        return self.path / "chroma"

    @property
    def chroma_lock(self) -> Path:
        """Held by the one process that has Chroma open."""
        return self.path / "chroma.lock"

    def prepare(self) -> None:
        """Make the folder and what is in it, private to its owner.

        Raises:
            FolderUnusable: it cannot be made or written, or belongs to someone else.
        """
        try:
            for place in (self.path, self.data, self.chroma):
                place.mkdir(mode=0o700, parents=True, exist_ok=True)
                if place.stat().st_uid != os.getuid():
                    raise FolderUnusable(self.path, "it belongs to another user")
                place.chmod(0o700)
            with tempfile.TemporaryFile(dir=self.path) as probe:
                probe.write(b"\0" * 4096)
                probe.flush()
                os.fsync(probe.fileno())
        except OSError as error:
            raise FolderUnusable(self.path, error.strerror or str(error)) from None

    def read(self) -> Record:
        """Return what is recorded; a damaged record counts as none."""
        with contextlib.suppress(OSError, ValueError, TypeError):
            found = json.loads((self.path / "workspace.json").read_bytes())
            tenants = tuple(tenant for tenant in found.get("tenants", ()) if isinstance(tenant, str))
            return Record(tenants, str(found.get("socket", "")))
        return Record()

    def write(self, record: Record) -> None:
        """Record, durably and all at once.

        Raises:
            FolderUnusable: it cannot be written, as on a full disk.
        """
        document = json.dumps({"version": 1, "tenants": record.tenants, "socket": record.socket}, indent=2)
        draft = self.path / "workspace.json.new"
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(document)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path / "workspace.json")
        except OSError as error:
            raise FolderUnusable(self.path, error.strerror or str(error)) from None

    def socket(self) -> Path:
        """Return where the server's socket is: inside, or in a private short folder that is recorded here."""
        inside = self.path / "server.sock"
        if len(os.fsencode(inside)) <= _SOCKET_LIMIT:
            return inside
        with locked(self.record_lock):
            record = self.read()
            if record.socket and _is_private(Path(record.socket).parent):
                return Path(record.socket)
            short = Path(tempfile.mkdtemp(prefix="hitl-", dir=_short_root())) / "server.sock"
            self.write(Record(record.tenants, str(short)))
            return short


@contextlib.contextmanager
def locked(path: Path, *, shared: bool = False) -> Iterator[int]:
    """Hold a lock on `path` for the block, waiting for it; it goes with the process, however that ends."""
    import fcntl

    descriptor = open_lock(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def try_lock(path: Path) -> int | None:
    """Return the descriptor of an exclusive lock on `path`, or None while another holder has it."""
    import fcntl

    descriptor = open_lock(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def open_lock(path: Path) -> int:
    """Return a descriptor on the lock file `path`, made if absent; child processes do not inherit it.

    Raises:
        FolderUnusable: it cannot be opened.
    """
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise FolderUnusable(path.parent, error.strerror or str(error)) from None


def _short_root() -> str:
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    fits = runtime and len(os.fsencode(runtime)) < _SOCKET_LIMIT - 40 and _is_private(Path(runtime))
    return runtime if fits else "/tmp"  # noqa: S108 - a private folder is made in it


def _is_private(folder: Path) -> bool:
    try:
        status = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077
