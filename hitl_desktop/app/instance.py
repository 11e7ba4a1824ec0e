"""One window process per state folder: a second launch asks the first for a new window."""

from pathlib import Path

from PySide6.QtCore import QLockFile, QObject, Signal

_ANSWER_WITHIN_MS = 3_000
_LONGEST = 256


class Instance(QObject):
    """This process's claim on a state folder. `asked` comes with a tenant id, or empty, for each window asked for."""

    asked = Signal(str)

    def __init__(self, state_dir: Path) -> None:
        super().__init__()
        self._state_dir = state_dir
        self._lock: QLockFile | None = None
        self._server: QObject | None = None

    def claim(self) -> bool:
        """Return whether this process is the folder's one; False if another one's windows are open.

        A folder that cannot be written claims nothing and is nobody else's; the session tells what is wrong with it.
        """
        try:
            self._state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError:
            return True
        lock = QLockFile(str(self._state_dir / "window.lock"))
        lock.setStaleLockTime(0)
        if lock.tryLock(0):
            self._lock = lock
            return True
        return lock.error() != QLockFile.LockError.LockFailedError

    def listen(self) -> None:
        """Begin to take other launches' requests for windows."""
        from PySide6.QtNetwork import QLocalServer

        server = QLocalServer(self)
        server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        QLocalServer.removeServer(self._name)
        server.newConnection.connect(self._take)
        server.listen(self._name)
        self._server = server

    def ask_for_window(self, tenant_id: str) -> bool:
        """Ask the process that has the folder for a window; return whether it answered."""
        from PySide6.QtNetwork import QLocalSocket

        socket = QLocalSocket()
        socket.connectToServer(self._name)
        if not socket.waitForConnected(_ANSWER_WITHIN_MS):
            return False
        socket.write(f"{tenant_id}\n".encode())
        socket.waitForBytesWritten(_ANSWER_WITHIN_MS)
        answered = socket.waitForReadyRead(_ANSWER_WITHIN_MS)
        socket.disconnectFromServer()
        return answered

    def release(self) -> None:
        """Give the folder up."""
        if self._lock is not None:
            self._lock.unlock()

    @property
    def _name(self) -> str:
        import getpass
        from hashlib import sha256

        folder = f"{getpass.getuser()}:{self._state_dir}"
        return f"hitl-desktop-{sha256(folder.encode()).hexdigest()[:24]}"

    def _take(self) -> None:
        from PySide6.QtNetwork import QLocalServer

        assert isinstance(self._server, QLocalServer)  # noqa: S101 - tells the type; only a listening server calls this
        socket = self._server.nextPendingConnection()

        def read() -> None:
            if not socket.canReadLine():
                return
            line = bytes(socket.readLine(_LONGEST).data()).decode("utf-8", "replace").strip()
            socket.write(b"opened\n")
            socket.flush()
            self.asked.emit(line)

        socket.readyRead.connect(read)
        socket.disconnected.connect(socket.deleteLater)
