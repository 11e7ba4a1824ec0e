import asyncio
import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest
import redis

from hitl_desktop.local import FolderUnusable, open_workspace
from tests import processes

_SCRIPT = Path(__file__).with_name("user_of_workspace.py")


class User:
    """A process that uses the workspace at `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, _SCRIPT, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.url = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()

    def ready(self) -> Self:
        self.url = self.answer()["url"]
        return self

    def tell(self, line: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return self.answer()

    def leave(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(processes.DEADLINE)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def rest(self) -> list[dict[str, Any]]:
        """Return the answers that a process had given when it ended; half a line was none."""
        assert self.process.stdout is not None
        return [json.loads(line) for line in self.process.stdout if line.endswith("\n")]


@pytest.fixture
def folder(home: Path) -> Iterator[Path]:
    path = home / "workspace"
    yield path
    processes.until(lambda: server_pid(path) is None, "the workspace's server has ended")


def server_pid(folder: Path) -> int | None:
    return _alive(folder / "redis" / "server.pid", "valkey-server")


def supervisor_pid(folder: Path) -> int | None:
    return _alive(folder / "supervisor.pid", "supervise-workspace")


def _alive(file: Path, word: str) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        pid = int(file.read_text())
        if word.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
    return None


def open_to_others(folder: Path) -> list[Path]:
    return [path for path in (folder, *folder.rglob("*")) if stat.S_IMODE(path.stat().st_mode) & 0o077]


def client(url: str) -> contextlib.closing[redis.Redis]:
    return contextlib.closing(redis.Redis.from_url(url))


def run_id(url: str) -> str:
    with client(url) as server:
        told: Any = server.info("server")
        return str(told["run_id"])


def test_everybody_finds_the_same_server_and_it_ends_with_the_last(folder: Path) -> None:
    with User(folder) as first, User(folder) as second:
        assert run_id(first.ready().url) == run_id(second.ready().url)
        first.leave()
        assert run_id(second.url)
        second.leave()
    processes.until(lambda: server_pid(folder) is None, "the server has ended")
    processes.until(lambda: supervisor_pid(folder) is None, "the supervisor has ended")


@pytest.mark.parametrize("first_killed", [0, 1])
def test_the_server_outlives_the_first_user_killed_and_ends_with_the_second(folder: Path, first_killed: int) -> None:
    with User(folder) as one, User(folder) as other:
        users = [one.ready(), other.ready()]
        running = server_pid(folder)
        users.pop(first_killed).kill()
        with client(users[0].url) as server:
            assert server.ping()
        assert server_pid(folder) == running
        users[0].kill()
        processes.until(lambda: server_pid(folder) is None, "the server has ended")


def test_what_was_written_is_there_at_the_next_launch(folder: Path) -> None:
    with User(folder) as user:
        with client(user.ready().url) as server:
            server.set("kept", "yes")
        user.kill()
    processes.until(lambda: server_pid(folder) is None, "the server has ended")
    with User(folder) as user, client(user.ready().url) as server:
        assert server.get("kept") == b"yes"


def test_many_at_once_start_one_server(folder: Path) -> None:
    with contextlib.ExitStack() as stack:
        users = [stack.enter_context(User(folder)) for _ in range(8)]
        assert len({run_id(user.ready().url) for user in users}) == 1


async def test_a_killed_server_is_started_again_with_its_data(folder: Path) -> None:
    async with open_workspace(folder) as workspace:
        with client(workspace.redis_url) as server:
            server.set("kept", "yes")
        before = server_pid(folder)
        assert before is not None
        os.kill(before, signal.SIGKILL)
        processes.until(lambda: server_pid(folder) != before, "the server is dead")
        await workspace.ensure_server()
        with client(workspace.redis_url) as server:
            assert server.get("kept") == b"yes"


async def test_a_killed_supervisor_leaves_no_orphan(folder: Path) -> None:
    async with open_workspace(folder) as workspace:
        with client(workspace.redis_url) as server:
            server.set("kept", "yes")
        orphan, supervisor = server_pid(folder), supervisor_pid(folder)
        assert supervisor is not None
        os.kill(supervisor, signal.SIGKILL)
        processes.until(lambda: server_pid(folder) != orphan, "the server has ended with its supervisor")
        await workspace.ensure_server()
        with client(workspace.redis_url) as server:
            assert server.get("kept") == b"yes"


async def test_somebody_who_comes_as_the_last_one_leaves_still_finds_a_server(folder: Path) -> None:
    for _ in range(5):
        async with open_workspace(folder) as workspace:
            with client(workspace.redis_url) as server:
                assert server.ping()


async def test_a_long_path_gets_a_private_short_socket_that_is_found_again(home: Path) -> None:
    folder = home / ("long-" * 20) / "workspace"
    found = set()
    for _ in range(2):
        async with open_workspace(folder) as workspace:
            found.add(workspace.redis_url)
            socket = Path(workspace.redis_url.removeprefix("unix://"))
            assert len(os.fsencode(socket)) <= 100
            assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
            with client(workspace.redis_url) as server:
                assert server.ping()
    assert len(found) == 1
    processes.until(lambda: server_pid(folder) is None, "the server has ended")


async def test_everything_is_private_to_the_account(folder: Path) -> None:
    async with open_workspace(folder) as workspace:
        await workspace.record_tenant("acme-corp")
        assert await asyncio.to_thread(open_to_others, folder) == []


def test_one_process_owns_chroma_and_after_its_kill_the_next_has_all_that_it_wrote(folder: Path) -> None:
    with User(folder) as owner, User(folder) as other:
        assert owner.ready().tell("chroma") == {"owned": True}
        assert other.ready().tell("chroma") == {"owned": False}
        written = [owner.tell("write acme-corp")["written"]]
        written += [owner.answer()["written"] for _ in range(40)]
        owner.kill()
        written += [answer["written"] for answer in owner.rest()]
        assert other.tell("chroma") == {"owned": True}
        found = other.tell("read acme-corp")["found"]
        assert set(written) <= set(found)
        assert len(found) - len(written) in {0, 1}, "beyond what it told, only what it was writing is there"
        assert owner.process.returncode == -signal.SIGKILL


def test_tenants_recorded_at_once_are_all_kept_in_their_order(folder: Path) -> None:
    with contextlib.ExitStack() as stack:
        users = [stack.enter_context(User(folder)).ready() for _ in range(4)]
        for number, user in enumerate(users):
            user.tell(f"record tenant-{number}")
        for user in users:
            user.tell("record last")
        kept = json.loads((folder / "workspace.json").read_text())["tenants"]
        assert kept == ["tenant-0", "tenant-1", "tenant-2", "tenant-3", "last"]


async def test_a_folder_that_cannot_be_used_is_one_sentence(home: Path) -> None:
    (home / "file").write_text("in the way")
    with pytest.raises(FolderUnusable, match=r"cannot be used .* HITL_STATE_DIR"):
        async with open_workspace(home / "file" / "workspace"):
            pass


async def test_a_damaged_record_counts_as_none(folder: Path) -> None:
    async with open_workspace(folder) as workspace:
        await workspace.record_tenant("acme-corp")
    (folder / "workspace.json").write_text("{damaged")
    async with open_workspace(folder) as workspace:
        assert workspace.tenants == ()
        await asyncio.gather(workspace.record_tenant("one"), workspace.record_tenant("two"))
        assert set(workspace.tenants) <= {"one", "two"}
    assert set(json.loads((folder / "workspace.json").read_text())["tenants"]) == {"one", "two"}
