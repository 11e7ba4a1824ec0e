"""A decision that is on its way, or could not be delivered: both sides, and the ways on."""

from datetime import UTC, datetime
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFileDialog, QFrame, QGridLayout, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from hitl_desktop.domain.gate import Gate, GateStatus
from hitl_desktop.domain.outbox import Cause, OutboxEntry, OutboxState
from hitl_desktop.widgets.labels import label
from hitl_desktop.widgets.words import exact, one_line

_HEADINGS = {
    OutboxState.QUEUED: "Your decision is queued",
    OutboxState.SENDING: "Your decision is being sent",
    OutboxState.UNKNOWN: "Your decision was sent, and the answer was lost",
    OutboxState.CONFLICT: "Your decision was not written",
    OutboxState.EXPIRED: "Your decision came too late",
    OutboxState.REFUSED: "The server refused your decision",
}
_CAUSES = {
    Cause.CREDENTIALS: "Your login did not work, so your decision waits",
    Cause.NOT_ALLOWED: "You may no longer work for this tenant",
    Cause.OVERTAKEN: "Your decision was not sent",
    Cause.DAMAGED: "Your decision was not sent",
}
_UNKNOWN = "The server is asked whether it has it, by the decision's id, as soon as it can be reached."
_UNASKED = "Whether the server has it cannot be asked while the tenant is not allowed; it is asked once it is again."
_NOT_ASKED = "It is not asked: nothing is read from or written to a tenant that is not allowed."
_DIGEST_SHOWN = 12


class ConflictCard(QFrame):
    """Stands where the decision is made, while the reviewer's own decision about the gate still counts.

    With `local`, the tenant may not be worked for: only what needs no server is offered.

    Signals: `accepted` the server's side stands, `again` to review anew, `withdrawn` to take it back, `retried`,
    `sent_now`, `then_wanted` and `now_wanted` for the evidence, and `exported` with the file's path.
    """

    accepted = Signal()
    again = Signal()
    withdrawn = Signal()
    retried = Signal()
    sent_now = Signal()
    then_wanted = Signal()
    now_wanted = Signal()
    exported = Signal(object)

    def __init__(self, parent: QWidget | None = None, *, local: bool = False) -> None:
        super().__init__(parent)
        self.setObjectName("decision")
        self._is_local = local
        self._entry: OutboxEntry | None = None
        self._heading = label(tone="paneTitle", wraps=True)
        self._problem = label(tone="muted", wraps=True)
        self._ours = label(wraps=True)
        self._theirs = label(wraps=True)
        for text in (self._problem, self._ours, self._theirs):
            text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._then = QPushButton("Evidence as I saw it")
        self._then.setCheckable(True)
        self._then.setAutoDefault(False)
        self._then.toggled.connect(self._switch_evidence)
        self.accept = _button("Accept theirs", self.accepted)
        self.review_again = _button("Review again", self.again)
        self.withdraw = _button("Withdraw", self.withdrawn)
        self.retry = _button("Send again", self.retried)
        self.send_now = _button("Send now", self.sent_now)
        self.export = _button("Export …", self._choose_file)
        self._lay_out()
        self.hide()

    def show_entry(self, entry: OutboxEntry | None, gate: Gate) -> None:
        """Show a row of the outbox about `gate`, as the server has it now; nothing for None or a delivered one."""
        if entry is None or entry.state is OutboxState.DELIVERED:
            self._entry = None
            self.hide()
            return
        if self._entry is None or self._entry.decision_id != entry.decision_id:
            self._then.blockSignals(True)  # noqa: FBT003 - Qt's own
            self._then.setChecked(False)
            self._then.blockSignals(False)  # noqa: FBT003 - as above
        self._entry = entry
        self._heading.setText(f"{_heading(entry)} · {entry.decision.verdict}")
        self._problem.setText(_UNASKED if self._is_local and entry.state.is_open else _problem(entry))
        # Where somebody was faster, the server's side says it all; of a tenant, the place around the card.
        is_said = entry.theirs is not None or (self._is_local and entry.cause is Cause.NOT_ALLOWED)
        self._problem.setVisible(bool(self._problem.text()) and not is_said)
        self._ours.setText(_side("You", entry))
        asked = not self._is_local or entry.theirs is not None
        self._theirs.setText(_other_side(entry, gate) if asked else _NOT_ASKED)
        self._offer(entry, gate)
        self.show()

    def tick(self) -> None:
        """Count down the time in which the decision can be undone."""
        entry = self._entry
        if entry is not None and entry.state is OutboxState.QUEUED and entry.held_until is not None:
            left = (entry.held_until - datetime.now(UTC)).total_seconds()
            held = f" · sent in {left:.0f} s" if left > 0 else ""
            self._heading.setText(f"{_heading(entry)} · {entry.decision.verdict}{held}")

    def _offer(self, entry: OutboxEntry, gate: Gate) -> None:
        waits = gate.status is GateStatus.PENDING and not gate.is_overdue(datetime.now(UTC))
        unanswered = entry.state.needs_answer and not self._is_local
        self.accept.setText("Accept theirs" if entry.cause is Cause.DECIDED else "Let it go")
        self.accept.setVisible(unanswered)
        self.review_again.setVisible(unanswered and waits)
        is_refused = entry.state is OutboxState.REFUSED and not self._is_local
        self.retry.setVisible(is_refused or entry.cause is Cause.CREDENTIALS)
        self.withdraw.setText("Undo" if entry.state is OutboxState.QUEUED else "Withdraw")
        self.withdraw.setVisible(entry.can_be_withdrawn)
        self.send_now.setVisible(entry.state is OutboxState.QUEUED and entry.held_until is not None)
        self._then.setVisible(unanswered)

    def _lay_out(self) -> None:
        sides = QGridLayout()
        sides.setHorizontalSpacing(24)
        for column, (name, text) in enumerate((("Yours", self._ours), ("The server's", self._theirs))):
            sides.addWidget(label(name, "muted"), 0, column)
            sides.addWidget(text, 1, column, Qt.AlignmentFlag.AlignTop)
            sides.setColumnStretch(column, 1)
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(self._heading, 1)
        head.addWidget(self._then)
        head.addWidget(self.export)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addStretch()
        for button in (self.withdraw, self.send_now, self.retry, self.review_again, self.accept):
            row.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 12, 20, 14)
        layout.setSpacing(8)
        layout.addLayout(head)
        layout.addWidget(self._problem)
        layout.addLayout(sides)
        layout.addLayout(row)

    def _switch_evidence(self, then: bool) -> None:  # noqa: FBT001 - Qt's signals take no names
        (self.then_wanted if then else self.now_wanted).emit()

    def _choose_file(self) -> None:
        dialog = QFileDialog(self, "Export this decision", "decision.json", "JSON (*.json)")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.fileSelected.connect(lambda name: self.exported.emit(Path(name)))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()


