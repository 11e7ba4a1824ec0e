"""The connection's state at the right of the toolbar: a dot, a word and how long ago the server was heard."""

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QLabel, QWidget

from hitl_desktop.widgets.theme import Theme

_DOT = 8
_WIDTH = 170


class ConnectionLabel(QLabel):
    """Draws a filled dot while online, a ring otherwise: the colour is never the only sign."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__("Connecting …", parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setObjectName("connection")
        self.setContentsMargins(18, 0, 12, 0)
        self.setFixedWidth(_WIDTH)
        self._theme = theme
        self._online = False

    def set_state(self, text: str, *, online: bool) -> None:
        """Show `text` beside the dot."""
        self._online = online
        if text != self.text():
            self.setText(text)
            self.setAccessibleName(f"Connection: {text}")
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the dot before the text."""
        super().paintEvent(event)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        color = self._theme.mark("approved").color if self._online else QColor(self._theme.tokens.muted)
        painter.setPen(color)
        painter.setBrush(color if self._online else Qt.BrushStyle.NoBrush)
        painter.drawEllipse(4, (self.height() - _DOT) // 2, _DOT, _DOT)
        painter.end()
