"""Labels that show any text as it is: no label of the window ever reads markup."""

from typing import Literal

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QLabel

Tone = Literal["", "muted", "heading", "paneTitle", "hint", "problem", "queueCount", "empty", "chip"]


def label(text: str = "", tone: Tone = "", *, wraps: bool = False) -> QLabel:
    """Return a label of plain text in one of the stylesheet's tones."""
    made = QLabel(text, wordWrap=wraps)
    made.setTextFormat(Qt.TextFormat.PlainText)
    made.setObjectName(tone)
    return made


def line() -> QFrame:
    """Return a one-pixel line between two areas."""
    made = QFrame()
    made.setFixedHeight(1)
    made.setObjectName("line")
    return made
