"""Evidence that is plain text: source, logs, reports."""

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QWidget

from hitl_desktop.widgets.line_view import LineView, RowLook
from hitl_desktop.widgets.theme import Theme

_LEFT, _RIGHT = 20, 18


class TextViewer(LineView):
    """Shows lines with their numbers."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        self._rows: list[str] = []
        super().__init__(theme, parent)
        self.setAccessibleName("Text")

    def set_text(self, text: str) -> None:
        """Show `text`. Where every line ends in CR LF, the ends are not marked."""
        if text.count("\r\n") == text.count("\n"):
            text = text.replace("\r\n", "\n")
        self._rows = text.split("\n") if text else []
        if self._rows and not self._rows[-1]:
            self._rows.pop()
        self.setAccessibleDescription(f"{len(self._rows):,} lines")
        self.rows_changed(max(map(len, self._rows), default=0))

    def row_count(self) -> int:
        """Return how many lines there are."""
        return len(self._rows)

    def row_text(self, row: int) -> str:
        """Return a line."""
        return self._rows[row]

    def row_look(self, _row: int) -> RowLook:
        """Return the look, which is the same for all lines."""
        return RowLook(None, self.theme.tokens.text)

    def gutter_width(self) -> float:
        """Return the width of the numbers with the space around them."""
        digits = max(3, len(str(len(self._rows))))
        return _LEFT + digits * self.char_width + _RIGHT

    def paint_gutter(self, painter: QPainter, row: int, top: float) -> None:
        """Draw the line's number."""
        painter.save()
        painter.setFont(self.theme.monospace("small"))
        painter.setPen(self.theme.tokens.muted)
        room = QRectF(QPointF(0, top), QPointF(self.gutter_width() - _RIGHT, top + self.row_height))
        painter.drawText(room, int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter), str(row + 1))
        painter.restore()
