"""The tenant selector at the top left: who the reviewer works for, and a searchable list to change it."""

from PySide6.QtCore import QEvent, QObject, QSize, QSortFilterProxyModel, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontMetrics, QKeyEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QLineEdit, QListView, QToolButton, QVBoxLayout, QWidget

from hitl_desktop.viewmodels.tenants import TenantListModel
from hitl_desktop.widgets.labels import label
from hitl_desktop.widgets.tenant_delegate import TenantDelegate
from hitl_desktop.widgets.theme import Theme

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
        self._list = _TenantPopup(theme, self)
        self._list.chosen.connect(self._choose)
        self.clicked.connect(self.open_list)
        self.setFixedSize(_WIDTH, 32)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setToolTip("Switch tenant (Ctrl+K)")
        self._describe()

    def set_model(self, model: TenantListModel) -> None:
        """List the tenants of `model`."""
        self._list.set_model(model)

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
        if (tenant_id := self._list.tenant_at(number - 1)) is not None:
            self._choose(tenant_id)

    def open_list(self) -> None:
        """Open the list below the button, ready to type."""
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


class _TenantPopup(QFrame):
    """The list with its search field; a name that is not listed can be typed."""

    chosen = Signal(str)

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setObjectName("tenantPopup")
        self._search = QLineEdit(placeholderText="Find or type a tenant …", clearButtonEnabled=True)
        self._search.setAccessibleName("Find or type a tenant")
        self._search.textChanged.connect(self._narrow)
        self._search.returnPressed.connect(self._take)
        self._search.installEventFilter(self)
        self._narrowed = QSortFilterProxyModel(self)
        self._view = QListView(uniformItemSizes=True)
        self._view.setModel(self._narrowed)
        self._view.setItemDelegate(TenantDelegate(theme, self._view))
        self._view.clicked.connect(lambda index: self._finish(index.data()))
        self._hint = label("Enter opens it", "hint")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.setSpacing(6)
        for widget in (self._search, self._view, self._hint):
            layout.addWidget(widget)
        self.setFixedWidth(300)

    def set_model(self, model: TenantListModel) -> None:
        """List the tenants of `model`."""
        self._narrowed.setSourceModel(model)

    def tenant_at(self, row: int) -> str | None:
        """Return the tenant in `row` of the whole list; None beyond its end."""
        source = self._narrowed.sourceModel()
        return source.index(row, 0).data() if 0 <= row < source.rowCount() else None

    def open_below(self, button: QWidget) -> None:
        """Show the list below `button`."""
        self._search.clear()
        self._narrow("")
        rows = min(max(self._narrowed.rowCount(), 1), 9)
        self._view.setFixedHeight(rows * 34 + 4)
        self.adjustSize()
        self.move(button.mapToGlobal(button.rect().bottomLeft()))
        self.show()
        self._search.setFocus()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Let the arrow keys move in the list while the search field has the focus."""
        if watched is self._search and isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            step = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1}.get(Qt.Key(event.key()))
            if step is not None:
                row = max(0, min(self._narrowed.rowCount() - 1, self._view.currentIndex().row() + step))
                self._view.setCurrentIndex(self._narrowed.index(row, 0))
                return True
        return super().eventFilter(watched, event)

    def _narrow(self, text: str) -> None:
        self._narrowed.setFilterFixedString(text.strip())
        self._view.setCurrentIndex(self._narrowed.index(0, 0))
        unlisted = bool(text.strip()) and self._narrowed.rowCount() == 0
        self._hint.setText("Not listed: Enter opens it by this name" if unlisted else "Enter opens it")

    def _take(self) -> None:
        index = self._view.currentIndex()
        name = index.data() if index.isValid() else self._search.text().strip()
        if name:
            self._finish(name)

    def _finish(self, tenant_id: str) -> None:
        self.hide()
        self.chosen.emit(tenant_id)
