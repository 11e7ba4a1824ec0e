"""Applications that are started, told on, and killed; and what they were told to have decided."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from hitl_desktop.domain.outbox import OutboxEntry
from hitl_desktop.settings import read_settings
from hitl_desktop.store.tenant_store import open_tenant_store
from hitl_desktop.tenancy import TenantNames
from tests import processes
from tests.environments import keeping
from tests.gates import TENANT
from tests.servers import Server

Figures = Callable[[str], None]

ROOT = Path(__file__).parent.parent.parent


def settings_of(home: Path, server: Server, url: str = "") -> dict[str, str]:
    """Return the environment of an application with a store of its own on `server`, or on what stands before it."""
    return {**os.environ, **keeping(home, url or server.url, HITL_UNDO_SECONDS="0")}


class Nursery:
    """The parent of applications: each is a process of its own, begun without waiting for its imports."""

    def __init__(self, home: Path, *scripts: str) -> None:
        self._complaints = home / "complaints"
        self._lives: dict[str, Life] = {}
        modules = [f"tests.faults.{script}" for script in scripts]
        with self._complaints.open("wb") as complaints:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.nursery", *modules],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
                text=True,
            )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _where: object) -> None:
        if error is not None and self.complaints:
            error.add_note(self.complaints)
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.close()
        self._process.wait(processes.DEADLINE)
        self._reader.join()
        stdout.close()

    @property
    def complaints(self) -> str:
        """What the applications wrote to standard error: unexpected log lines, and what ended them."""
        lines = self._complaints.read_text().splitlines(keepends=True)
        return "".join(line for line in lines if not line.startswith("This plugin does not support"))

    def born(self, script: str, environment: Mapping[str, str], *arguments: str) -> "Life":
        """Start one application."""
        name = f"life-{len(self._lives)}"
        life = self._lives[name] = Life()
        birth = {"name": name, "module": f"tests.faults.{script}", "environment": dict(environment)}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({**birth, "arguments": arguments}) + "\n")
        self._process.stdin.flush()
        return life

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            name, told = line.rstrip("\n").split(" ", 1)
            self._lives[name].lines.append(told)


class Life:
    """One application; `lines` is what it has said so far."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    @property
    def has_ended(self) -> bool:
        """Whether it has ended, and all that it said is known."""
        return bool(self.lines) and self.lines[-1].startswith("ended")

    @property
    def acknowledged(self) -> dict[str, str]:
        """The decisions it has told of so far: their ids, and their gates'."""
        return dict(line.split() for line in self._told("decided"))

    def _told(self, what: str) -> list[str]:
        return [line.removeprefix(f"{what} ") for line in tuple(self.lines) if line.startswith(f"{what} ")]

    def up(self) -> Self:
        """Wait until it works."""
        self.heard("up")
        return self

    def heard(self, word: str) -> None:
        """Wait until it has said `word`."""
        processes.until(lambda: word in self.lines or self.has_ended, f"the application says {word!r}")
        assert word in self.lines

    def kill(self) -> None:
        """End it at once, and take in what it said until then."""
        processes.until(lambda: bool(self._told("pid")), "the application has begun")
        if not self.has_ended:
            with suppress(ProcessLookupError):
                os.kill(int(self._told("pid")[0]), signal.SIGKILL)
        self.ended()

    def ended(self, within: float = processes.DEADLINE) -> str:
        """Wait until it has ended, and return its exit status."""
        processes.until(lambda: self.has_ended, "the application has ended", within=within)
        return self.lines[-1].removeprefix("ended ")


def hitl_desktop(environment: Mapping[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """Run one verb of the command line as a process of its own."""
    return subprocess.run(command(*words), env=dict(environment), capture_output=True, text=True, check=False)


def command(*words: str) -> Sequence[str]:
    """Return the command line's words."""
    return [sys.executable, "-m", "hitl_desktop", *words]


def outbox_rows(environment: Mapping[str, str], tenant: str | None = TENANT) -> list[OutboxEntry]:
    """Return what stands in the outbox on disk: all that is not delivered."""
    store = open_tenant_store(read_settings(environment), TenantNames(tenant))
    try:
        return store.outbox.entries()
    finally:
        store.close()
