"""The review: the gate's heading, its evidence as large as the window allows, and the decision below."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from PySide6.QtCore import Qt, SignalInstance
from PySide6.QtWidgets import QFrame, QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from hitl_desktop.domain.decision import Verdict
from hitl_desktop.domain.evidence import Integrity
from hitl_desktop.domain.gate import Gate, GateKind, GateStatus, Quarantined
from hitl_desktop.domain.outbox import OutboxEntry
from hitl_desktop.domain.projection import lacks_evidence
from hitl_desktop.session import OpenGate
from hitl_desktop.viewmodels.outbox import OutboxViewModel
from hitl_desktop.viewmodels.review import ReviewViewModel
from hitl_desktop.widgets.conflict_card import ConflictCard
from hitl_desktop.widgets.decision_panel import DecisionPanel
from hitl_desktop.widgets.evidence_view import EvidenceView
from hitl_desktop.widgets.labels import label
from hitl_desktop.widgets.theme import Theme
from hitl_desktop.widgets.words import ago, exact, left, one_line

_JOINED = "\N{NO-BREAK SPACE}"


class ReviewPane(QFrame):
    """Shows the gate that is open, a quarantined record, or that there is none."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("review")
        self.setMinimumWidth(520)
        self._theme = theme
        self._review: ReviewViewModel | None = None
        self._outbox: OutboxViewModel | None = None
        self._chip = label(tone="chip")
        self._title = label(tone="heading", wraps=True)
        self._left = label(tone="muted")
        self._facts = label(tone="muted")
        self._facts.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.evidence = EvidenceView(theme)
        self.decision = DecisionPanel()
        self.conflict = ConflictCard()
        self._nothing = label("Select a gate to review it.", "empty", wraps=True)
        self._nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._pages = QStackedWidget()
        self._pages.addWidget(self._nothing)
        self.page = self._lay_out()
        self._pages.addWidget(self.page)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._pages)
        self._connect_card()

    def attach(self, review: ReviewViewModel, outbox: OutboxViewModel, theme: Theme) -> None:
        """Show what `review` opens, with the reviewer's own decisions of `outbox`, in the tenant's `theme`."""
        self._review, self._outbox, self._theme = review, outbox, theme
        self.evidence.set_theme(theme)
        self.decision.attach(review, theme)
        review.opened.connect(self._opened)
        review.closed.connect(self._closed)
        review.loading.connect(self._loading)
        review.problem.connect(self._problem)
        self.evidence.viewed.connect(self._viewed)

    def detach(self) -> None:
        """Let go of the view-model; nothing of its gate stays on the screen."""
        if self._review is not None:
            self.evidence.viewed.disconnect(self._viewed)
        self._review, self._outbox = None, None
        self.decision.detach()
        self.conflict.hide()
        self._closed()

    def show_quarantined(self, record: Quarantined) -> None:
        """Show what cannot be read, why, and what of it there is."""
        self._set_chip("Quarantine", None)
        self._title.setText(one_line(record.reason))
        self._left.clear()
        self._facts.setText(one_line(record.key))
        self.evidence.show_raw(record.raw or "There is nothing to show of this record.")
        self.decision.hide()
        self.conflict.hide()
        self._pages.setCurrentIndex(1)

    def tick(self) -> None:
        """Move the countdown and the gate's age on; what is selected stays so."""
        current = self._review.current if self._review else None
        if current is not None:
            self._count_down(current.gate)
            if not self._facts.hasSelectedText():
                self._tell_facts(current.gate)
        self.conflict.tick()

    def focus_decision(self, verdict: Verdict) -> None:
        """Move to the button of `verdict`, or to the reason where a rejection lacks it."""
        if self._review is None or self._review.current is None:
            return
        if verdict is Verdict.APPROVED:
            self.decision.approve.setFocus(Qt.FocusReason.ShortcutFocusReason)
        elif self.decision.reason.toPlainText().strip():
            self.decision.reject.setFocus(Qt.FocusReason.ShortcutFocusReason)
        else:
            self.decision.reason.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def _connect_card(self) -> None:
        card = self.conflict
        answers: tuple[tuple[SignalInstance, Callable[[OutboxViewModel, OutboxEntry], None]], ...] = (
            (card.accepted, OutboxViewModel.accept),
            (card.withdrawn, OutboxViewModel.undo),
            (card.retried, OutboxViewModel.retry),
            (card.sent_now, OutboxViewModel.send_now),
        )
        for pressed, answer in answers:
            pressed.connect(partial(self._answer, answer))
        card.exported.connect(lambda path: self._answer(lambda outbox, entry: outbox.export(entry, path)))
        card.again.connect(lambda: self._review.review_again() if self._review else None)
        card.then_wanted.connect(lambda: self._review.show_then() if self._review else None)
        card.now_wanted.connect(lambda: self._review.reload() if self._review else None)

    def _answer(self, answer: Callable[[OutboxViewModel, OutboxEntry], None]) -> None:
        entry = self._review.entry if self._review is not None else None
        if entry is not None and self._outbox is not None:
            answer(self._outbox, entry)

    def _lay_out(self) -> QWidget:
        page = QWidget()
        first = QHBoxLayout()
        first.setSpacing(10)
        first.addWidget(self._chip, 0, Qt.AlignmentFlag.AlignTop)
        first.addWidget(self._title, 1)
        first.addWidget(self._left, 0, Qt.AlignmentFlag.AlignTop)
        head = QVBoxLayout()
        head.setContentsMargins(20, 14, 20, 6)
        head.setSpacing(8)
        head.addLayout(first)
        head.addWidget(self._facts)
        layout = QVBoxLayout(page)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(head)
        layout.addWidget(self.evidence, 1)
        layout.addWidget(self.decision)
        layout.addWidget(self.conflict)
        return page

    def _opened(self, found: OpenGate) -> None:
        gate = found.gate
        name = gate.kind.value.capitalize() if gate.kind else one_line(gate.gate_type)
        self._set_chip(name, gate.kind)
        self._title.setText(one_line(gate.summary) or "(no summary)")
        self._tell_facts(gate)
        self.evidence.show_evidence(found, self._review.is_viewed if self._review else lambda _item: False)
        entry = self._review.entry if self._review is not None else None
        self.conflict.show_entry(entry, gate)
        self.conflict.tick()
        self.decision.setVisible(self.conflict.isHidden())
        self.decision.facts.setText(_completeness(found))
        warns = any(piece.integrity is Integrity.MISMATCH for piece in found.evidence) or lacks_evidence(gate)
        self.decision.facts.setStyleSheet(f"color: {self._theme.mark('mismatch').color.name()};" if warns else "")
        self.decision.show_outcome(_outcome(gate))
        if self._review is not None:
            self.decision.show_draft(self._review.draft)
        self._count_down(gate)
        self._pages.setCurrentIndex(1)

    def _tell_facts(self, gate: Gate) -> None:
        now = datetime.now(UTC)
        asked = f"asked by {one_line(gate.requested_by)}" if gate.requested_by else ""
        parts = (one_line(gate.task_id), f"session {one_line(gate.session_id)}", asked, ago(gate.requested_at, now))
        self._facts.setText(" · ".join(part for part in parts if part))
        self._facts.setToolTip(f"Requested {exact(gate.requested_at)}")

    def _count_down(self, gate: Gate) -> None:
        now = datetime.now(UTC)
        decidable = gate.status is GateStatus.PENDING and not gate.is_overdue(now)
        self.decision.set_decidable(decidable=decidable)
        if gate.status is not GateStatus.PENDING:
            self._left.setText(f"{self._theme.mark(gate.status).glyph} {gate.status}")
        elif gate.expires_at is None:
            self._left.clear()
        elif gate.is_overdue(now):
            self._left.setText(f"{self._theme.mark('overdue').glyph} overdue: the agent must ask again")
        else:
            self._left.setText(f"expires in {left(gate.expires_at, now)}")
        self._left.setToolTip(exact(gate.expires_at) if gate.expires_at else "")

    def _loading(self, _request_id: str) -> None:
        self._show_nothing("Reading the evidence …")
        if self._review is not None:
            # What is typed from now on is about the next gate, so nothing about the last one may stand there.
            self.decision.show_draft(self._review.draft)

    def _problem(self, text: str) -> None:
        if self._review is not None and self._review.current is not None:
            self.decision.show_problem(text)
        else:
            self._show_nothing(text)

    def _viewed(self, item: int) -> None:
        if self._review is not None:
            self.evidence.show_progress(self._review.mark_viewed(item))

    def _closed(self) -> None:
        self.evidence.clear()
        for text in (self._title, self._facts, self._left, self._chip, self.decision.facts):
            text.clear()
        self.decision.facts.setStyleSheet("")
        self._show_nothing("Select a gate to review it.")

    def _show_nothing(self, text: str) -> None:
        self.decision.set_decidable(decidable=False)
        self._nothing.setText(text)
        self._pages.setCurrentIndex(0)

    def _set_chip(self, name: str, kind: GateKind | None) -> None:
        colors = self._theme.chip(kind)
        self._chip.setText(name)
        self._chip.setStyleSheet(
            f"background: {colors.ground.name()}; color: {colors.text.name()}; border-radius: 4px; padding: 2px 8px;"
        )


