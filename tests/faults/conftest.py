"""A server that outlives a kill, and the seed of what is random."""

from collections.abc import Generator, Iterator
from random import Random

import pytest

from tests.faults.lives import Figures
from tests.seeds import BRINGS_BACK
from tests.servers import Server


@pytest.fixture
def lasting() -> Iterator[Server]:
    """A running, empty server that writes every command to its file before it answers."""
    server = Server("valkey", append_only=True)
    server.start()
    yield server
    server.close()


@pytest.fixture
def random(seed: int) -> Random:
    """Where random points come from."""
    return Random(seed)  # noqa: S311 - spreads kills, guards nothing


_FIGURES = pytest.StashKey[list[str]]()


@pytest.fixture
def figures(pytestconfig: pytest.Config, *, full: bool) -> Figures:
    """Takes a line about what was proved, to be shown at the end where the full counts were asked for."""
    lines = pytestconfig.stash.setdefault(_FIGURES, [])
    return lines.append if full else lambda _line: None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash.get(_FIGURES, []):
        terminalreporter.write_line(f"Proved: {line}.")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and "random" in getattr(item, "fixturenames", ()):
        report.sections.append(("seed", BRINGS_BACK))
    return report
