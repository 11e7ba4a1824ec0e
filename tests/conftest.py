"""What every test stands on: a clean environment, real servers, the right event loop, and no unexpected log line."""

import asyncio
import gc
import logging
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings

from tests import desktop, servers
from tests.seeds import SEED

FULL = bool(os.environ.get("HITL_TEST_FULL"))
_QT_FOLDERS = frozenset({"app", "journeys", "viewmodels", "widgets"})
_FORBIDDEN_VARIABLES = ("HITL_", "REDIS_", "KNOWLEDGE_STORE_", "MULTI_TENANCY_", "QT_", "XDG_")
_FORBIDDEN_NAMES = frozenset(
    {
        "ALLOWED_TENANTS",
        "DBUS_SESSION_BUS_ADDRESS",
        "DEFAULT_TENANT_ID",
        "DISPLAY",
        "TENANT_HEADER",
        "WAYLAND_DISPLAY",
    }
)


def _clean(environment: Mapping[str, str]) -> dict[str, str]:
    """Return `environment` without what would lead the application to this machine's servers, screen or secrets."""
    kept = {
        name: value
        for name, value in environment.items()
        if name not in _FORBIDDEN_NAMES and not name.startswith(_FORBIDDEN_VARIABLES)
    }
    return kept | {"QT_QPA_PLATFORM": "offscreen", "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}


# Before anything imports Qt or keyring, which look once.
_OUTER = dict(os.environ)
os.environ.clear()
os.environ.update(_clean(_OUTER))

# Where a shell runs this in the background, SIGINT is ignored, and would be by every process that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

hypothesis_settings.register_profile("dev", deadline=None, print_blob=True)
hypothesis_settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True)
hypothesis_settings.register_profile("full", deadline=None, print_blob=True, max_examples=1000)
hypothesis_settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE") or ("full" if FULL else "ci" if os.environ.get("CI") else "dev")
)


def pytest_configure(config: pytest.Config) -> None:
    for line in (
        "logs(*parts): lines at WARNING or above may be logged whose text holds one of `parts`",
        "qt_loop: the coroutine runs on Qt's event loop, wherever its file stands",
    ):
        config.addinivalue_line("markers", line)


# --- what this machine cannot run -------------------------------------------------------------------------------------


def _missing() -> dict[str, tuple[str, str]]:
    """Return, by the fixture that needs it, what is not run here and the Debian packages that add it."""
    missing = {}
    if not desktop.has_qt_libraries():
        missing["qapp"] = ("tests of the window", "libegl1 libgl1 libfontconfig1 libxkbcommon0 libdbus-1-3")
    if not desktop.has_display_server():
        missing["display"] = ("tests with a real window", "xvfb openbox xdotool")
    if not Path(sys.executable).with_name("helm").exists():
        missing["helm"] = ("tests of the chart", "none: Helm's wheel is for Linux on x86-64")
    if not desktop.has_small_disk():
        missing["small_disk"] = ("tests of a full disk", "none: Linux with user namespaces")
    if "redis" not in servers.available():
        missing["tls_server"] = ("tests over TLS", "redis-server")
    if shutil.which("redis-cli") is None:
        missing["redis_cli"] = ("tests with redis-cli", "redis-tools")
    if not desktop.has_secret_service():
        missing["secret_bus"] = ("tests with a real keyring", "dbus gnome-keyring")
    return missing


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    if not desktop.has_qt_libraries():
        pluginmanager.set_blocked("pytest-qt")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    is_window = bool(_QT_FOLDERS & set(collection_path.relative_to(config.rootpath).parts))
    return True if is_window and not desktop.has_qt_libraries() else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    missing = _missing().keys()
    left_out = [item for item in items if missing & set(getattr(item, "fixturenames", ()))]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    not_run = list(_missing().values())
    if "redis" not in servers.available():
        not_run.append(("the same on a second server", "redis-server"))
    if not_run:
        parts = ", ".join(f"{what} ({packages})" for what, packages in not_run)
        terminalreporter.write_line(f"Not run, with the Debian packages that add it: {parts}.")


# --- the event loop ---------------------------------------------------------------------------------------------------


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run coroutines of the window's tests on Qt's loop, as the application does, all others on asyncio's."""
    if _QT_FOLDERS & set(item.path.relative_to(config.rootpath).parts) or item.get_closest_marker("qt_loop"):
        return {"qt": _qt_loop}
    return {"asyncio": asyncio.new_event_loop}


def _qt_loop() -> asyncio.AbstractEventLoop:
    from PySide6.QtWidgets import QApplication  # noqa: TID251 - the tests' composition root

    from hitl_desktop.app.loop import WindowLoop

    application = QApplication.instance()
    assert isinstance(application, QApplication), "the test must have pytest-qt's qapp"
    # Closing a test's last window must not end the loop under the test.
    application.setQuitOnLastWindowClosed(False)
    loop: asyncio.AbstractEventLoop = WindowLoop(application)
    return loop