def _completeness(found: OpenGate) -> str:
    """Return what the evidence amounts to, in words and marks."""
    lacking = lacks_evidence(found.gate)
    given = ", ".join(dict.fromkeys(one_line(piece.item.item_type) for piece in found.evidence))
    first = f"Incomplete: needs {' or '.join(lacking)}" if lacking else f"Complete: {given}" if given else "No evidence"
    counts = {state: sum(piece.integrity is state for piece in found.evidence) for state in Integrity}
    told = [
        f"{'⚠ ' if state is Integrity.MISMATCH else ''}{count} {state}".replace(" ", _JOINED)
        for state, count in counts.items()
        if count
    ]
    return " · ".join((first, ", ".join(told))) if told else first


def _outcome(gate: Gate) -> str:
    """Return how a gate was decided, a sentence a line; nothing while it is pending."""
    if gate.status is GateStatus.PENDING:
        return ""
    who = f" by {one_line(gate.reviewer)}" if gate.reviewer else ""
    when = f" on {exact(gate.decided_at)}" if gate.decided_at else ""
    lines = [f"{gate.status.capitalize()}{who}{when}."]
    if gate.reason:
        lines.append(f"Reason: {one_line(gate.reason)}")
    lines += [f"Condition: {one_line(condition)}" for condition in gate.conditions]
    return "\n".join(lines)
