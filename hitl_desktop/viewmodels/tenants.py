"""The tenants that can be chosen, each with its colour and how many gates wait."""

from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from hitl_desktop.domain.tenant import hue

COUNT_ROLE = Qt.ItemDataRole.UserRole + 1
"""How many gates wait; None where it cannot be counted."""
HUE_ROLE = Qt.ItemDataRole.UserRole + 2
"""The tenant's colour as an index into the palette of twelve."""
_ROOT = QModelIndex()


class TenantListModel(QAbstractListModel):
    """One row for each tenant, in the order given."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._tenants: tuple[str, ...] = ()
        self._counts: Mapping[str, int | None] = {}

    @property
    def tenants(self) -> tuple[str, ...]:
        """The tenants listed."""
        return self._tenants

    @property
    def counts(self) -> Mapping[str, int | None]:
        """How many gates wait for each tenant; None where it cannot be counted."""
        return self._counts

    def show(self, tenants: Sequence[str], counts: Mapping[str, int | None]) -> None:
        """List `tenants` with the counts known of them."""
        if tuple(tenants) == self._tenants:
            self._counts = dict(counts)
            if tenants:
                self.dataChanged.emit(self.index(0), self.index(len(tenants) - 1))
            return
        self.beginResetModel()
        self._tenants, self._counts = tuple(tenants), dict(counts)
        self.endResetModel()

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex = _ROOT) -> int:
        """Return how many tenants are listed."""
        return 0 if parent.isValid() else len(self._tenants)

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return a tenant's id, count or colour."""
        if not index.isValid():
            return None
        tenant = self._tenants[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return tenant
        if role == COUNT_ROLE:
            return self._counts.get(tenant)
        return hue(tenant) if role == HUE_ROLE else None
