"""What a reviewer's machine has: a display, a secret service, and a disk that can be full."""

import ctypes
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path

from tests import processes

SCREEN = "1600x1000x24"


_BUS = """
<busconfig>
  <type>session</type>
  <listen>unix:tmpdir=/tmp</listen>
  <policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy>
</busconfig>
"""
_QT_NEEDS = ("libEGL.so.1", "libGL.so.1", "libfontconfig.so.1", "libxkbcommon.so.0", "libdbus-1.so.3")


@cache
def has_qt_libraries() -> bool:
    """Return whether this machine has what Qt's window modules load, even offscreen; macOS and Windows have."""
    if os.uname().sysname != "Linux":
        return True
    try:
        for library in _QT_NEEDS:
            ctypes.CDLL(library)
    except OSError:
        return False
    return True


def has_display_server() -> bool:
    """Return whether a virtual display can be started and driven here."""
    return all(map(shutil.which, ("Xvfb", "openbox", "xdotool")))


def has_secret_service() -> bool:
    """Return whether a secret service can be started here."""
    return all(map(shutil.which, ("dbus-daemon", "gnome-keyring-daemon")))


def on_small_disk(folder: Path) -> list[str]:
    """Return the beginning of a command that runs the rest with a disk of 2 MiB of its own at `folder`."""
    mount = 'mount -t tmpfs -o size=2m,mode=0700 none "$0" && exec "$@"'
    return ["unshare", "--map-root-user", "--mount", "sh", "-c", mount, str(folder)]


@cache
def has_small_disk() -> bool:
    """Return whether a process can be given a disk of its own here."""
    if not shutil.which("unshare"):
        return False
    with tempfile.TemporaryDirectory(prefix="hitl-") as folder:
        command = [*on_small_disk(Path(folder)), "true"]
        return subprocess.run(command, capture_output=True, check=False, timeout=processes.DEADLINE).returncode == 0


@contextmanager
def virtual_display() -> Iterator[str]:
    """Run Xvfb and a window manager on a free display and yield its name for `DISPLAY`."""
    reading, writing = os.pipe()
    process = processes.start(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", SCREEN, "-nolisten", "tcp", "-noreset"],
        pass_fds=[writing],
    )
    os.close(writing)
    try:
        with os.fdopen(reading) as announced:
            number = announced.readline().strip()
        if not number:
            raise RuntimeError("Xvfb ended by itself")
        with _window_manager(f":{number}"):
            yield f":{number}"
    finally:
        processes.end(process)


@contextmanager
def _window_manager(display: str) -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="hitl-") as home:
        ready = Path(home) / "ready"
        process = processes.start(
            ["openbox", "--startup", f"touch {ready}"], environment={**os.environ, "DISPLAY": display, "HOME": home}
        )
        try:
            processes.until(ready.exists, "the window manager is ready")
            yield
        finally:
            processes.end(process)


@contextmanager
def session_bus(home: Path) -> Iterator[str]:
    """Run a session bus of the test's own and yield its address for `DBUS_SESSION_BUS_ADDRESS`.

    It starts no services by itself: of this machine's, a second and locked keyring would answer first.
    """
    configuration = home / "bus.conf"
    configuration.write_text(_BUS)
    reading, writing = os.pipe()
    process = processes.start(
        ["dbus-daemon", f"--config-file={configuration}", "--nofork", f"--print-address={writing}"], pass_fds=[writing]
    )
    os.close(writing)
    try:
        with os.fdopen(reading) as announced:
            address = announced.readline().strip()
        if not address:
            raise RuntimeError("dbus-daemon ended by itself")
        yield address
    finally:
        processes.end(process)


@contextmanager
def secret_service(home: Path, address: str) -> Iterator[None]:
    """Run an unlocked secret service on the bus at `address`, which keeps its secrets in `home`."""
    environment = {**os.environ, "HOME": str(home), "DBUS_SESSION_BUS_ADDRESS": address}
    process = processes.start(
        ["gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets"],
        environment=environment,
        reads=b"password",
    )
    try:
        processes.until(lambda: _is_unlocked(address), "the secret service is unlocked")
        yield
    finally:
        processes.end(process)


def _is_unlocked(address: str) -> bool:
    from jeepney.io.blocking import open_dbus_connection  # type: ignore[import-untyped]
    from secretstorage import ItemNotFoundException, check_service_availability, get_collection_by_alias

    with closing(open_dbus_connection(address)) as connection:
        if not check_service_availability(connection):
            return False
        try:
            # By its own path: by the alias, the service may crash (`store/secret_service.py`).
            return not get_collection_by_alias(connection, "default").is_locked()
        except ItemNotFoundException:
            # The service has its name before it has its first collection.
            return False
