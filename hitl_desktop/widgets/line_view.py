"""The ground of the text and diff viewers: monospaced lines, of which only the visible ones are ever drawn."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from PySide6.QtCore import QPointF, QRectF, Qt, QTimer
from PySide6.QtGui import (
    QColor,
    QFontMetricsF,
    QGuiApplication,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QTextCharFormat,
    QTextLayout,
    QTextOption,
)
from PySide6.QtWidgets import QAbstractScrollArea, QWidget

from hitl_desktop.widgets.selection import Position, Selection, utf16_units, word_at
from hitl_desktop.widgets.theme import Theme
from hitl_desktop.widgets.visible import Visible, visible

_MARGIN = 20
_LAYOUTS_KEPT = 512


@dataclass(frozen=True, slots=True)
class RowLook:
    """How one row is drawn beside its text; None leaves the window's ground."""

    ground: QColor | None
    ink: QColor
    sign: str = ""


class LineView(QAbstractScrollArea):
    """Draws rows of equal height with a gutter, scrolls, selects and copies.

    A subclass gives `row_count`, `row_text`, `row_look`, `gutter_width` and `paint_gutter`, and calls `rows_changed`.
    What is copied is what is seen: tabs as blanks, placeholders for what would be unseen.
    """

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._selection = Selection()
        self._widest = 0.0
        self._layout_of = lru_cache(maxsize=_LAYOUTS_KEPT)(self._make_layout)
        # Not while painting: a scroll bar that appears moves what is painted.
        self._grow = QTimer(self, singleShot=True, interval=0)
        self._grow.timeout.connect(self._size_bars)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setFrameShape(self.Shape.NoFrame)
        self.viewport().setCursor(Qt.CursorShape.IBeamCursor)
        self._take_theme()

    # --- what a subclass tells ----------------------------------------------------------------------------------------

    def row_count(self) -> int:
        """Return how many rows there are."""
        raise NotImplementedError

    def row_text(self, row: int) -> str:
        """Return a row's text as the agent wrote it."""
        raise NotImplementedError

    def row_look(self, row: int) -> RowLook:
        """Return how a row is drawn."""
        raise NotImplementedError

    def gutter_width(self) -> float:
        """Return the pixels left of the text."""
        raise NotImplementedError

    def text_left(self, _row: int) -> float:
        """Return where a row's text begins; at the gutter's end unless a subclass says otherwise."""
        return self.gutter_width()

    def paint_gutter(self, painter: QPainter, row: int, top: float) -> None:
        """Draw what stands left of a row's text."""
        raise NotImplementedError

    def rows_changed(self, longest: int) -> None:
        """Show other rows from the start; `longest` is the greatest number of characters in one."""
        self._selection = Selection()
        self._layout_of.cache_clear()
        self._widest = longest * self._char
        self.verticalScrollBar().setValue(0)
        self.horizontalScrollBar().setValue(0)
        self._size_bars()
        self.viewport().update()

    # --- the look -----------------------------------------------------------------------------------------------------

    @property
    def theme(self) -> Theme:
        """The theme it is drawn in."""
        return self._theme

    @property
    def char_width(self) -> float:
        """The width of one character, in pixels."""
        return self._char

    def set_theme(self, theme: Theme) -> None:
        """Draw in another theme."""
        widest = self._widest / self._char
        self._theme = theme
        self._take_theme()
        self._layout_of.cache_clear()
        self._widest = widest * self._char
        self._size_bars()
        self.viewport().update()

    def _take_theme(self) -> None:
        self._font = self._theme.monospace()
        metrics = QFontMetricsF(self._font)
        self._char = metrics.horizontalAdvance("0" * 100) / 100
        self.row_height = self._theme.metrics.line
        self._baseline = (self.row_height + metrics.ascent() - metrics.descent()) / 2

    # --- painting -----------------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the rows that the event uncovers."""
        painter = QPainter(self.viewport())
        painter.fillRect(event.rect(), self._theme.tokens.window)
        painter.setFont(self._font)
        offset = self.verticalScrollBar().value()
        first = max(0, (offset + event.rect().top()) // self.row_height)
        last = min(self.row_count() - 1, (offset + event.rect().bottom()) // self.row_height)
        for row in range(first, last + 1):
            self._paint_row(painter, row, row * self.row_height - offset)

    def _paint_row(self, painter: QPainter, row: int, top: int) -> None:
        look, width, left = self.row_look(row), self.viewport().width(), self.text_left(row)
        if look.ground is not None:
            painter.fillRect(0, top, width, self.row_height, look.ground)
        shown = visible(self.row_text(row))
        painter.save()
        painter.setClipRect(QRectF(left, top, width - left, self.row_height))
        self._paint_selection(painter, row, shown, top)
        painter.setPen(look.ink)
        self._paint_text(painter, shown, left - self.horizontalScrollBar().value(), top)
        painter.restore()
        self.paint_gutter(painter, row, top)

    def _paint_text(self, painter: QPainter, shown: Visible, left: float, top: float) -> None:
        if not shown.is_plain:
            layout = self._layout_of(shown)
            self._widest_seen(layout.boundingRect().width())
            layout.draw(painter, QPointF(left, top + self._baseline - layout.lineAt(0).ascent()))
            return
        self._widest_seen(len(shown.text) * self._char)
        # Of a very long line only the columns in view are drawn.
        start = max(0, int(-left / self._char) - 1)
        columns = int(self.viewport().width() / self._char) + 3
        painter.drawText(QPointF(left + start * self._char, top + self._baseline), shown.text[start : start + columns])

    def _paint_selection(self, painter: QPainter, row: int, shown: Visible, top: int) -> None:
        columns = self._selection.columns(row, len(shown.text))
        if columns is None:
            return
        first, last = self._x_of(shown, columns[0]), self._x_of(shown, columns[1])
        if self._selection.reaches_beyond(row):
            last += self._char
        left = self.text_left(row) - self.horizontalScrollBar().value()
        ground = self.palette().highlight()
        painter.fillRect(QRectF(left + first, top, last - first, self.row_height), ground)

    def _make_layout(self, shown: Visible) -> QTextLayout:
        """Lay out a line that is not plain: its characters may have any width or direction."""
        layout = QTextLayout(shown.text, self._font)
        option = QTextOption()
        option.setWrapMode(QTextOption.WrapMode.NoWrap)
        option.setTextDirection(Qt.LayoutDirection.LeftToRight)
        layout.setTextOption(option)
        marks = []
        for start, length in shown.marks:
            mark = QTextLayout.FormatRange()
            mark.start = utf16_units(shown.text, start)
            mark.length = length
            mark.format = QTextCharFormat()
            mark.format.setForeground(self._theme.mark("mismatch").color)
            marks.append(mark)
        layout.setFormats(marks)
        layout.beginLayout()
        layout.createLine()
        layout.endLayout()
        return layout

    def _x_of(self, shown: Visible, column: int) -> float:
        if shown.is_plain:
            return column * self._char
        # PySide6 returns the corrected column as well, which the stubs do not know.
        found: Any = self._layout_of(shown).lineAt(0).cursorToX(utf16_units(shown.text, column))
        return float(found[0] if isinstance(found, tuple) else found)

    def _column_at(self, shown: Visible, x: float) -> int:
        units = self._layout_of(shown).lineAt(0).xToCursor(x)
        return len(shown.text.encode("utf-16-le")[: 2 * units].decode("utf-16-le", "ignore"))

    # --- scrolling ----------------------------------------------------------------------------------------------------

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fit the scroll bars to the new size."""
        super().resizeEvent(event)
        self._size_bars()

    def scrollContentsBy(self, _dx: int, _dy: int) -> None:
        """Draw again: the gutter must not move sideways with the text."""
        self.viewport().update()

    def show_row(self, row: int) -> None:
        """Scroll so that `row` stands a third down the viewport, if it is not in view."""
        bar, top = self.verticalScrollBar(), row * self.row_height
        room = self.viewport().height()
        if not bar.value() <= top <= bar.value() + room - 2 * self.row_height:
            bar.setValue(top - room // 3)

    def first_row_in_view(self) -> int:
        """Return the uppermost row that is in view."""
        return self.verticalScrollBar().value() // self.row_height

    def _widest_seen(self, width: float) -> None:
        """Widen the horizontal range when a drawn line turns out wider than was guessed."""
        if width > self._widest:
            self._widest = width
            self._grow.start()

    def _size_bars(self) -> None:
        width, height = self.viewport().width(), self.viewport().height()
        down, across = self.verticalScrollBar(), self.horizontalScrollBar()
        down.setRange(0, max(0, self.row_count() * self.row_height + _MARGIN - height))
        down.setPageStep(max(height - self.row_height, 1))
        down.setSingleStep(self.row_height)
        across.setRange(0, max(0, round(self._widest + self.gutter_width() + _MARGIN - width)))
        across.setPageStep(max(width // 2, 1))
        across.setSingleStep(round(4 * self._char))

    # --- keys ---------------------------------------------------------------------------------------------------------

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Scroll by arrows, pages, Home and End; copy and select all."""
        down, across = self.verticalScrollBar(), self.horizontalScrollBar()
        page, step = down.pageStep(), down.singleStep()
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copy()
        elif event.matches(QKeySequence.StandardKey.SelectAll):
            self.select_all()
        elif event.modifiers() == Qt.KeyboardModifier.ControlModifier and event.key() in (
            Qt.Key.Key_Home,
            Qt.Key.Key_End,
        ):
            down.setValue(down.minimum() if event.key() == Qt.Key.Key_Home else down.maximum())
        elif event.key() in (Qt.Key.Key_Up, Qt.Key.Key_Down):
            down.setValue(down.value() + (step if event.key() == Qt.Key.Key_Down else -step))
        elif event.key() in (Qt.Key.Key_PageUp, Qt.Key.Key_PageDown):
            down.setValue(down.value() + (page if event.key() == Qt.Key.Key_PageDown else -page))
        elif event.key() in (Qt.Key.Key_Left, Qt.Key.Key_Right):
            across.setValue(across.value() + across.singleStep() * (1 if event.key() == Qt.Key.Key_Right else -1))
        elif event.key() in (Qt.Key.Key_Home, Qt.Key.Key_End):
            across.setValue(across.minimum() if event.key() == Qt.Key.Key_Home else across.maximum())
        else:
            event.ignore()

    # --- selection ----------------------------------------------------------------------------------------------------

    def select_all(self) -> None:
        """Select every row."""
        if self.row_count():
            last = self.row_count() - 1
            self._selection = Selection(Position(0, 0), Position(last, len(visible(self.row_text(last)).text)))
            self.viewport().update()

    def selected_text(self) -> str:
        """Return what is selected, as it is shown."""
        parts = []
        for row in self._selection.rows():
            text = visible(self.row_text(row)).text
            columns = self._selection.columns(row, len(text))
            if columns is not None:
                parts.append(text[columns[0] : columns[1]])
        return "\n".join(parts)

    def copy(self) -> None:
        """Put what is selected on the clipboard; nothing where nothing is."""
        text = self.selected_text()
        if text:
            QGuiApplication.clipboard().setText(text)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Begin a selection, or extend it with Shift."""
        if event.button() != Qt.MouseButton.LeftButton or not self.row_count():
            return
        here = self._position(event.position())
        extends = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        self._selection = Selection(self._selection.anchor if extends else here, here)
        self.viewport().update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Extend the selection to the pointer, scrolling where it leaves the viewport."""
        if not event.buttons() & Qt.MouseButton.LeftButton or not self.row_count():
            return
        y, bar = event.position().y(), self.verticalScrollBar()
        if y < 0 or y > self.viewport().height():
            bar.setValue(bar.value() + (-self.row_height if y < 0 else self.row_height))
        self._selection = Selection(self._selection.anchor, self._position(event.position()))
        self.viewport().update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """End the selection; nobody else takes the event."""
        event.accept()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Select a word."""
        if event.button() != Qt.MouseButton.LeftButton or not self.row_count():
            return
        here = self._position(event.position())
        start, end = word_at(visible(self.row_text(here.row)).text, here.column)
        self._selection = Selection(Position(here.row, start), Position(here.row, end))
        self.viewport().update()

    def _position(self, point: QPointF) -> Position:
        row = int(point.y() + self.verticalScrollBar().value()) // self.row_height
        row = max(0, min(self.row_count() - 1, row))
        shown = visible(self.row_text(row))
        x = point.x() - self.text_left(row) + self.horizontalScrollBar().value()
        column = round(x / self._char) if shown.is_plain else self._column_at(shown, x)
        return Position(row, max(0, min(len(shown.text), column)))
