"""Evidence that is a unified diff: old and new numbers, signs, and grounds that say what was added and removed."""

from bisect import bisect_left, bisect_right

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QKeyEvent, QPainter, QResizeEvent
from PySide6.QtWidgets import QWidget

from hitl_desktop.domain.diff import Diff, LineKind, parse_diff
from hitl_desktop.widgets.diff_header import DiffHeader
from hitl_desktop.widgets.diff_rows import DiffRows, diff_rows
from hitl_desktop.widgets.line_view import LineView, RowLook
from hitl_desktop.widgets.theme import Theme

_LEFT, _BETWEEN, _SIGN, _TEXT = 20, 14, 9, 27
_HEADER = 32
_EDGE = 3
_RIGHT_MIDDLE = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
_LEFT_MIDDLE = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)


class DiffViewer(LineView):
    """Shows a diff; N and P go to the next and the previous change. The header names the file in view."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        self._diff = Diff((), ())
        self._rows = DiffRows()
        self._digits = 3
        self._change: int | None = None
        super().__init__(theme, parent)
        self._header = DiffHeader(theme, self)
        self.setViewportMargins(0, theme.pixels(_HEADER), 0, 0)
        self.setAccessibleName("Diff")
        self.verticalScrollBar().valueChanged.connect(self._name_file)

    def set_diff(self, diff: str | Diff) -> None:
        """Show a diff.

        Args:
            diff: its text, or what `parse_diff` made of it; parse more than 1 MB in a thread.
        """
        self._diff = parse_diff(diff) if isinstance(diff, str) else diff
        self._rows = diff_rows(self._diff)
        numbers = (max(line.old_number or 0, line.new_number or 0) for line in self._rows.lines)
        self._digits = max(3, len(str(max(numbers, default=0))))
        self._change = None
        self._describe()
        self.rows_changed(max((len(line.text) for line in self._rows.lines), default=0))
        self._name_file()

    def set_theme(self, theme: Theme) -> None:
        """Draw in another theme."""
        self._header.set_theme(theme)
        self.setViewportMargins(0, theme.pixels(_HEADER), 0, 0)
        super().set_theme(theme)

    def next_change(self) -> None:
        """Go to the change after the current one, or after the top of the view if that is elsewhere."""
        changes = self._rows.changes
        self._go(bisect_right(changes, self._here(after=True)))

    def previous_change(self) -> None:
        """Go to the change before the current one."""
        self._go(bisect_left(self._rows.changes, self._here(after=False)) - 1)

    def current_change(self) -> int | None:
        """Return the index of the change that was gone to; None before the first."""
        return self._change

    def row_count(self) -> int:
        """Return how many rows are shown."""
        return len(self._rows.lines)

    def row_text(self, row: int) -> str:
        """Return a row's text without its sign."""
        line = self._rows.lines[row]
        return f"⋯ {line.text}" if line.kind is LineKind.HUNK else line.text

    def row_look(self, row: int) -> RowLook:
        """Return a row's ground, ink and sign."""
        tokens, kind = self.theme.tokens, self._rows.lines[row].kind
        if kind is LineKind.ADDED:
            return RowLook(tokens.added, tokens.text)
        if kind is LineKind.REMOVED:
            return RowLook(tokens.removed, tokens.text)
        if kind is LineKind.HUNK:
            return RowLook(tokens.side, tokens.muted)
        if kind is LineKind.FILE:
            return RowLook(tokens.field, tokens.text)
        return RowLook(None, tokens.text if kind is LineKind.CONTEXT else tokens.muted)

    def gutter_width(self) -> float:
        """Return the width of both columns of numbers and the sign."""
        return self._new_right() + self.theme.pixels(_TEXT)

    def text_left(self, row: int) -> float:
        """Return where a row's text begins: rows without numbers use their room."""
        numbered = self._rows.lines[row].kind not in (LineKind.HUNK, LineKind.FILE)
        return self.gutter_width() if numbered else self.theme.pixels(_LEFT)

    def paint_gutter(self, painter: QPainter, row: int, top: float) -> None:
        """Draw numbers and sign, and the edge that marks the change that was gone to."""
        line, tokens = self._rows.lines[row], self.theme.tokens
        if self._change is not None and self._rows.changes[self._change] <= row < self._rows.ends[self._change]:
            painter.fillRect(QRectF(0, top, _EDGE, self.row_height), self.theme.accent(self.theme.hue))
        if line.kind not in (LineKind.CONTEXT, LineKind.ADDED, LineKind.REMOVED):
            return
        base = painter.font()
        painter.setFont(self._small)
        painter.setPen(tokens.muted)
        for number, right in ((line.old_number, self._old_right()), (line.new_number, self._new_right())):
            if number is not None:
                painter.drawText(QRectF(0, top, right, self.row_height), _RIGHT_MIDDLE, str(number))
        painter.setFont(base)
        if line.kind is not LineKind.CONTEXT:
            added = line.kind is LineKind.ADDED
            painter.setPen(tokens.added_text if added else tokens.removed_text)
            place = QRectF(self._new_right() + self.theme.pixels(_SIGN), top, 2 * self.char_width, self.row_height)
            painter.drawText(place, _LEFT_MIDDLE, "+" if added else "-")

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Go to the next and previous change by N and P, or scroll."""
        if event.modifiers() == Qt.KeyboardModifier.NoModifier and event.key() in (Qt.Key.Key_N, Qt.Key.Key_P):
            (self.next_change if event.key() == Qt.Key.Key_N else self.previous_change)()
        else:
            super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the header above the lines."""
        super().resizeEvent(event)
        place = self.viewport().geometry()
        height = self.theme.pixels(_HEADER)
        self._header.setGeometry(place.left(), place.top() - height, self.width() - 2 * place.left(), height)

    def _take_theme(self) -> None:
        super()._take_theme()
        self._small = self.theme.monospace("small")

    def _old_right(self) -> float:
        return self.theme.pixels(_LEFT) + self._digits * self.char_width

    def _new_right(self) -> float:
        return self._old_right() + self.theme.pixels(_BETWEEN) + self._digits * self.char_width

    def _here(self, *, after: bool) -> int:
        """Return the row from which the next or previous change is looked for."""
        first = self.first_row_in_view()
        last = first + self.viewport().height() // self.row_height
        if self._change is not None and first <= self._rows.changes[self._change] <= last:
            return self._rows.changes[self._change]
        return first - 1 if after else first

    def _go(self, change: int) -> None:
        if not 0 <= change < len(self._rows.changes):
            return
        self._change = change
        self.show_row(self._rows.changes[change])
        self._describe()
        self.viewport().update()

    def _describe(self) -> None:
        files, changes = len(self._diff.files), len(self._rows.changes)
        where = "" if self._change is None else f"Change {self._change + 1} of {changes}. "
        counts = f"{files} files, {self._diff.added:,} lines added, {self._diff.removed:,} removed, {changes:,} changes"
        self.setAccessibleDescription(where + counts)

    def _name_file(self) -> None:
        """Name the file in view in the header."""
        files = self._diff.files
        self._header.show_file(files[self._rows.file_at(self.first_row_in_view())] if files else None)