def _button(text: str, pressed: object) -> QPushButton:
    button = QPushButton(text)
    button.setAutoDefault(False)  # in a dialog, Enter would press it from anywhere
    button.clicked.connect(pressed)
    return button


def _heading(entry: OutboxEntry) -> str:
    return _CAUSES.get(entry.cause, _HEADINGS[entry.state])


def _problem(entry: OutboxEntry) -> str:
    if entry.cause is Cause.CREDENTIALS:
        return f"{entry.problem} It is sent by itself once your login works."
    return entry.problem or (_UNKNOWN if entry.state is OutboxState.UNKNOWN else "")


def _side(who: str, entry: OutboxEntry) -> str:
    decision = entry.decision
    lines = [f"{who} {decision.verdict} on {exact(decision.decided_at)}, on {one_line(entry.device)}."]
    if decision.reason:
        lines.append(f"Reason: {one_line(decision.reason)}")
    lines += [f"Condition: {one_line(condition)}" for condition in decision.conditions]
    lines.append(f"Evidence {decision.evidence_digest[:_DIGEST_SHOWN]}")
    return "\n".join(lines)


def _other_side(entry: OutboxEntry, gate: Gate) -> str:
    theirs = entry.theirs
    if theirs is not None:
        when = f" on {exact(theirs.decided_at)}" if theirs.decided_at else ""
        lines = [f"{one_line(theirs.reviewer) or 'The orchestrator'} {theirs.status} it{when}."]
        if theirs.reason:
            lines.append(f"Reason: {one_line(theirs.reason)}")
        lines += [f"Condition: {one_line(condition)}" for condition in theirs.conditions]
        return "\n".join(lines)
    if entry.cause is Cause.CREDENTIALS:
        return "It has not been asked: it knows nothing of your decision."
    if entry.cause is Cause.GONE:
        return "There is no such gate any more."
    if entry.cause is Cause.CHANGED and gate.bundle.is_whole:
        return f"The gate still waits, with other evidence: {gate.bundle.digest[:_DIGEST_SHOWN]}"
    if entry.cause is Cause.OVERDUE and gate.expires_at is not None:
        return f"The gate expired on {exact(gate.expires_at)}."
    return f"The gate is {gate.status.value}."
