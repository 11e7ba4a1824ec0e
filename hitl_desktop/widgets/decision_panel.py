"""Where the reviewer decides: the reason, conditions, severity and tags, and the two buttons that name the tenant."""

from PySide6.QtCore import Signal
from PySide6.QtGui import QAction, QIcon
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QMenu,
    QPlainTextEdit,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from hitl_desktop.domain.decision import FEEDBACK_TAGS, Draft, Severity, Verdict
from hitl_desktop.viewmodels.review import ReviewViewModel
from hitl_desktop.widgets.icons import dot
from hitl_desktop.widgets.labels import label
from hitl_desktop.widgets.theme import Theme

_REASON_HEIGHT = 62


class DecisionPanel(QFrame):
    """Forwards what is written and decided to the review's view-model."""

    refused = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("decision")
        self._review: ReviewViewModel | None = None
        self._filling = False
        self._focused: QWidget | None = None
        self._conditions: list[QLineEdit] = []
        self.facts = label(tone="muted", wraps=True)
        self.problem = label(tone="problem", wraps=True)
        self.problem.hide()
        self.reason = QPlainTextEdit(placeholderText="Reason (needed to reject) …")
        self.reason.setAccessibleName("Reason")
        self.reason.setTabChangesFocus(True)
        self.reason.setFixedHeight(_REASON_HEIGHT)
        self.reason.textChanged.connect(self._written)
        self._more = QVBoxLayout()
        self._add = QPushButton("+ Condition")
        self._add.clicked.connect(lambda: self._add_condition("", focus=True))
        self._severity = _menu_button("Severity ▾")
        self._severity.setMenu(self._severity_menu())
        self._tags = _menu_button("Concerns ▾")
        self._tags.setMenu(self._tag_menu())
        self.reject = QPushButton("✕  Reject")
        self.approve = QPushButton("✓  Approve")
        self.reject.clicked.connect(lambda: self._decide(Verdict.REJECTED))
        self.approve.clicked.connect(lambda: self._decide(Verdict.APPROVED))
        for button, name in ((self.approve, "approve"), (self.reject, "reject")):
            button.setObjectName(name)
            button.setAutoDefault(True)
        self._lay_out()
        self.set_decidable(decidable=False)

    def attach(self, review: ReviewViewModel, theme: Theme) -> None:
        """Decide through `review`; its tenant's name and colour stand on both buttons."""
        self._review = review
        tenant = dot(theme.accent(theme.hue)) if review.place else QIcon()
        for button in (self.approve, self.reject):
            button.setIcon(tenant)
        self.reject.setText(f"✕  Reject{review.place}")
        self.approve.setText(f"✓  Approve{review.place}")
        review.busy.connect(self._set_busy)

    def detach(self) -> None:
        """Let go of the view-model and empty every field."""
        self._review = None
        self.show_draft(Draft())
        self.reject.setText("✕  Reject")
        self.approve.setText("✓  Approve")
        for button in (self.approve, self.reject):
            button.setIcon(QIcon())

    def show_draft(self, draft: Draft) -> None:
        """Show what is written so far about the gate that is open."""
        self._filling = True
        if self.reason.toPlainText() != draft.reason:
            self.reason.setPlainText(draft.reason)
        for line in self._conditions:
            line.deleteLater()
        self._conditions.clear()
        for text in draft.conditions:
            self._add_condition(text)
        for action in self._severity.menu().actions():
            action.setChecked(action.data() == draft.severity)
        for action in self._tags.menu().actions():
            action.setChecked(action.data() in draft.tags)
        self._name_choices(draft)
        self._filling = False
        self.show_problem("")

    def show_problem(self, text: str) -> None:
        """Show one sentence about the decision; nothing for an empty one."""
        self.problem.setText(text)
        self.problem.setVisible(bool(text))

    def show_outcome(self, text: str) -> None:
        """Show how the gate was decided instead of the means to decide it; an empty text brings those back."""
        for widget in (self.reason, self.reject, self.approve, self._add, self._severity, self._tags):
            widget.setVisible(not text)
        if text:
            self.facts.setText(text)

    def set_decidable(self, *, decidable: bool) -> None:
        """Allow decisions, or not: the gate is decided, overdue or still being read."""
        for widget in (self.approve, self.reject, self.reason, self._add, self._severity, self._tags):
            widget.setEnabled(decidable)

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(self.facts, 1)
        for widget in (self._add, self._severity, self._tags):
            head.addWidget(widget)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self.problem, 1)
        row.addStretch()
        row.addWidget(self.reject)
        row.addWidget(self.approve)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 10, 20, 14)
        layout.setSpacing(8)
        layout.addLayout(head)
        layout.addWidget(self.reason)
        layout.addLayout(self._more)
        layout.addLayout(row)

    def _severity_menu(self) -> QMenu:
        menu = QMenu(self)
        for severity in (None, *Severity):
            action = QAction(severity.value.capitalize() if severity else "None", menu, checkable=True)
            action.setData(severity)
            action.triggered.connect(lambda _checked=False, severity=severity: self._weigh(severity))
            menu.addAction(action)
        return menu

    def _tag_menu(self) -> QMenu:
        menu = QMenu(self)
        for tag in FEEDBACK_TAGS:
            action = QAction(tag.capitalize(), menu, checkable=True)
            action.setData(tag)
            action.triggered.connect(lambda: self._weigh(self._review.draft.severity if self._review else None))
            menu.addAction(action)
        return menu

    def _weigh(self, severity: Severity | None) -> None:
        if self._review is None:
            return
        tags = tuple(action.data() for action in self._tags.menu().actions() if action.isChecked())
        self._review.weigh(severity, tags)
        for action in self._severity.menu().actions():
            action.setChecked(action.data() == severity)
        self._name_choices(self._review.draft)

    def _name_choices(self, draft: Draft) -> None:
        self._severity.setText(f"Severity: {draft.severity} ▾" if draft.severity else "Severity ▾")
        self._tags.setText(f"Concerns: {', '.join(draft.tags)} ▾" if draft.tags else "Concerns ▾")

    def _add_condition(self, text: str, *, focus: bool = False) -> None:
        line = QLineEdit(text, placeholderText="Condition: what the approval depends on", clearButtonEnabled=True)
        line.setAccessibleName("Condition")
        line.textChanged.connect(self._written)
        self._conditions.append(line)
        self._more.addWidget(line)
        if focus:
            line.setFocus()

    def _written(self) -> None:
        if self._review is None or self._filling:
            return
        conditions = tuple(line.text().strip() for line in self._conditions if line.text().strip())
        self._review.write(reason=self.reason.toPlainText(), conditions=conditions)
        self.show_problem("")

    def _decide(self, verdict: Verdict) -> None:
        if self._review is None:
            return
        if verdict is Verdict.REJECTED and not self.reason.toPlainText().strip():
            self.reason.setFocus()
        self._review.decide(verdict)

    def _set_busy(self, busy: bool) -> None:  # noqa: FBT001 - Qt's signals take no names
        focused: QWidget | None = self.focusWidget()
        if busy and focused is not None and focused.hasFocus():
            self._focused = focused
            self.setFocus()  # Qt would hand it on to the next widget that is enabled
        self.set_decidable(decidable=not busy)
        if not busy and self._focused is not None and self.hasFocus():
            self._focused.setFocus()
            self._focused = None


def _menu_button(text: str) -> QToolButton:
    button = QToolButton(popupMode=QToolButton.ToolButtonPopupMode.InstantPopup)
    button.setText(text)
    return button
