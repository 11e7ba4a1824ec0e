"""The gate list: its title, sorting and type filter above the rows."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from PySide6.QtCore import QItemSelectionModel, QModelIndex, Qt, Signal
from PySide6.QtWidgets import QAbstractItemView, QComboBox, QFrame, QHBoxLayout, QTableView, QVBoxLayout, QWidget

from hitl_desktop.domain.gate import Gate, GateKind
from hitl_desktop.domain.projection import Queue
from hitl_desktop.sync.book import Change
from hitl_desktop.viewmodels.gate_list import GateListModel, record_of
from hitl_desktop.viewmodels.rows import Order
from hitl_desktop.widgets.labels import label
from hitl_desktop.widgets.theme import Theme

if TYPE_CHECKING:  # imported late: the first frame has no rows
    from hitl_desktop.widgets.gate_delegate import GateDelegate

_EMPTY = {
    Queue.PENDING: "Nothing waits for you{place}.",
    Queue.EXPIRING: "Nothing expires soon{place}.",
    Queue.OUTBOX: "Nothing is on its way{place}.",
    Queue.CONFLICTS: "No decision{place} waits for your answer.",
    Queue.DECIDED: "Nothing was decided lately{place}.",
    Queue.QUARANTINE: "Every record{place} can be read.",
}
_ALL_TYPES = "All types"
_ARROW = 26
_WHOLE_ROW = QItemSelectionModel.SelectionFlag.ClearAndSelect | QItemSelectionModel.SelectionFlag.Rows


class Place(NamedTuple):
    """Where a reviewer was in the list: queue, order, search text, type, the selected record's name, and the scroll."""

    queue: Queue = Queue.PENDING
    order: Order = Order.WAITING
    text: str = ""
    gate_type: str | None = None
    selected: str | None = None
    scroll: int = 0


