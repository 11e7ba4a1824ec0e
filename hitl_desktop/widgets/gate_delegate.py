"""How a gate row is drawn: two lines, a chip for its type, and what is urgent."""

from datetime import UTC, datetime

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QSize, Qt
from PySide6.QtGui import QColor, QCursor, QFont, QFontMetrics, QPainter, QPen
from PySide6.QtWidgets import QAbstractItemView, QStyledItemDelegate, QStyleOptionViewItem

from hitl_desktop.domain.gate import Gate, GateKind, GateStatus, Quarantined
from hitl_desktop.domain.outbox import Cause, OutboxEntry
from hitl_desktop.domain.projection import URGENT_WITHIN, GateState, state_of
from hitl_desktop.viewmodels.gate_list import entry_of, record_of
from hitl_desktop.widgets.theme import Theme
from hitl_desktop.widgets.words import ago, left, one_line

_MARGIN = 16
_CHIP_PADDING = 7
_EDGE = 3


class GateDelegate(QStyledItemDelegate):
    """Draws a Gate or a Quarantined record."""

    def __init__(self, theme: Theme, view: QAbstractItemView) -> None:
        super().__init__(view)
        self._theme = theme
        self._view = view

    def set_theme(self, theme: Theme) -> None:
        """Draw in another palette from now on, such as that of another tenant."""
        self._theme = theme

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        """Return a row's size."""
        return QSize(option.rect.width(), self._theme.metrics.gate_row)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        """Draw one row."""
        record = record_of(index)
        painter.save()
        self._ground(painter, option.rect, index.row())
        if isinstance(record, Gate):
            self._gate(painter, option, record, entry_of(index))
        elif isinstance(record, Quarantined):
            self._quarantined(painter, option, record)
        painter.restore()

    def _ground(self, painter: QPainter, rect: QRect, row: int) -> None:
        tokens = self._theme.tokens
        # The option's state would tell as well, but to look at it takes a launch 10 ms: QStyle's names are made then.
        if self._view.selectionModel().isRowSelected(row):
            painter.fillRect(rect, tokens.selection)
            painter.fillRect(QRect(rect.left(), rect.top(), _EDGE, rect.height()), self._theme.accent(self._theme.hue))
        elif self._is_under_mouse(rect):
            painter.fillRect(rect, tokens.hover)
        painter.setPen(QPen(tokens.line, 1))
        painter.drawLine(rect.left() + _MARGIN, rect.bottom(), rect.right() - _MARGIN, rect.bottom())

    def _is_under_mouse(self, rect: QRect) -> bool:
        # Of the view, not of its viewport: to ask for a widget takes a launch 20 ms, since all kinds are made known.
        view = self._view
        return view.underMouse() and rect.contains(view.mapFromGlobal(QCursor.pos()) - view.contentsRect().topLeft())

    def _gate(self, painter: QPainter, option: QStyleOptionViewItem, gate: Gate, entry: OutboxEntry | None) -> None:
        tokens = self._theme.tokens
        rect = option.rect.adjusted(_MARGIN, 9, -_MARGIN, -9)
        label = gate.kind.value.capitalize() if gate.kind else one_line(gate.gate_type)
        used = self._chip(painter, rect, label, gate.kind)
        title = QFont(option.font)
        title.setWeight(QFont.Weight.DemiBold)
        painter.setFont(title)
        painter.setPen(tokens.text)
        room = rect.width() - used - 8
        text = one_line(gate.summary) or "(no summary)"
        shown = QFontMetrics(title).elidedText(text, Qt.TextElideMode.ElideRight, room)
        line = rect.height() // 2
        first = QRect(rect.left() + used + 8, rect.top(), room, line)
        painter.drawText(first, int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter), shown)
        second = QRect(rect.left(), rect.top() + line + 2, rect.width(), line)
        self._facts(painter, second, gate, entry)

    def _facts(self, painter: QPainter, rect: QRect, gate: Gate, entry: OutboxEntry | None) -> None:
        tokens = self._theme.tokens
        now = datetime.now(UTC)
        note, color = self._note(gate, now, entry)
        small = self._theme.font("secondary")
        painter.setFont(small)
        metrics = QFontMetrics(small)
        painter.setPen(color)
        painter.drawText(rect, int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter), note)
        painter.setPen(tokens.muted)
        facts = " · ".join(
            one_line(part) for part in (gate.task_id, gate.requested_by, ago(gate.requested_at, now)) if part
        )
        room = rect.width() - metrics.horizontalAdvance(note) - 12
        shown = metrics.elidedText(facts, Qt.TextElideMode.ElideRight, room)
        painter.drawText(rect, int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter), shown)

    def _note(self, gate: Gate, now: datetime, entry: OutboxEntry | None) -> tuple[str, QColor]:
        state = state_of(gate, now, entry)
        muted = self._theme.tokens.muted
        mark = self._theme.mark(state)
        if entry is not None and state.value != entry.decision.verdict.value:
            told = "no login" if entry.cause is Cause.CREDENTIALS else state
            return f"{mark.glyph} {entry.decision.verdict} · {told}", mark.color
        if state is GateState.OVERDUE:
            return f"{mark.glyph} overdue", mark.color
        if entry is not None or gate.status is not GateStatus.PENDING:
            when = f" · {ago(gate.decided_at, now)}" if gate.decided_at else ""
            return f"{mark.glyph} {state}{when}", mark.color
        if gate.expires_at is None:
            return "", muted
        urgent = gate.expires_at - now <= URGENT_WITHIN
        return f"{left(gate.expires_at, now)} left", self._theme.mark("pending").color if urgent else muted

    def _chip(self, painter: QPainter, rect: QRect, label: str, kind: GateKind | None) -> int:
        font = self._theme.font("secondary")
        font.setWeight(QFont.Weight.Medium)
        metrics = QFontMetrics(font)
        label = metrics.elidedText(label, Qt.TextElideMode.ElideRight, 110)
        width = metrics.horizontalAdvance(label) + 2 * _CHIP_PADDING
        chip = QRect(rect.left(), rect.top() + 1, width, rect.height() // 2 - 2)
        colors = self._theme.chip(kind)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colors.ground)
        painter.drawRoundedRect(chip, 3, 3)
        painter.setPen(colors.text)
        painter.setFont(font)
        painter.drawText(chip, int(Qt.AlignmentFlag.AlignCenter), label)
        return width

    def _quarantined(self, painter: QPainter, option: QStyleOptionViewItem, record: Quarantined) -> None:
        tokens = self._theme.tokens
        rect = option.rect.adjusted(_MARGIN, 9, -_MARGIN, -9)
        line = rect.height() // 2
        painter.setPen(self._theme.mark("mismatch").color)
        painter.drawText(rect.adjusted(0, 0, 0, -line), int(Qt.AlignmentFlag.AlignLeft), "⚠ Quarantined")
        small = self._theme.font("secondary")
        painter.setFont(small)
        painter.setPen(tokens.muted)
        shown = QFontMetrics(small).elidedText(one_line(record.reason), Qt.TextElideMode.ElideRight, rect.width())
        second = QRect(rect.left(), rect.top() + line + 2, rect.width(), line)
        painter.drawText(second, int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter), shown)
