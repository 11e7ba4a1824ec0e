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
import qasync
import redis
from PySide6.QtGui import QGuiApplication

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
    assert not isinstance(asyncio.get_running_loop(), qasync.QEventLoop)


@pytest.mark.qt_loop
async def test_a_marked_coroutine_runs_on_qts_loop() -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, qasync.QEventLoop)
    assert QGuiApplication.platformName() == "offscreen"
    assert await loop.run_in_executor(None, lambda: 1) == 1


def test_a_real_window_has_a_display(display: str) -> None:
    environment = {**os.environ, "DISPLAY": display, "QT_QPA_PLATFORM": "xcb"}
    script = "from PySide6.QtGui import QGuiApplication as A; print(A([]).primaryScreen().size().width())"
    shown = subprocess.run(
        [sys.executable, "-c", script], env=environment, check=True, capture_output=True, text=True, timeout=60
    )
    assert shown.stdout.strip() == "1600"


@pytest.mark.logs("is expected")
def test_an_allowed_log_line_costs_nothing() -> None:
    logging.getLogger("hitl_desktop").warning("This is expected")


@pytest.mark.parametrize("folder", ["widgets", "viewmodels", "journeys", "sync"])
def test_log_lines_and_loops_in_a_run_of_their_own(tmp_path: Path, folder: str) -> None:
    (tmp_path / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\nqt_api = pyside6\n")
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "test_one.py").write_text(
        "import asyncio, logging\n"
        "async def test_loop():\n    print('LOOP', type(asyncio.get_running_loop()).__module__)\n"
        "def test_loud():\n    logging.getLogger('anything').error('out of order')\n"
        "def test_calm():\n    logging.getLogger('anything').info('all is well')\n"
    )
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-rP", "-p", "no:randomly", tmp_path],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "1 failed, 2 passed" in run.stdout
    assert "ERROR anything: out of order" in run.stdout
    assert ("LOOP qasync" in run.stdout) == (folder != "sync")


def test_the_server_that_comes_with_the_tools_is_always_there() -> None:
    assert "valkey" in available()
