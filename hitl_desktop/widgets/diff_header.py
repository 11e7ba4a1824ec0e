"""The line above a diff: the file in view, what it gains and loses, and the keys."""

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QFont, QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from hitl_desktop.domain.diff import DiffFile
from hitl_desktop.widgets.theme import Theme
from hitl_desktop.widgets.visible import visible

_MARGIN, _SPACE = 20, 18
_KEYS = "n / p next change"
_ALIGN = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)


class DiffHeader(QWidget):
    """Draws one file's path, elided in the middle, and its counts."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._file: DiffFile | None = None

    def set_theme(self, theme: Theme) -> None:
        """Draw in another theme."""
        self._theme = theme
        self.update()

    def show_file(self, file: DiffFile | None) -> None:
        """Name `file`, or nothing."""
        if file != self._file:
            self._file = file
            self.update()

    def sizeHint(self) -> QSize:
        """Return the least size."""
        return QSize(200, self._theme.metrics.line)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the header."""
        painter = QPainter(self)
        tokens = self._theme.tokens
        painter.fillRect(event.rect(), tokens.window)
        if self._file is None:
            return
        counts = ((f"+{self._file.added:,}", tokens.added_text), (f"-{self._file.removed:,}", tokens.removed_text))
        mono = QFontMetrics(self._theme.monospace())
        painter.setFont(self._theme.font("secondary"))
        right = self.width() - _MARGIN
        keys = painter.fontMetrics().horizontalAdvance(_KEYS)
        painter.setPen(tokens.muted)
        painter.drawText(QRect(right - keys, 0, keys + 1, self.height()), _ALIGN, _KEYS)
        room = right - keys - _MARGIN - sum(mono.horizontalAdvance(text) + _SPACE for text, _ in counts) - _SPACE
        x = _MARGIN + self._paint_title(painter, room)
        painter.setFont(self._theme.monospace())
        for text, colour in counts:
            width = mono.horizontalAdvance(text)
            painter.setPen(colour)
            painter.drawText(QRect(x + _SPACE, 0, width + 1, self.height()), _ALIGN, text)
            x += width + _SPACE // 2 + 2

    def _paint_title(self, painter: QPainter, room: int) -> int:
        """Draw the path in `room` pixels; return how many it took."""
        font = self._theme.monospace("base")
        font.setWeight(QFont.Weight.Medium)
        metrics = QFontMetrics(font)
        title = visible(self._file.title).text if self._file else ""
        title = metrics.elidedText(title, Qt.TextElideMode.ElideMiddle, max(room, 0))
        width = metrics.horizontalAdvance(title)
        painter.setFont(font)
        painter.setPen(self._theme.tokens.text)
        painter.drawText(QRect(_MARGIN, 0, width + 1, self.height()), _ALIGN, title)
        return width
