"""The list below the tenant selector, with its search field; made when it is first opened."""

from PySide6.QtCore import QEvent, QObject, QSortFilterProxyModel, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFrame, QLineEdit, QListView, QVBoxLayout, QWidget

from hitl_desktop.viewmodels.tenants import TenantListModel
from hitl_desktop.widgets.labels import label
from hitl_desktop.widgets.tenant_delegate import TenantDelegate
from hitl_desktop.widgets.theme import Theme

_HINT = "Enter opens it   ·   Ctrl+1 … Ctrl+9 from anywhere"


class TenantPopup(QFrame):
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
        self._hint = label(_HINT, "hint", wraps=True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.setSpacing(6)
        for widget in (self._search, self._view, self._hint):
            layout.addWidget(widget)
        self.setFixedWidth(300)

    def set_model(self, model: TenantListModel) -> None:
        """List the tenants of `model`."""
        self._narrowed.setSourceModel(model)

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
        self._hint.setText("Not listed: Enter opens it by this name" if unlisted else _HINT)

    def _take(self) -> None:
        index = self._view.currentIndex()
        name = index.data() if index.isValid() else self._search.text().strip()
        if name:
            self._finish(name)

    def _finish(self, tenant_id: str) -> None:
        self.hide()
        self.chosen.emit(tenant_id)