@pytest.fixture(scope="session")
def qapp_args() -> list[str]:
    """Return what pytest-qt makes its QApplication with: the application's own."""
    from hitl_desktop.widgets.theme import ARGUMENTS

    return list(ARGUMENTS)


@pytest.fixture(autouse=True)
def _qt_application(request: pytest.FixtureRequest) -> None:
    if isinstance(request.node, pytest.Function) and "_asyncio_loop_factory" in request.fixturenames:
        factory = request.node.callspec.params["_asyncio_loop_factory"]
        if factory is _qt_loop:
            request.getfixturevalue("qapp")


# --- a clean environment ----------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give each test a home folder with a path short enough for unix sockets, and `HITL_STATE_DIR` in it."""
    folder = Path(tempfile.mkdtemp(prefix="hitl-"))
    for name in set(os.environ) - _clean(os.environ).keys():
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    monkeypatch.setenv("HITL_STATE_DIR", str(folder / "state"))
    for name in ("CACHE_HOME", "CONFIG_HOME", "DATA_HOME", "RUNTIME_DIR", "STATE_HOME"):
        place = folder / name.lower()
        place.mkdir(mode=0o700)
        monkeypatch.setenv(f"XDG_{name}", str(place))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def full() -> bool:
    """Whether the full counts were asked for (`make test-all`): more rounds, more rows, more examples."""
    return FULL


@pytest.fixture
def seed() -> int:
    """What a walk at random begins with: the number in HITL_TEST_SEED, or one that differs each time."""
    return SEED


# --- unexpected log lines ---------------------------------------------------------------------------------------------


class _Collector(logging.Handler):
    """Keeps what is logged at WARNING or above."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    yield from _without_log_lines(item)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    yield from _without_log_lines(item)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    yield from _without_log_lines(item)
    if _QT_FOLDERS & set(item.path.relative_to(item.config.rootpath).parts):
        # What is left in cycles, the loop with its timers too, must not be taken apart in a later test's worker thread.
        gc.collect()


def _without_log_lines(item: pytest.Item) -> Generator[None]:
    collector = _Collector()
    root = logging.getLogger()
    root.addHandler(collector)
    try:
        yield
    finally:
        root.removeHandler(collector)
    allowed = [part for mark in item.iter_markers("logs") for part in mark.args]
    texts = [f"{record.levelname} {record.name}: {record.getMessage()}" for record in collector.records]
    unexpected = [text for text in texts if not any(part in text for part in allowed)]
    if unexpected:
        pytest.fail("Unexpected log lines:\n" + "\n".join(unexpected), pytrace=False)


# --- servers and screens ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def _servers() -> Iterator[dict[str, servers.Server]]:
    started: dict[str, servers.Server] = {}
    yield started
    for server in started.values():
        server.close()


def _flushed(started: dict[str, servers.Server], kind: str) -> servers.Server:
    if kind not in started:
        started[kind] = servers.Server(kind)
    server = started[kind]
    server.flush()
    return server


@pytest.fixture(params=list(servers.available()))
def server(request: pytest.FixtureRequest, _servers: dict[str, servers.Server]) -> servers.Server:
    """A running, empty server; the test runs once on each kind that this machine has."""
    return _flushed(_servers, request.param)


@pytest.fixture
def valkey(_servers: dict[str, servers.Server]) -> servers.Server:
    """A running, empty server of the kind that is always there, for tests in which the kind does not matter."""
    return _flushed(_servers, "valkey")


@pytest.fixture
def tls_server() -> str:
    """The kind of the server that is built with TLS, which the development tools do not bring."""
    return "redis"


@pytest.fixture
def redis_cli() -> Path:
    """The program by which administrators speak to their servers."""
    found = shutil.which("redis-cli")
    assert found is not None
    return Path(found)


@pytest.fixture(scope="session")
def display() -> Iterator[str]:
    """The name of a virtual display, for `DISPLAY` of a process with a real window."""
    with desktop.virtual_display() as name:
        yield name


@pytest.fixture
def small_disk(home: Path) -> list[str]:
    """The beginning of a command whose process has a disk of 2 MiB at `home / "disk"`, for itself alone."""
    (home / "disk").mkdir()
    return desktop.on_small_disk(home / "disk")


@pytest.fixture
def secret_bus(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a session bus whose secret service, to be started yet, is this process's keyring."""
    import keyring
    from keyring.backends.SecretService import Keyring

    before = keyring.get_keyring()
    with desktop.session_bus(home) as address:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
        monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.SecretService.Keyring")
        keyring.set_keyring(Keyring())  # type: ignore[no-untyped-call]
        yield address
        keyring.set_keyring(before)


@pytest.fixture
def secret_service(secret_bus: str, home: Path) -> Iterator[str]:
    """A real, unlocked, empty secret service as this process's keyring; yields its bus's address."""
    with desktop.secret_service(home, secret_bus):
        yield secret_bus