class GatePane(QFrame):
    """`selected` comes with the record that is selected, None when there is none."""

    selected = Signal(object)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("gates")
        self.setMinimumWidth(330)
        self._theme = theme
        self._model: GateListModel | None = None
        self._kept: GateListModel | None = None
        self._place = ""
        self._text = ""
        self._loading = True
        self._sought: Place | None = None
        self._title = label("Pending", "paneTitle")
        self._count = label(tone="muted")
        self._order = QComboBox()
        self._order.addItems([order.value for order in Order])
        self._order.activated.connect(self._sort)
        self._type = QComboBox()
        self._type.addItem(_ALL_TYPES, None)
        for kind in GateKind:
            self._type.addItem(kind.value.capitalize(), kind.value)
        self._type.activated.connect(self._filter)
        self._order.setAccessibleName("Sort the gates by")
        self._type.setAccessibleName("Show gates of this type")
        for choice in (self._order, self._type):
            choice.setObjectName("flat")
            choice.setFixedWidth(choice.fontMetrics().horizontalAdvance(max(_labels(choice), key=len)) + _ARROW)
        self._empty = label("Connecting …", "empty", wraps=True)
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._delegate: GateDelegate | None = None
        self.table = self._make_table()
        self._lay_out()

    def show_kept(self, gates: Sequence[Gate], hue: int) -> None:
        """Show gates that are kept on this machine until `attach` brings all of them."""
        if self._model is None:
            kept = GateListModel(self)
            kept.apply(Change(tuple(gates)))
            self.attach(kept, "", hue)
            self._kept = kept

    def attach(self, model: GateListModel, place: str, hue: int) -> None:
        """Show the rows of `model`; `place` is ` in acme-corp`, or nothing in single-tenant mode.

        The reviewer stays where they were among the kept gates, if those were shown so far.
        """
        left_at = self.place() if self._kept is not None else None
        self._drop_kept()
        self._model, self._place, self._loading = model, place, True
        self._make_delegate().set_theme(self._theme.for_hue(hue))
        self.table.setModel(model)
        self.table.selectionModel().currentChanged.connect(self._moved)
        model.counts_changed.connect(self._tell_counts)
        model.modelReset.connect(self._tell_counts)
        model.rowsAboutToBeRemoved.connect(self._leaving)
        model.rowsInserted.connect(self._hold_still)
        self.show_text(self._text)
        self.show_queue(Queue.PENDING)
        self._tell_counts()
        if left_at is not None:
            self.resume(left_at)

    def detach(self) -> None:
        """Let go of the rows: nothing of them stays on the screen or is referred to."""
        model, self._model = self._model, None
        selection = self.table.selectionModel()
        self.table.setModel(None)
        if selection is not None:
            selection.deleteLater()
        if model is not None:
            model.disconnect(self)
        self._sought = None
        self._count.clear()
        self._type.setCurrentIndex(0)
        self._empty.setText("")

    def place(self) -> Place:
        """Return where the reviewer is."""
        if self._model is None:
            return Place()
        record = record_of(self.table.currentIndex())
        selected = record.request_id if isinstance(record, Gate) else None
        scroll = self.table.verticalScrollBar().value()
        return Place(self._model.queue, self._model.order, self._text, self._type.currentData(), selected, scroll)

    def resume(self, place: Place) -> None:
        """Go back to where the reviewer was; the selection and the scroll follow once the gate is listed again."""
        if self._model is None:
            return
        self.show_queue(place.queue)
        self._order.setCurrentText(place.order.value)
        self._model.sort_by(place.order)
        self._type.setCurrentIndex(max(0, self._type.findData(place.gate_type)))
        self.show_text(place.text)
        self._sought = place if place.selected else None
        self._seek()

    def show_queue(self, queue: Queue) -> None:
        """Show another queue."""
        if self._model is None:
            return
        self._title.setText(queue.value.capitalize())
        if queue is not self._model.queue:
            self._model.show_queue(queue)
            if self._model.rowCount():
                self.select_row(0)
        self._order.setCurrentText(self._model.order.value)
        self.selected.emit(record_of(self.table.currentIndex()))

    def show_text(self, text: str) -> None:
        """Show only gates that hold every word of `text`."""
        self._text = text
        self._filter()

    def show_nothing(self, text: str) -> None:
        """Say why there is no list."""
        self._drop_kept()
        self._empty.setText(text)

    def set_loading(self, *, loading: bool) -> None:
        """Say whether the list may still be incomplete, so that emptiness is not claimed too early."""
        self._loading = loading
        self._tell_counts()

    def step(self, rows: int) -> None:
        """Move the selection down by `rows`, or up where they are negative."""
        if self._model is None or not self._model.rowCount():
            return
        row = max(0, min(self._model.rowCount() - 1, self.table.currentIndex().row() + rows))
        self.select_row(row)

    def select_row(self, row: int) -> None:
        """Select a row and scroll to it."""
        if self._model is not None:
            self.table.setCurrentIndex(self._model.index(row, 0))

    def _drop_kept(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            self.detach()
            self.table.hide()
            self._empty.show()
            kept.deleteLater()

    def _make_table(self) -> QTableView:
        table = QTableView()
        table.setAccessibleName("Gates")
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        table.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        table.setShowGrid(False)
        table.setMouseTracking(True)
        table.setTabKeyNavigation(False)
        table.horizontalHeader().setStretchLastSection(True)
        table.horizontalHeader().hide()
        rows = table.verticalHeader()
        rows.hide()
        rows.setSectionResizeMode(rows.ResizeMode.Fixed)
        rows.setMinimumSectionSize(1)
        rows.setDefaultSectionSize(self._theme.metrics.gate_row)
        return table

    def _make_delegate(self) -> "GateDelegate":
        if self._delegate is None:
            from hitl_desktop.widgets.gate_delegate import GateDelegate

            self._delegate = GateDelegate(self._theme, self.table)
            self.table.setItemDelegate(self._delegate)
        return self._delegate

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.setContentsMargins(16, 6, 8, 6)
        head.setSpacing(8)
        for widget in (self._title, self._count):
            head.addWidget(widget)
        head.addStretch()
        head.addWidget(self._type)
        head.addWidget(self._order)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(head)
        layout.addWidget(self._empty, 1)
        layout.addWidget(self.table, 1)
        self.table.hide()
        self.setFocusProxy(self.table)

    def _seek(self) -> None:
        """Select the gate that was selected when the reviewer left, as soon as it is listed."""
        if self._sought is None or self._model is None or self._sought.selected is None:
            return
        row = self._model.row_of(self._sought.selected)
        if row >= 0:
            self.select_row(row)
            # How far it can be scrolled is known once the table has its place and its rows.
            if (layout := self.layout()) is not None:
                layout.activate()
            self.table.doItemsLayout()
            self.table.verticalScrollBar().setValue(self._sought.scroll)
            self._sought = None

    def _moved(self, current: QModelIndex, _before: QModelIndex) -> None:
        # A table that has just become visible takes its first row as the current one, and selects none.
        if current.isValid() and not self.table.selectionModel().isSelected(current):
            self.table.selectionModel().select(current, _WHOLE_ROW)
        self.selected.emit(record_of(current))

    def _leaving(self, _parent: QModelIndex, first: int, last: int) -> None:
        """Move the selection to the next gate before the selected one leaves, as a reviewer works down the list."""
        current = self.table.currentIndex().row()
        if self._model is None or not first <= current <= last:
            return
        following = last + 1 if last + 1 < self._model.rowCount() else first - 1
        selection = self.table.selectionModel()
        if following >= 0:
            selection.setCurrentIndex(self._model.index(following, 0), _WHOLE_ROW)
        else:
            selection.clear()

    def _hold_still(self, _parent: QModelIndex, first: int, last: int) -> None:
        """Keep the rows on screen where they are when others arrive above them."""
        bar = self.table.verticalScrollBar()
        height = self._theme.metrics.gate_row
        if bar.value() and first * height < bar.value():
            bar.setValue(bar.value() + (last - first + 1) * height)

    def _sort(self) -> None:
        if self._model is not None:
            self._model.sort_by(Order(self._order.currentText()))

    def _filter(self) -> None:
        if self._model is not None:
            current = record_of(self.table.currentIndex())
            self._model.filter_by(self._text, self._type.currentData())
            row = self._model.row_of(current.request_id) if isinstance(current, Gate) else -1
            if row >= 0:
                self.select_row(row)

    def _tell_counts(self) -> None:
        if self._model is None:
            return
        shown, total = self._model.rowCount(), self._model.count(self._model.queue)
        self._count.setText(f"{total:,}" if shown == total else f"{shown:,} of {total:,}")
        self.table.setVisible(shown > 0)
        self._empty.setVisible(shown == 0)
        self._seek()
        if total:
            self._empty.setText("No gate matches. Esc clears the search.")
        elif not self._loading:
            self._empty.setText(_EMPTY[self._model.queue].format(place=self._place))
        else:
            self._empty.setText("Looking for gates …")


def _labels(choice: QComboBox) -> list[str]:
    return [choice.itemText(index) for index in range(choice.count())]
