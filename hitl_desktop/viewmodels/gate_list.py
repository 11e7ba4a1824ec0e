"""The gate list: one queue of the book, sorted and filtered, as a table model of one column."""

from bisect import bisect_right
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt, QTimer, Signal

from hitl_desktop.domain.gate import Gate, Quarantined
from hitl_desktop.domain.outbox import Cause, OutboxEntry, OutboxState
from hitl_desktop.domain.projection import Queue, is_expiring
from hitl_desktop.sync.book import Change
from hitl_desktop.viewmodels.rows import Order, Row, belonging, belongs, key_of, matching, place_of, with_entry

_ROW_ROLE = Qt.ItemDataRole.UserRole + 1
_BULK_EVERY_MS = 100
_ROWS_FOR_A_MS = 800
_ROOT = QModelIndex()


def record_of(index: QModelIndex | QPersistentModelIndex) -> Gate | Quarantined | None:
    """Return the record in the row of `index`; None if it is invalid."""
    row = index.data(_ROW_ROLE)
    return row.record if isinstance(row, Row) else None


def entry_of(index: QModelIndex | QPersistentModelIndex) -> OutboxEntry | None:
    """Return the reviewer's own decision about the gate in the row of `index`; None if the outbox has none."""
    row = index.data(_ROW_ROLE)
    return row.entry if isinstance(row, Row) else None


