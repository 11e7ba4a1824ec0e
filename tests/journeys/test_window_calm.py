"""The window stays calm: nothing jumps, the focus is where the work is, and the tenant is seen on what decides."""

import json
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QPushButton

from hitl_desktop.domain.projection import Queue
from hitl_desktop.domain.tenant import hue
from hitl_desktop.viewmodels.rows import Order
from hitl_desktop.widgets.main_window import MainWindow
from tests.driving import open_gate, open_gate_is, running, summaries, switch
from tests.environments import configured, key_file
from tests.gates import ask, gate_request
from tests.servers import Server
from tests.waiting import until


@pytest.fixture
def environment(home: Path) -> dict[str, str]:
    return {"HITL_STATE_DIR": str(home / "state"), "HITL_REVIEWER": "rev@example.org"}


@pytest.fixture
def held(environment: dict[str, str], home: Path) -> dict[str, str]:
    """The environment in which a decision is kept, and can be undone for long."""
    return environment | {"HITL_KEY_FILE": str(key_file(home)), "HITL_UNDO_SECONDS": "600"}


def within(window: MainWindow) -> bool:
    """Whether the band for undoing lies wholly in the window."""
    middle = window.centralWidget()
    return middle is not None and middle.rect().contains(window.undo_band.geometry())


def selected(window: MainWindow) -> list[int]:
    return [index.row() for index in window.gates.table.selectionModel().selectedRows()]


def approve(window: MainWindow) -> None:
    assert window.review is not None
    window.review.decision.approve.setFocus()
    QTest.keyClick(window.review.decision.approve, Qt.Key.Key_Return)


async def test_the_gate_that_is_open_is_the_row_that_is_selected(valkey: Server, environment: dict[str, str]) -> None:
    await ask(valkey.url, "acme-corp", gate_request("First"), gate_request("Second"))
    async with running(configured(environment, valkey.url)) as window:
        window.activateWindow()
        await open_gate_is(window, "First")
        assert selected(window) == [0]
        window.gates.select_row(1)
        await open_gate_is(window, "Second")
        window.queues.chosen.emit(Queue.PENDING)
        assert selected(window) == [1], "choosing the queue that is shown changes nothing"
        window.queues.chosen.emit(Queue.DECIDED)
        assert selected(window) == []
        window.queues.chosen.emit(Queue.PENDING)
        await open_gate_is(window, "First")
        assert selected(window) == [0]


async def test_a_decision_moves_nothing_and_leaves_the_focus_in_the_list(valkey: Server, held: dict[str, str]) -> None:
    await ask(valkey.url, "acme-corp", gate_request("First"), gate_request("Second"))
    async with running(configured(held, valkey.url)) as window:
        await open_gate(window, "First")
        before = window.gates.geometry(), window.review.geometry() if window.review else None
        approve(window)
        await until(window.undo_band.text, "it can be undone")
        await open_gate_is(window, "Second")
        assert (window.gates.geometry(), window.review.geometry() if window.review else None) == before
        assert window.focusWidget() is window.gates.table
        assert window.undo_band.isVisible()
        assert within(window)
        window.resize(1100, 640)
        assert within(window)
        button = window.undo_band.findChild(QPushButton)
        assert isinstance(button, QPushButton)
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)
        await until(lambda: len(summaries(window)) == 2, "the gate waits again")
        assert not window.undo_band.isVisible()


async def test_the_age_of_the_open_gate_moves_on_and_a_selection_in_it_stays(
    valkey: Server, environment: dict[str, str]
) -> None:
    await ask(valkey.url, "acme-corp", gate_request("First"))
    async with running(configured(environment, valkey.url)) as window:
        await open_gate(window, "First")
        assert window.review is not None
        facts = window.review._facts
        first = facts.text()
        await until(lambda: facts.text() != first, "it is older")
        facts.setText("what was told")
        facts.setSelection(0, 4)
        window.review.tick()
        assert (facts.text(), facts.selectedText()) == ("what was told", "what")
        facts.setSelection(0, 0)
        window.review.tick()
        assert "session-1" in facts.text()


async def test_a_rejection_without_a_reason_leaves_the_focus_in_the_reason(
    valkey: Server, environment: dict[str, str]
) -> None:
    await ask(valkey.url, "acme-corp", gate_request("First"))
    async with running(configured(environment, valkey.url)) as window:
        await open_gate(window, "First")
        assert window.review is not None
        panel = window.review.decision
        panel.reject.setFocus()
        QTest.keyClick(panel.reject, Qt.Key.Key_Return)
        await until(panel.problem.text, "the missing reason is named")
        assert window.focusWidget() is panel.reason


