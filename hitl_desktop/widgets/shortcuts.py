"""The keys, and the list of them that `?` shows."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QDialog, QFormLayout

from hitl_desktop.domain.decision import Verdict
from hitl_desktop.widgets.labels import label

if TYPE_CHECKING:  # the window imports this module
    from hitl_desktop.widgets.main_window import MainWindow

KEYS = (
    ("Ctrl+K", "Switch tenant"),
    ("Ctrl+1 … Ctrl+9", "Switch to the first … ninth tenant of the list"),
    ("/", "Search the gates"),
    ("j  k", "Next and previous gate"),
    ("]  [", "Next and previous piece of evidence"),
    ("n  p", "Next and previous change in a diff"),
    ("a", "Go to Approve; Enter approves"),
    ("r", "Go to the reason, or to Reject once it is written"),
    ("F5", "Look at the server now"),
    ("F8", "Documents beside the gate"),
    ("F9  F10  F11", "Fold queues, fold list, review alone"),
    ("Ctrl+Z", "Undo the decision that was just queued"),
    ("Ctrl+N", "New window"),
    ("Ctrl+Q", "Quit"),
    ("Esc", "One step back; what is written stays"),
)


def add_shortcuts(window: "MainWindow") -> None:
    """Give `window` its keys. Letters typed into a field stay the field's."""

    def focus_search() -> None:
        window.toolbar.search.setFocus()
        window.toolbar.search.selectAll()

    def decide(verdict: Verdict) -> None:
        if window.review is not None:
            window.review.focus_decision(verdict)

    def step(tabs: int) -> None:
        if window.review is not None:
            window.review.evidence.step(tabs)

    actions: dict[str, Callable[[], object]] = {
        "Ctrl+K": window.toolbar.tenant.open_list,
        "/": focus_search,
        "Ctrl+F": focus_search,
        "J": lambda: window.gates.step(1),
        "K": lambda: window.gates.step(-1),
        "]": lambda: step(1),
        "[": lambda: step(-1),
        "A": lambda: decide(Verdict.APPROVED),
        "R": lambda: decide(Verdict.REJECTED),
        "Ctrl+Z": window.undo,
        "F5": window.refresh,
        "F8": window.toggle_knowledge,
        "F9": lambda: window.folding.fold(window.queues),
        "F10": lambda: window.folding.fold(window.gates),
        "F11": window.folding.review_alone,
        "Ctrl+N": window.new_window_wanted.emit,
        "Ctrl+Q": window.quit_wanted.emit,
        "Ctrl+W": window.close,
        "Esc": window.step_back,
        "?": lambda: show_keys(window),
    }
    for number in range(1, 10):
        actions[f"Ctrl+{number}"] = partial(window.toolbar.tenant.choose_number, number)
    for keys, action in actions.items():
        QShortcut(QKeySequence(keys), window).activated.connect(action)


def show_keys(window: "MainWindow") -> None:
    """Show the list of keys beside the work; it blocks nothing."""
    dialog = QDialog(window)
    dialog.setWindowTitle("Keys — HITL Desktop")
    form = QFormLayout(dialog)
    form.setContentsMargins(20, 16, 20, 16)
    form.setHorizontalSpacing(24)
    for keys, meaning in KEYS:
        form.addRow(label(keys, "muted"), label(meaning))
    dialog.finished.connect(dialog.deleteLater)
    dialog.open()
