from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QCursor
from PySide6.QtWidgets import QApplication, QTableView
from pytestqt.qtbot import QtBot

from hitl_desktop.domain.decision import Decision, Verdict
from hitl_desktop.domain.evidence import EvidenceBundle
from hitl_desktop.domain.gate import Gate, GateStatus
from hitl_desktop.domain.outbox import Cause, OutboxEntry, OutboxState
from hitl_desktop.widgets.gate_delegate import GateDelegate
from hitl_desktop.widgets.gate_pane import GatePane
from hitl_desktop.widgets.theme import Theme

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "state", "cause", "told"),
    [
        (GateStatus.APPROVED, OutboxState.DELIVERED, Cause.NONE, "approved · 1 h ago"),
        (GateStatus.APPROVED, None, Cause.NONE, "approved · 1 h ago"),
        (GateStatus.PENDING, OutboxState.DELIVERED, Cause.NONE, "approved"),
        (GateStatus.PENDING, OutboxState.QUEUED, Cause.NONE, "approved · queued"),
        (GateStatus.PENDING, OutboxState.QUEUED, Cause.CREDENTIALS, "approved · no login"),
        (GateStatus.REJECTED, OutboxState.CONFLICT, Cause.CHANGED, "approved · conflict"),
        (GateStatus.PENDING, None, Cause.NONE, ""),
    ],
)
def test_a_row_says_each_thing_once(
    status: GateStatus, state: OutboxState | None, cause: Cause, told: str, qapp: QApplication
) -> None:
    gate = Gate("r", "t", "s", "hitl_4_code", status, "b", "x", NOW, EvidenceBundle("b", "A gate", (), {}))
    if status is not GateStatus.PENDING:
        gate = gate._replace(decided_at=NOW - timedelta(hours=1))
    entry = None
    if state is not None:
        entry = OutboxEntry(
            Decision("d", "r", "b", "0" * 64, Verdict.APPROVED, "me", NOW), gate, "here", state, cause=cause
        )
    view = QTableView()
    note, _colour = GateDelegate(Theme.light(), view)._note(gate, NOW, entry)
    assert note.partition(" ")[2] == told


@pytest.fixture
def cursor(qapp: QApplication) -> Iterator[type[QCursor]]:
    """Give the mouse, and put it back where it was: the windows of other tests may look otherwise under it."""
    before = QCursor.pos()
    yield QCursor
    QCursor.setPos(before)


def test_the_selected_row_and_the_one_under_the_mouse_have_grounds_of_their_own(
    qtbot: QtBot, cursor: type[QCursor]
) -> None:
    theme, pane = Theme.light().for_hue(5), GatePane(Theme.light())
    qtbot.addWidget(pane)
    pane.resize(400, 500)
    gates = [
        Gate(f"r{number}", "t", "s", "hitl_4_code", GateStatus.PENDING, "b", "x", NOW, EvidenceBundle("b", "", (), {}))
        for number in range(3)
    ]
    pane.show_kept(gates, 5)
    with qtbot.waitExposed(pane):
        pane.show()
    pane.select_row(1)
    viewport = pane.table.viewport()
    places = [pane.table.visualRect(pane.table.model().index(row, 0)).topRight() + QPoint(-5, 3) for row in range(3)]
    # No event comes between these and the pictures, so that no other window's leaving or entering counts.
    cursor.setPos(viewport.mapToGlobal(places[2]))
    pane.table.setAttribute(Qt.WidgetAttribute.WA_UnderMouse)

    def grounds() -> list[str]:
        image = viewport.grab().toImage()
        return [image.pixelColor(place).name() for place in places]

    tokens = theme.tokens
    assert grounds() == [tokens.window.name(), tokens.selection.name(), tokens.hover.name()]
