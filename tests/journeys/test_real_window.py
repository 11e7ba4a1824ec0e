"""The application as a process of its own with a real window, driven by the keyboard alone."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hitl_desktop.services.encoding import GateRequest
from tests import processes
from tests.gates import ask, gate_request, written
from tests.servers import Server

_PROGRAM = [sys.executable, "-m", "hitl_desktop"]


class Desk:
    """A reviewer's screen and keyboard."""

    def __init__(self, display: str, environment: dict[str, str]) -> None:
        self.environment = {**os.environ, **environment, "DISPLAY": display, "QT_QPA_PLATFORM": "xcb"}

    @contextmanager
    def application(self, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        process = subprocess.Popen([*_PROGRAM, *arguments], env=self.environment)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()

    def windows(self, title: str) -> list[str]:
        told = self._xdotool("search", "--name", f"^{title}$")
        return told.split()

    def until_shown(self, title: str) -> None:
        processes.until(lambda: bool(self.windows(title)), f"a window is titled {title!r}")
        self._xdotool("windowactivate", "--sync", self.windows(title)[0])

    def press(self, *keys: str) -> None:
        self._xdotool("key", "--delay", "40", *keys)

    def write(self, text: str) -> None:
        self._xdotool("type", "--delay", "20", text)

    def _xdotool(self, *words: str) -> str:
        done = subprocess.run(["xdotool", *words], env=self.environment, capture_output=True, text=True, check=False)
        return done.stdout


def decide_by_keyboard(desk: Desk, server: Server, request: GateRequest, tenant: str) -> None:
    """Select the first gate, go to Approve and press it, until the server has the decision."""

    def approved() -> bool:
        desk.press("Escape", "j", "a", "Return")
        return written(server, tenant, request).gate["status"] == "approved"

    processes.until(approved, "the gate is approved")


@pytest.fixture
def environment(home: Path) -> dict[str, str]:
    return {"HITL_STATE_DIR": str(home / "state"), "HITL_REVIEWER": "rev@example.org"}


async def test_launch_switch_approve_and_come_back(
    server: Server, display: str, environment: dict[str, str], qapp: object
) -> None:
    ours, theirs = gate_request("Retry with jitter"), gate_request("Belongs to acme")
    await ask(server.url, "widgets-inc", ours)
    await ask(server.url, "acme-corp", theirs)
    tenancy = {
        "HITL_REDIS_URL": server.url,
        "MULTI_TENANCY_ENABLED": "true",
        "ALLOWED_TENANTS": "acme-corp,widgets-inc",
        "DEFAULT_TENANT_ID": "acme-corp",
    }
    desk = Desk(display, environment | tenancy)
    with desk.application() as process:
        desk.until_shown("acme-corp — HITL Desktop")
        desk.press("ctrl+k")
        desk.write("widgets")
        desk.press("Return")
        desk.until_shown("widgets-inc — HITL Desktop")
        decide_by_keyboard(desk, server, ours, "widgets-inc")
        found = written(server, "widgets-inc", ours)
        assert found.gate["reviewer"] == "rev@example.org"
        assert not found.is_pending
        assert len(found.log) == len(found.audit) == len(found.events) == 1
        assert written(server, "acme-corp", theirs).is_pending
        process.send_signal(signal.SIGKILL)
        process.wait()
    with desk.application() as process:
        desk.until_shown("widgets-inc — HITL Desktop")
        desk.press("ctrl+q")
        assert process.wait(processes.DEADLINE) == 0


def test_a_second_launch_asks_the_first_for_a_window(display: str, environment: dict[str, str]) -> None:
    desk = Desk(display, environment)
    with desk.application("--tenant", "my-team") as first:
        desk.until_shown("my-team — HITL Desktop")
        with desk.application("--tenant", "other-team") as second:
            desk.until_shown("other-team — HITL Desktop")
            assert second.wait(processes.DEADLINE) == 0
        assert desk.windows("my-team — HITL Desktop")
        desk.press("ctrl+q")
        assert first.wait(processes.DEADLINE) == 0


def test_the_demo_opens_with_the_embedded_server(display: str, environment: dict[str, str]) -> None:
    desk = Desk(display, environment)
    with desk.application("demo", "--open") as process:
        desk.until_shown("acme-corp — HITL Desktop")
        desk.press("ctrl+q")
        assert process.wait(processes.DEADLINE) == 0


def test_without_a_display_the_demo_is_listed_instead(environment: dict[str, str]) -> None:
    bare = {name: value for name, value in os.environ.items() if name not in {"DISPLAY", "QT_QPA_PLATFORM"}}
    command = [*_PROGRAM, "demo", "--open"]
    done = subprocess.run(command, env={**bare, **environment}, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stderr == "There is no display, so no window can open. Here are the gates instead.\n"
    assert "Retry with jitter in the payment client" in done.stdout