async def test_the_tenants_colour_is_on_both_buttons_and_the_windows_icon(
    valkey: Server, environment: dict[str, str]
) -> None:
    await ask(valkey.url, "widgets-inc", gate_request("Sensors"))
    async with running(configured(environment, valkey.url)) as window:
        await until(lambda: window.windowTitle().startswith("acme-corp"), "the default tenant is shown")
        await switch(window, "widgets-inc")
        await open_gate(window, "Sensors")
        assert window.review is not None
        colour = window.theme.accent(hue("widgets-inc"))
        for button in (window.review.decision.approve, window.review.decision.reject):
            assert button.icon().pixmap(64, 64).toImage().pixelColor(32, 32) == colour
            assert "widgets-inc" in button.text()
        assert window.windowIcon().pixmap(64, 64).toImage().pixelColor(46, 46) == colour


async def test_folding_hands_the_focus_to_what_is_left(valkey: Server, environment: dict[str, str]) -> None:
    await ask(valkey.url, "acme-corp", gate_request("First"))
    async with running(configured(environment, valkey.url)) as window:
        await open_gate(window, "First")
        assert window.review is not None
        window.folding.review_alone()
        assert window.focusWidget() is window.review.evidence.tabs
        window.folding.review_alone()
        assert window.focusWidget() is window.gates.table
        window.folding.fold(window.gates)
        assert window.focusWidget() is window.review.evidence.tabs
        assert window.queues.isVisible()


async def test_documents_make_room_in_a_narrow_window_and_give_it_back(
    valkey: Server, environment: dict[str, str]
) -> None:
    await ask(valkey.url, "acme-corp", gate_request("First"))
    async with running(configured(environment, valkey.url)) as window:
        await open_gate(window, "First")
        assert window.knowledge is not None
        window.resize(1024, 700)
        window.toggle_knowledge()
        await until(lambda: window.knowledge and window.knowledge.isVisible(), "the documents are shown")
        assert window.width() == 1024
        assert window.minimumSizeHint().width() <= 1024
        assert not window.gates.isVisible()
        window.toggle_knowledge()
        assert window.gates.isVisible()
        assert window.queues.isVisible()
        assert window.focusWidget() is window.gates.table
        window.resize(1440, 900)
        window.toggle_knowledge()
        assert window.gates.isVisible()


async def test_queue_type_order_and_scroll_are_remembered_for_each_tenant(
    valkey: Server, environment: dict[str, str]
) -> None:
    gates = [gate_request(f"Plan {number:02}", gate_type="hitl_3_plan") for number in range(40)]
    await ask(valkey.url, "acme-corp", *gates, gate_request("A change"))
    async with running(configured(environment, valkey.url)) as window:
        await until(lambda: len(summaries(window)) == 41, "all gates are listed")
        pane = window.gates
        pane._order.setCurrentText(Order.NEWEST.value)
        pane._order.activated.emit(pane._order.currentIndex())
        pane._type.setCurrentIndex(pane._type.findData("plan"))
        pane._type.activated.emit(pane._type.currentIndex())
        await open_gate(window, "Plan 20")
        pane.table.verticalScrollBar().setValue(600)
        left = pane.place()
        assert (left.order, left.gate_type, left.scroll) == (Order.NEWEST, "plan", 600)
        await switch(window, "widgets-inc")
        await until(lambda: summaries(window) == [], "the other tenant has none")
        assert (pane._type.currentData(), pane._order.currentText()) == (None, Order.WAITING.value)
        await switch(window, "acme-corp")
        await open_gate_is(window, "Plan 20")
        assert pane.place() == left
        window.queues.chosen.emit(Queue.DECIDED)
        await switch(window, "widgets-inc")
        await switch(window, "acme-corp")
        assert pane.place().queue is Queue.DECIDED


async def test_a_foreign_event_is_shown_in_quarantine_and_its_gate_still_listed(
    valkey: Server, environment: dict[str, str]
) -> None:
    request = gate_request("Announced for somebody else")
    await ask(valkey.url, "acme-corp", request)
    events = "tenant:acme-corp:asdlc:events"
    valkey.run("DEL", events)
    metadata = json.dumps({"request_id": request.request_id})
    valkey.run("XADD", events, "*", "_init", "true", "timestamp", "x")
    for tenant in ([], ["tenant_id", "widgets-inc"]):
        fields = ["event_type", "gate_approved", "session_id", "s", "timestamp", "t", "mode", "normal", *tenant]
        valkey.run("XADD", events, "*", *fields, "metadata", metadata)
    async with running(configured(environment, valkey.url)) as window:
        await until(lambda: summaries(window) == ["Announced for somebody else"], "its gate is listed")
        await until(lambda: window._view and window._view.gates.count(Queue.QUARANTINE) == 2, "both are counted")
        window.queues.chosen.emit(Queue.QUARANTINE)
        assert window.review is not None
        assert window.review._title.text() == "the event names no tenant"
        window.gates.select_row(1)
        assert window.review._title.text() == "the event names another tenant than its stream"
        assert window.review.evidence.text.row_text(1) == "session_id: s"
    assert valkey.run("HGET", f"tenant:acme-corp:asdlc:gate_request:{request.request_id}", "status") == b"pending"
