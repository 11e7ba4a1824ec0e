"""The tenant selector at the top left: who the reviewer works for, and a searchable list to change it."""

from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QToolButton, QWidget

from hitl_desktop.widgets.theme import Theme

if TYPE_CHECKING:  # imported late: it is closed in the first frame
    from hitl_desktop.viewmodels.tenants import TenantListModel
    from hitl_desktop.widgets.tenant_popup import TenantPopup

_WIDTH = 206
_DOT = 10


class TenantSelector(QToolButton):
    """Shows the tenant with its colour and pending count; `chosen` comes with another tenant's id.

    `opening` comes when the list is about to show, so that its counts can be made anew.
    """

    chosen = Signal(str)
    opening = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("tenantSelector")
        self._theme = theme
        self._tenant = ""
        self._color = QColor(theme.tokens.muted)
        self._pending: int | None = None
        self._model: TenantListModel | None = None
        self._list: TenantPopup | None = None
        self.clicked.connect(self.open_list)
        self.setFixedSize(_WIDTH, 32)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setToolTip("Switch tenant (Ctrl+K)")
        self._describe()

    def set_model(self, model: "TenantListModel") -> None:
        """List the tenants of `model`."""
        self._model = model

    def set_tenant(self, tenant_id: str, hue: int) -> None:
        """Show `tenant_id` as the one that is worked for."""
        self._tenant, self._color = tenant_id, self._theme.accent(hue)
        self._pending = None
        self._describe()

    def clear(self) -> None:
        """Show that no tenant is chosen."""
        self._tenant, self._color, self._pending = "", QColor(self._theme.tokens.muted), None
        self._describe()

    def set_pending(self, count: int) -> None:
        """Show how many gates wait."""
        if count != self._pending:
            self._pending = count
            self._describe()

    def choose_number(self, number: int) -> None:
        """Choose the tenant that stands at place `number`, from 1, in the list; nothing happens beyond its end."""
        tenants = self._model.tenants if self._model is not None else ()
        if number <= len(tenants):
            self._choose(tenants[number - 1])

    def open_list(self) -> None:
        """Open the list below the button, ready to type."""
        if self._model is None:
            return
        if self._list is None:
            from hitl_desktop.widgets.tenant_popup import TenantPopup

            self._list = TenantPopup(self._theme, self)
            self._list.chosen.connect(self._choose)
            self._list.set_model(self._model)
        self.opening.emit()
        self._list.open_below(self)

    def sizeHint(self) -> QSize:
        """Return the button's size."""
        return QSize(_WIDTH, 32)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw dot, name, count and arrow over the styled button."""
        super().paintEvent(event)
        tokens = self._theme.tokens
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._color)
        middle = self.height() // 2
        painter.drawEllipse(11, middle - _DOT // 2, _DOT, _DOT)
        font = QFont(self.font())
        font.setWeight(QFont.Weight.DemiBold)
        painter.setFont(font)
        painter.setPen(tokens.muted)
        painter.drawText(self.rect().adjusted(0, 0, -12, 0), int(_RIGHT), "▾")
        badge = "" if self._pending is None else f"{self._pending:,}"
        used = 34
        if badge:
            width = QFontMetrics(font).horizontalAdvance(badge) + 16
            right = self.width() - 32
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(tokens.selection)
            painter.drawRoundedRect(right - width, middle - 9, width, 18, 9, 9)
            painter.setPen(tokens.text)
            painter.drawText(right - width, middle - 9, width, 18, int(Qt.AlignmentFlag.AlignCenter), badge)
            used += width + 8
        painter.setPen(tokens.text)
        name = self._tenant or "Choose a tenant"
        shown = QFontMetrics(font).elidedText(name, Qt.TextElideMode.ElideMiddle, self.width() - 30 - used)
        painter.drawText(self.rect().adjusted(30, 0, 0, 0), int(_LEFT), shown)
        painter.end()

    def _choose(self, tenant_id: str) -> None:
        if tenant_id != self._tenant:
            self.chosen.emit(tenant_id)

    def _describe(self) -> None:
        count = "" if self._pending is None else f", {self._pending} pending"
        self.setAccessibleName(f"Tenant {self._tenant or 'not chosen'}{count}")
        self.update()


_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
