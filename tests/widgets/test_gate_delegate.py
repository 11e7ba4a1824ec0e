from datetime import UTC, datetime, timedelta

import pytest
from PySide6.QtWidgets import QApplication, QWidget

from hitl_desktop.domain.decision import Decision, Verdict
from hitl_desktop.domain.evidence import EvidenceBundle
from hitl_desktop.domain.gate import Gate, GateStatus
from hitl_desktop.domain.outbox import Cause, OutboxEntry, OutboxState
from hitl_desktop.widgets.gate_delegate import GateDelegate
from hitl_desktop.widgets.theme import Theme

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "state", "cause", "told"),
    [
        (GateStatus.APPROVED, OutboxState.DELIVERED, Cause.NONE, "approved · 1 h ago"),
        (GateStatus.APPROVED, None, Cause.NONE, "approved · 1 h ago"),
        (GateStatus.PENDING, OutboxState.DELIVERED, Cause.NONE, "approved"),
        (GateStatus.PENDING, OutboxState.QUEUED, Cause.NONE, "approved · queued"),
        (GateStatus.PENDING, OutboxState.QUEUED, Cause.CREDENTIALS, "approved · login refused"),
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
    parent = QWidget()
    note, _colour = GateDelegate(Theme.light(), parent)._note(gate, NOW, entry)
    assert note.partition(" ")[2] == told
