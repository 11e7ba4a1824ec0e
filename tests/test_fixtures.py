"""The tests' own ground: servers, environment, event loops, log lines."""

import asyncio
import logging
import os
import subprocess
import sys
from pathlib import Path

import keyring
import keyring.errors
import pytest
import redis

from tests import processes
from tests.servers import Server, available

ROOT = Path(__file__).parent.parent


def _reachable(server: Server) -> bool:
    try:
        with redis.Redis.from_url(server.url, retry=None, socket_timeout=2) as client:
            return bool(client.ping())
    except redis.ConnectionError:
        return False


def test_a_server_answers_at_both_addresses(server: Server) -> None:
    assert _reachable(server)
    with redis.Redis.from_url(server.unix_url) as client:
        assert client.ping()
        assert client.dbsize() == 0
    assert len(os.fsencode(server.socket)) < 100


def test_an_offline_server_refuses_connections_and_comes_back_with_its_data(server: Server) -> None:
    server.run("SET", "kept", "1")
    before = server.pid
    with server.offline():
        assert not _reachable(server)
    assert _reachable(server)
    assert server.run("GET", "kept") == b"1"
    assert server.pid != before


def test_a_restarted_server_keeps_data_and_forgets_scripts(server: Server) -> None:
    server.run("SET", "kept", "1")
    sha = server.run("SCRIPT", "LOAD", "return 1")
    server.restart()
    assert server.run("GET", "kept") == b"1"
    assert server.run("SCRIPT", "EXISTS", sha) == [0]


def test_a_killed_server_comes_back_empty(server: Server) -> None:
    server.run("SET", "first", "1")
    server.restart()
    server.kill()
    assert not server.is_running
    server.start()
    assert server.run("DBSIZE") == 0


def test_flushing_undoes_what_a_test_did_to_the_server(server: Server) -> None:
    server.run("ACL", "SETUSER", "somebody", "on", "nopass")
    server.run("CONFIG", "SET", "requirepass", "secret")
    server.run("SET", "left", "1")
    server.run("FUNCTION", "LOAD", "#!lua name=one\nredis.register_function('f', function() return 1 end)")
    server.kill()
    server.flush()
    assert _reachable(server)
    assert server.run("DBSIZE") == 0
    assert server.run("FUNCTION", "LIST") == []
    assert b"somebody" not in server.run("ACL", "USERS")


def test_servers_end_with_the_tests_even_when_those_are_killed(home: Path) -> None:
    script = "from tests.servers import Server; s = Server('valkey'); s.start(); print(s.pid, flush=True); input()"
    tests = subprocess.Popen(
        [sys.executable, "-c", script],
        env={**os.environ, "TMPDIR": str(home)},
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with tests:
        assert tests.stdout is not None
        server = int(tests.stdout.readline())
        tests.kill()
    processes.until(lambda: not _is_alive(server), "the orphan is gone")


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{process}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


def test_nothing_of_the_machine_leads_the_application_astray(home: Path) -> None:
    assert Path.home() == home
    assert [name for name in os.environ if name.startswith(("HITL_", "REDIS_"))] == ["HITL_STATE_DIR"]
    assert Path(os.environ["HITL_STATE_DIR"]).parent == home
    with pytest.raises(keyring.errors.NoKeyringError):
        keyring.set_password("service", "user", "secret")


async def test_a_coroutine_runs_on_the_plain_loop() -> None:
    assert isinstance(asyncio.get_running_loop(), asyncio.SelectorEventLoop)


@pytest.mark.qt_loop
async def test_a_marked_coroutine_runs_on_qts_loop(qapp: object) -> None:
    import qasync
    from PySide6.QtGui import QGuiApplication

    loop = asyncio.get_running_loop()
    assert isinstance(loop, qasync.QEventLoop)
    assert QGuiApplication.platformName() == "offscreen"
    assert await loop.run_in_executor(None, lambda: 1) == 1


def test_a_real_window_has_a_display(qapp: object, display: str) -> None:
    environment = {**os.environ, "DISPLAY": display, "QT_QPA_PLATFORM": "xcb"}
    script = "from PySide6.QtGui import QGuiApplication as A; print(A([]).primaryScreen().size().width())"
    shown = subprocess.run(
        [sys.executable, "-c", script], env=environment, check=True, capture_output=True, text=True, timeout=60
    )
    assert shown.stdout.strip() == "1600"


def test_a_real_secret_service_keeps_secrets(secret_service: str) -> None:
    keyring.set_password("service", "user", "secret")
    assert keyring.get_password("service", "user") == "secret"
    keyring.delete_password("service", "user")


@pytest.mark.logs("is expected")
def test_an_allowed_log_line_costs_nothing() -> None:
    logging.getLogger("hitl_desktop").warning("This is expected")


def test_an_unexpected_log_line_fails_its_test_alone(tmp_path: Path) -> None:
    output = _inner_run(tmp_path, "sync")
    assert "1 failed, 2 passed" in output
    assert "ERROR anything: out of order" in output
    assert "LOOP asyncio" in output


@pytest.mark.parametrize("folder", ["widgets", "viewmodels", "journeys"])
def test_coroutines_of_the_window_run_on_qts_loop(qapp: object, tmp_path: Path, folder: str) -> None:
    assert "LOOP hitl_desktop.app.loop" in _inner_run(tmp_path, folder)


def _inner_run(root: Path, folder: str) -> str:
    (root / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    (root / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\nqt_api = pyside6\n")
    (root / folder).mkdir()
    (root / folder / "test_one.py").write_text(
        "import asyncio, logging\n"
        "async def test_loop():\n    print('LOOP', type(asyncio.get_running_loop()).__module__)\n"
        "def test_loud():\n    logging.getLogger('anything').error('out of order')\n"
        "def test_calm():\n    logging.getLogger('anything').info('all is well')\n"
    )
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-rP", "-p", "no:randomly", root],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=root,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return run.stdout


def test_the_server_that_comes_with_the_tools_is_always_there() -> None:
    assert "valkey" in available()
