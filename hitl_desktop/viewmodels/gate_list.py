"""The gate list: one queue of the book, sorted and filtered, as a table model of one column."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt, QTimer, Signal

from hitl_desktop.domain.gate import Gate, Quarantined
from hitl_desktop.domain.outbox import Cause, OutboxEntry, OutboxState
from hitl_desktop.domain.projection import Queue, is_expiring
from hitl_desktop.sync.book import Change
from hitl_desktop.viewmodels.ranked import Ranked
from hitl_desktop.viewmodels.rows import Order, Row, belonging, belongs, matching, with_entry

_ROW_ROLE = Qt.ItemDataRole.UserRole + 1
_BULK_EVERY_MS = 100
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
        self._sorted = Ranked()
        self._visible = self._sorted
        """Those of the rows that match; the same object where nothing is filtered."""
        self._fresh: list[Row] = []
        self._queue = Queue.PENDING
        self._words: tuple[str, ...] = ()
        self._gate_type: str | None = None
        self._homes = dict.fromkeys(Queue, 0)
        self._with_deadline: dict[str, Gate] = {}
        self._entries: dict[str, OutboxEntry] = {}
        self._unlisted: set[str] = set()
        """Gates that are shown for the reviewer's own decision alone."""
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
        row = self._visible.rows[index.row()]
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
        return self._sorted.order

    def count(self, queue: Queue) -> int:
        """Return how many records stand in `queue`, whatever the filter."""
        if queue is Queue.EXPIRING:
            now = self._now()
            return sum(is_expiring(gate, now) for gate in self._with_deadline.values())
        return self._homes[queue]

    def show_queue(self, queue: Queue) -> None:
        """Show another queue; decided ones come newest first, the others longest waiting first."""
        self._queue = queue
        self._rebuild(Order.NEWEST if queue is Queue.DECIDED else Order.WAITING)

    def sort_by(self, order: Order) -> None:
        """Sort the list otherwise; the selection stays on its gate."""
        self._take_in_fresh()
        self.layoutAboutToBeChanged.emit()
        kept = self._persistent_rows()
        self._arrange(self._members(), order)
        self._restore(kept)
        self.layoutChanged.emit()

    def filter_by(self, text: str, gate_type: str | None) -> None:
        """Show only gates whose text holds every word of `text`, and of `gate_type` if one is given."""
        self._take_in_fresh()
        self._words = tuple(text.lower().split())
        self._gate_type = gate_type
        self.beginResetModel()
        self._visible = self._filtered()
        self.endResetModel()

    def record_at(self, row: int) -> Gate | Quarantined | None:
        """Return the record in `row`; None beyond the end."""
        return self._visible.rows[row].record if 0 <= row < len(self._visible) else None

    def row_of(self, name: str) -> int:
        """Return the row of a request id or key; -1 if it is not shown."""
        row = self._rows.get(name)
        return -1 if row is None else self._visible.place_of(row)

    def apply(self, change: Change) -> None:
        """Take in a change of the book."""
        for name in change.gone:
            self._leave(name)
        if self._unlisted:
            self._unlisted.difference_update(gate.request_id for gate in change.gates)
        entries, rows = self._entries, self._rows
        for name, decided in change.decisions:
            self._note(name, decided)
        records: tuple[Gate | Quarantined, ...] = (*change.gates, *change.quarantined)
        for record in records:
            entry = entries.get(record.request_id) if isinstance(record, Gate) else None
            name = record.request_id if isinstance(record, Gate) else record.key
            known = rows.get(name)
            if known is not None and known.record is record and known.entry is entry:
                continue  # as with the gates of decisions on their way, by the thousand
            row = Row(record, entry)
            if change.bulk and known is None:
                self._count(row, 1)
                rows[row.name] = row
                self._fresh.append(row)
            else:
                self._replace(row)
        for name, entry in change.decisions:
            self._decide(name, entry)
        if not change.bulk:
            self.counts_changed.emit()
        elif not self._bulk.isActive():
            self._bulk.start(_BULK_EVERY_MS if self._sorted else 0)  # the first ones show at once

    def flush(self) -> None:
        """Show what a load has brought so far."""
        self._take_in_fresh()
        self.counts_changed.emit()

    def _take_in_fresh(self) -> None:
        self._bulk.stop()
        rows, queued = self._rows, belonging(self._fresh, self._queue, self._now())
        self._fresh.clear()
        fresh = [row for row in queued if rows.get(row.name) is row]
        if fresh:
            self._merge(fresh)

    def tick(self) -> None:
        """Take note of the time: gates enter the queue of expiring ones, and countdowns move."""
        if self._queue is Queue.EXPIRING:
            self._take_in_fresh()
            now = self._now()
            for row in [self._rows[name] for name in self._with_deadline]:
                if self._sorted.place_of(row) < 0 and belongs(row, self._queue, now):
                    self._insert(row)
        self.counts_changed.emit()

    def _note(self, name: str, entry: OutboxEntry | None) -> None:
        if entry is None:
            self._entries.pop(name, None)
        else:
            self._entries[name] = entry

    def _decide(self, name: str, entry: OutboxEntry | None) -> None:
        """Show a gate with another decision of the reviewer's own, or without one, unless it is shown so already."""
        known = self._rows.get(name)
        if known is not None and isinstance(known.record, Gate) and name not in self._unlisted:
            if known.entry is not entry:
                self._replace(with_entry(known, entry))
        elif entry is not None:
            # The server has the gate no longer, or has not told of it yet: it is shown as the reviewer saw it.
            self._unlisted.add(name)
            self._replace(Row(entry.gate, entry))
        else:
            self._unlisted.discard(name)
            self._remove(name)

    def _leave(self, name: str) -> None:
        """Take a gate or record out, but for one with a decision of the reviewer's own that still counts."""
        self._unlisted.discard(name)
        self._remove(name)
        entry = self._entries.get(name)
        if entry is not None and entry.state is not OutboxState.DELIVERED:
            self._unlisted.add(name)
            self._replace(Row(entry.gate, entry))

    def _merge(self, fresh: list[Row]) -> None:
        is_whole = self._visible is self._sorted
        if not is_whole:
            known = len(self._sorted)
            self._sorted.rows.extend(fresh)
            self._sorted.settle(known)
        shown = fresh if is_whole else matching(fresh, self._words, self._gate_type)
        if not shown:
            return
        first = len(self._visible)
        self.beginInsertRows(_ROOT, first, first + len(shown) - 1)
        self._visible.rows.extend(shown)
        self.endInsertRows()
        self.layoutAboutToBeChanged.emit()
        kept = self._persistent_rows()
        self._visible.settle(first)
        self._restore(kept)
        self.layoutChanged.emit()

    def _members(self) -> list[Row]:
        """Return the rows of the list; as they came, where they are many. Which ones expire by now, `tick` decides."""
        if self._queue is Queue.EXPIRING:
            return self._sorted.rows
        return belonging(self._rows.values(), self._queue, self._now())

    def _filtered(self) -> Ranked:
        if not self._words and self._gate_type is None:
            return self._sorted
        return self._sorted.only(matching(self._members(), self._words, self._gate_type))

    def _arrange(self, members: list[Row], order: Order) -> None:
        self._sorted = Ranked(members, order)
        self._visible = self._filtered()

    def _rebuild(self, order: Order) -> None:
        self.beginResetModel()
        self._fresh.clear()
        self._arrange(belonging(self._rows.values(), self._queue, self._now()), order)
        self.endResetModel()

    def _persistent_rows(self) -> list[tuple[QModelIndex, Row]]:
        return [(index, self._visible.rows[index.row()]) for index in self.persistentIndexList()]

    def _restore(self, kept: list[tuple[QModelIndex, Row]]) -> None:
        for index, row in kept:
            place = self._visible.place_of(row)
            self.changePersistentIndex(index, self.index(place, 0) if place >= 0 else QModelIndex())

    def _replace(self, row: Row) -> None:
        known = self._rows.get(row.name)
        shown = self._queue
        if known is not None and shown is not Queue.EXPIRING and known.home is not shown and row.home is not shown:
            # Neither stands in the list, as where decisions are delivered by the thousand.
            self._count(known, -1)
            self._count(row, 1)
            self._rows[row.name] = row
            return
        fits = belongs(row, self._queue, self._now())
        if known is not None and fits:
            place = self._visible.place_of(known)
            rank = self._visible.rank
            if place >= 0 and rank(known) == rank(row) and matching((row,), self._words, self._gate_type):
                self._count(known, -1)
                self._count(row, 1)
                self._rows[row.name] = row
                self._sorted.rows[self._sorted.place_of(known)] = row
                self._visible.rows[place] = row
                self.dataChanged.emit(self.index(place, 0), self.index(place, 0))
                return
        self._remove(row.name)
        self._count(row, 1)
        self._rows[row.name] = row
        if fits:
            self._insert(row)

    def _insert(self, row: Row) -> None:
        if self._visible is not self._sorted:
            self._sorted.insert(self._sorted.place_for(row), row)
        if matching((row,), self._words, self._gate_type):
            place = self._visible.place_for(row)
            self.beginInsertRows(_ROOT, place, place)
            self._visible.insert(place, row)
            self.endInsertRows()

    def _remove(self, name: str) -> None:
        row = self._rows.pop(name, None)
        if row is None:
            return
        self._count(row, -1)
        if self._visible is not self._sorted and (place := self._sorted.place_of(row)) >= 0:
            self._sorted.remove(place)
        if (place := self._visible.place_of(row)) >= 0:
            self.beginRemoveRows(_ROOT, place, place)
            self._visible.remove(place)
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
