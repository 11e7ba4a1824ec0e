"""The list is there at once: kept gates show before the session opens, and stay where they are when it does."""

import os
from pathlib import Path

import pytest

from hitl_desktop.app.first_rows import RowsReader
from hitl_desktop.domain.gate import Gate
from hitl_desktop.settings import read_settings
from hitl_desktop.store.first_rows import FirstRows, read_first_rows
from hitl_desktop.widgets.main_window import MainWindow
from tests.driving import open_gate, running, summaries, switch
from tests.environments import keeping
from tests.gates import ask, gate_request
from tests.servers import Server
from tests.waiting import until


@pytest.fixture
def environment(home: Path, valkey: Server) -> dict[str, str]:
    return keeping(home, valkey.url, HITL_UNDO_SECONDS="600")


def kept(environment: dict[str, str], tenant: str = "acme-corp") -> tuple[Gate, ...]:
    found = read_first_rows(read_settings(environment), tenant)
    assert found.tenant_id == tenant
    return found.gates


async def told_by_a_process(environment: dict[str, str], wanted: str | None) -> FirstRows:
    """Return what a process of its own reads."""
    told: list[FirstRows] = []
    reader = RowsReader(read_settings(environment), wanted, environment)
    reader.follow(told.append)
    await until(lambda: told, "they are read")
    assert not reader.is_reading
    reader.end()
    return told[0]


async def keep_two(valkey: Server, environment: dict[str, str]) -> None:
    await ask(valkey.url, "acme-corp", gate_request("Retry with jitter"), gate_request("Event schema"))
    async with running(environment) as window:
        await until(lambda: len(summaries(window)) == 2, "both gates are listed")
        await until(lambda: window._view is not None and window._view.kept == (2, 2), "their evidence is kept")


async def test_first_rows_are_those_that_wait_longest_first(valkey: Server, environment: dict[str, str]) -> None:
    await keep_two(valkey, environment)
    assert [gate.summary for gate in kept(environment)] == ["Retry with jitter", "Event schema"]
    assert kept(environment, "widgets-inc") == ()
    assert not list(read_settings(environment).stores_dir.glob("*widgets-inc.db"))


async def test_a_gate_that_was_decided_here_is_not_among_them(valkey: Server, environment: dict[str, str]) -> None:
    await keep_two(valkey, environment)
    with valkey.offline():
        async with running(environment | {"HITL_UNDO_SECONDS": "0"}) as window:
            await open_gate(window, "Retry with jitter")
            assert window.review is not None
            window.review.decision.approve.click()
            await until(lambda: summaries(window) == ["Event schema"], "the decided gate has left")
        assert [gate.summary for gate in kept(environment)] == ["Event schema"]


async def test_without_the_key_there_are_none(valkey: Server, environment: dict[str, str], home: Path) -> None:
    await keep_two(valkey, environment)
    (home / "key").write_bytes(os.urandom(32))
    assert kept(environment) == ()
    store = next(read_settings(environment).stores_dir.glob("*acme-corp.db"))
    store.write_bytes(b"damaged")
    assert kept(environment) == ()
    assert store.read_bytes() == b"damaged"


async def test_a_process_reads_them_for_the_window_that_was_open(valkey: Server, environment: dict[str, str]) -> None:
    await keep_two(valkey, environment)
    told = await told_by_a_process(environment | {"DEFAULT_TENANT_ID": "widgets-inc"}, None)
    assert told == FirstRows("acme-corp", kept(environment))
    assert [gate.summary for gate in told.gates] == ["Retry with jitter", "Event schema"]


@pytest.mark.parametrize("wanted", ["not-listed", "Not A Tenant", "--help"])
async def test_nothing_is_read_of_a_tenant_that_is_not_allowed(
    valkey: Server, environment: dict[str, str], wanted: str
) -> None:
    await keep_two(valkey, environment)
    assert await told_by_a_process(environment, wanted) == FirstRows()


async def test_where_nothing_is_kept_no_process_is_started(environment: dict[str, str]) -> None:
    told: list[FirstRows] = []
    reader = RowsReader(read_settings(environment), None, environment | {"PATH": "", "HITL_STATE_DIR": "/nowhere"})
    assert not reader.is_reading
    reader.follow(told.append)
    assert told == [FirstRows()]


async def test_a_reader_that_is_ended_tells_of_no_rows(valkey: Server, environment: dict[str, str]) -> None:
    await keep_two(valkey, environment)
    told: list[FirstRows] = []
    reader = RowsReader(read_settings(environment), None, environment)
    reader.end()
    reader.follow(told.append)
    await until(lambda: told, "it is answered")
    assert told in ([FirstRows()], [FirstRows("acme-corp", kept(environment))])


async def test_the_list_and_the_selection_stay_when_the_session_opens(
    valkey: Server, environment: dict[str, str]
) -> None:
    await keep_two(valkey, environment)
    seen: list[int] = []

    def show(window: MainWindow) -> None:
        window.show_kept(FirstRows("acme-corp", kept(environment)))
        assert summaries(window) == ["Retry with jitter", "Event schema"]
        assert window.windowTitle().startswith("acme-corp")
        window.gates.select_row(1)

    async with running(environment, before=show) as window:

        def is_open() -> bool:
            seen.append(len(summaries(window)))
            return window._view is not None

        await until(is_open, "the session is open")
        assert set(seen) == {2}
        assert window.gates.table.currentIndex().row() == 1
        await until(lambda: window.review is not None and window.review.decision.approve.isEnabled(), "it is open, too")


async def test_what_was_told_before_the_session_opens_stays_on_the_screen(
    valkey: Server, environment: dict[str, str]
) -> None:
    async with running(environment, before=lambda window: window.show_problem("Something is to be known.")) as window:
        await until(lambda: window._view is not None, "the session is open")
        assert window.notice.text() == "Something is to be known."
        await switch(window, "widgets-inc")
        assert window.notice.text() == ""