class GateListModel(QAbstractTableModel):
    """The rows of the current queue.

    Single changes show at once; the pages of a load are gathered and shown every 100 ms, so that frames stay short.
    """

    counts_changed = Signal()

    def __init__(self, parent: QObject | None = None, now: Callable[[], datetime] | None = None) -> None:
        super().__init__(parent)
        self._now = now or (lambda: datetime.now(UTC))
        self._rows: dict[str, Row] = {}
        self._sorted: list[Row] = []
        self._visible: list[Row] = []
        self._fresh: dict[str, Row] = {}
        self._queue = Queue.PENDING
        self._order = Order.WAITING
        self._words: tuple[str, ...] = ()
        self._gate_type: str | None = None
        self._homes = dict.fromkeys(Queue, 0)
        self._with_deadline: dict[str, Gate] = {}
        self._entries: dict[str, OutboxEntry] = {}
        self._listed: set[str] = set()
        self._bulk = QTimer(self, interval=_BULK_EVERY_MS, singleShot=True)
        self._bulk.timeout.connect(self.flush)

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex = _ROOT) -> int:
        """Return how many rows match."""
        return 0 if parent.isValid() else len(self._visible)

    def columnCount(self, parent: QModelIndex | QPersistentModelIndex = _ROOT) -> int:
        """Return 1: a row is drawn as a whole."""
        return 0 if parent.isValid() else 1

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return a row's record, or its text for screen readers."""
        if not index.isValid():
            return None
        row = self._visible[index.row()]
        if role == _ROW_ROLE:
            return row
        record = row.record
        if role in {Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole}:
            return _spoken(record, row.entry)
        return None

    @property
    def queue(self) -> Queue:
        """The queue that is shown."""
        return self._queue

    @property
    def order(self) -> Order:
        """How it is sorted."""
        return self._order

    def count(self, queue: Queue) -> int:
        """Return how many records stand in `queue`, whatever the filter."""
        if queue is Queue.EXPIRING:
            now = self._now()
            return sum(is_expiring(gate, now) for gate in self._with_deadline.values())
        return self._homes[queue]

    def show_queue(self, queue: Queue) -> None:
        """Show another queue; decided ones come newest first, the others longest waiting first."""
        self._queue = queue
        self._order = Order.NEWEST if queue is Queue.DECIDED else Order.WAITING
        self._rebuild()

    def sort_by(self, order: Order) -> None:
        """Sort the list otherwise; the selection stays on its gate."""
        self._order = order
        self.layoutAboutToBeChanged.emit()
        kept = self._persistent_rows()
        self._sorted.sort(key=key_of(order))
        self._visible = self._filtered()
        self._restore(kept)
        self.layoutChanged.emit()

    def filter_by(self, text: str, gate_type: str | None) -> None:
        """Show only gates whose text holds every word of `text`, and of `gate_type` if one is given."""
        self._words = tuple(text.lower().split())
        self._gate_type = gate_type
        self.beginResetModel()
        self._visible = self._filtered()
        self.endResetModel()

    def record_at(self, row: int) -> Gate | Quarantined | None:
        """Return the record in `row`; None beyond the end."""
        return self._visible[row].record if 0 <= row < len(self._visible) else None

    def row_of(self, name: str) -> int:
        """Return the row of a request id or key; -1 if it is not shown."""
        row = self._rows.get(name)
        return -1 if row is None else place_of(row, self._visible, self._order)

    def apply(self, change: Change) -> None:
        """Take in a change of the book."""
        for name in change.gone:
            self._leave(name)
        self._listed.update(gate.request_id for gate in change.gates)
        records: tuple[Gate | Quarantined, ...] = (*change.gates, *change.quarantined)
        for record in records:
            row = Row(record, self._entries.get(record.request_id) if isinstance(record, Gate) else None)
            if change.bulk and row.name not in self._rows:
                self._count(row, 1)
                self._rows[row.name] = row
                self._fresh[row.name] = row
            else:
                self._replace(row)
        for name, entry in change.decisions:
            self._decide(name, entry)
        if not change.bulk:
            self.counts_changed.emit()
        elif not self._bulk.isActive():
            # Taking rows in costs the more the more there are already; the first ones show at once.
            self._bulk.start(_BULK_EVERY_MS + len(self._sorted) // _ROWS_FOR_A_MS if self._sorted else 0)

    def flush(self) -> None:
        """Show what a load has brought so far."""
        self._bulk.stop()
        fresh = belonging(self._fresh.values(), self._queue, self._now())
        self._fresh.clear()
        if fresh:
            self._merge(fresh)
        self.counts_changed.emit()

    def tick(self) -> None:
        """Take note of the time: gates enter the queue of expiring ones, and countdowns move."""
        if self._queue is Queue.EXPIRING:
            now = self._now()
            for row in [row for row in self._rows.values() if row.name in self._with_deadline]:
                if place_of(row, self._sorted, self._order) < 0 and belongs(row, self._queue, now):
                    self._insert(row)
        self.counts_changed.emit()

    def _decide(self, name: str, entry: OutboxEntry | None) -> None:
        """Show a gate with another decision of the reviewer's own, or without one."""
        if entry is None:
            self._entries.pop(name, None)
        else:
            self._entries[name] = entry
        known = self._rows.get(name)
        if known is not None and isinstance(known.record, Gate) and name in self._listed:
            self._replace(with_entry(known, entry))
        elif entry is not None:
            # The server has the gate no longer, or has not told of it yet: it is shown as the reviewer saw it.
            self._replace(Row(entry.gate, entry))
        else:
            self._remove(name)

    def _leave(self, name: str) -> None:
        """Take a gate or record out, but for one with a decision of the reviewer's own that still counts."""
        self._listed.discard(name)
        self._remove(name)
        entry = self._entries.get(name)
        if entry is not None and entry.state is not OutboxState.DELIVERED:
            self._replace(Row(entry.gate, entry))

    def _merge(self, fresh: list[Row]) -> None:
        shown = matching(fresh, self._words, self._gate_type)
        first = len(self._visible)
        if shown:
            self.beginInsertRows(_ROOT, first, first + len(shown) - 1)
            self._visible.extend(shown)
            self.endInsertRows()
            self.layoutAboutToBeChanged.emit()
        kept = self._persistent_rows()
        self._sorted.extend(fresh)
        self._sorted.sort(key=key_of(self._order))
        self._visible = self._filtered()
        if shown:
            self._restore(kept)
            self.layoutChanged.emit()

    def _filtered(self) -> list[Row]:
        if not self._words and self._gate_type is None:
            return list(self._sorted)
        return matching(self._sorted, self._words, self._gate_type)

    def _rebuild(self) -> None:
        now = self._now()
        self.beginResetModel()
        self._fresh.clear()
        self._sorted = belonging(self._rows.values(), self._queue, now)
        self._sorted.sort(key=key_of(self._order))
        self._visible = self._filtered()
        self.endResetModel()

    def _persistent_rows(self) -> list[tuple[QModelIndex, Row]]:
        return [(index, self._visible[index.row()]) for index in self.persistentIndexList()]

    def _restore(self, kept: list[tuple[QModelIndex, Row]]) -> None:
        for index, row in kept:
            place = place_of(row, self._visible, self._order)
            self.changePersistentIndex(index, self.index(place, 0) if place >= 0 else QModelIndex())

    def _replace(self, row: Row) -> None:
        known = self._rows.get(row.name)
        fits = belongs(row, self._queue, self._now())
        if known is not None and fits:
            place = place_of(known, self._visible, self._order)
            key = key_of(self._order)
            if place >= 0 and key(known) == key(row) and matching((row,), self._words, self._gate_type):
                self._count(known, -1)
                self._count(row, 1)
                self._rows[row.name] = row
                self._visible[place] = row
                self._sorted[place_of(known, self._sorted, self._order)] = row
                self.dataChanged.emit(self.index(place, 0), self.index(place, 0))
                return
        self._remove(row.name)
        self._count(row, 1)
        self._rows[row.name] = row
        if fits:
            self._insert(row)

    def _insert(self, row: Row) -> None:
        key = key_of(self._order)
        rank = key(row)
        self._sorted.insert(bisect_right(self._sorted, rank, key=key), row)
        if matching((row,), self._words, self._gate_type):
            place = bisect_right(self._visible, rank, key=key)
            self.beginInsertRows(_ROOT, place, place)
            self._visible.insert(place, row)
            self.endInsertRows()

    def _remove(self, name: str) -> None:
        row = self._rows.pop(name, None)
        if row is None:
            return
        self._count(row, -1)
        self._fresh.pop(name, None)
        if (place := place_of(row, self._sorted, self._order)) >= 0:
            del self._sorted[place]
        if (place := place_of(row, self._visible, self._order)) >= 0:
            self.beginRemoveRows(_ROOT, place, place)
            del self._visible[place]
            self.endRemoveRows()

    def _count(self, row: Row, step: int) -> None:
        self._homes[row.home] += step
        record = row.record
        if row.home is Queue.PENDING and isinstance(record, Gate) and record.expires_at is not None:
            if step > 0:
                self._with_deadline[row.name] = record
            else:
                self._with_deadline.pop(row.name, None)


def _spoken(record: Gate | Quarantined, entry: OutboxEntry | None) -> str:
    if isinstance(record, Quarantined):
        return f"Quarantined: {record.reason}"
    state = record.status.value if entry is None else f"your decision is {entry.state.value}"
    if entry is not None and entry.cause is Cause.CREDENTIALS:
        state += ", since the server refused your login"
    kind = record.kind.value if record.kind else record.gate_type
    return f"{kind}: {record.summary or 'no summary'}, {record.task_id}, {state}"
