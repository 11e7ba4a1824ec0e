"""How a tenant is drawn in the selector's list: its colour, its id, and how many gates wait."""

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QSize, Qt
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from hitl_desktop.viewmodels.tenants import COUNT_ROLE, HUE_ROLE
from hitl_desktop.widgets.theme import Theme

_ROW = 34
_DOT = 10


class TenantDelegate(QStyledItemDelegate):
    """Draws one tenant."""

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = theme

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        """Return a row's size."""
        return QSize(option.rect.width(), _ROW)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        """Draw one row."""
        tokens = self._theme.tokens
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        if option.state & (QStyle.StateFlag.State_Selected | QStyle.StateFlag.State_MouseOver):
            painter.setBrush(tokens.selection)
            painter.drawRoundedRect(option.rect.adjusted(1, 1, -1, -1), 5, 5)
        painter.setBrush(self._theme.accent(index.data(HUE_ROLE)))
        middle = option.rect.center().y()
        painter.drawEllipse(option.rect.left() + 10, middle - _DOT // 2, _DOT, _DOT)
        painter.setPen(tokens.text)
        name = option.rect.adjusted(30, 0, -60, 0)
        shown = option.fontMetrics.elidedText(index.data(), Qt.TextElideMode.ElideMiddle, name.width())
        painter.drawText(name, int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter), shown)
        count = index.data(COUNT_ROLE)
        painter.setPen(tokens.muted)
        number = option.rect.adjusted(0, 0, -12, 0)
        text = "" if count is None else f"{count:,}"
        painter.drawText(number, int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter), text)
        painter.restore()
