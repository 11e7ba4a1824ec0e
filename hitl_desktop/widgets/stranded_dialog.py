"""Decisions for a tenant that may not be worked for any more: a window of its own, in which no other tenant shows."""

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QObject, Qt
from PySide6.QtWidgets import QComboBox, QDialog, QHBoxLayout, QListWidget, QVBoxLayout, QWidget

from hitl_desktop.domain.outbox import OutboxEntry
from hitl_desktop.viewmodels.stranded import StrandedViewModel
from hitl_desktop.widgets.band import Band
from hitl_desktop.widgets.conflict_card import ConflictCard
from hitl_desktop.widgets.labels import label, line
from hitl_desktop.widgets.queue_list import QueueList
from hitl_desktop.widgets.words import exact, one_line

_SIZE = (760, 560)
_NOTHING_LOST = (
    "They stay on this machine, encrypted, and go out by themselves once the tenant is allowed again. Until then you "
    "can export or withdraw them; no server is asked."
)


class StrandedDialog(QDialog):
    """Lists what waits for one tenant, with the card of the decision that is selected."""

    def __init__(self, stranded: StrandedViewModel, tenant_id: str | None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(*_SIZE)
        self._stranded = stranded
        self._tenant_id = tenant_id
        self._entries: tuple[OutboxEntry, ...] = ()
        self._heading = label(tone="heading", wraps=True)
        self._why = label(wraps=True)
        self._kept = label(_NOTHING_LOST, "muted", wraps=True)
        self.tenants = QComboBox()
        self.tenants.setAccessibleName("Tenant")
        self.tenants.setPlaceholderText("Other tenants")
        self.tenants.activated.connect(lambda row: self._show_tenant(self.tenants.itemData(row)))
        self.rows = QListWidget()
        self.rows.setObjectName("stranded")
        self.rows.setAccessibleName("Decisions that cannot be sent")
        self.rows.currentRowChanged.connect(self._show_row)
        self.card = ConflictCard(local=True)
        self.card.withdrawn.connect(self._withdraw)
        self.card.exported.connect(self._export)
        self._told = label(tone="muted", wraps=True)
        self._told.hide()
        self._lay_out()
        stranded.changed.connect(self._list_tenants)
        stranded.read.connect(self._show_rows)
        stranded.told.connect(self._tell)
        stranded.failed.connect(self._tell)
        self._list_tenants()
        self._show_tenant(tenant_id)
        self.rows.setFocus()

    @property
    def current(self) -> OutboxEntry | None:
        """The decision that is selected."""
        row = self.rows.currentRow()
        return self._entries[row] if 0 <= row < len(self._entries) else None

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.addWidget(self._heading, 1)
        head.addWidget(self.tenants, 0, Qt.AlignmentFlag.AlignTop)
        top = QVBoxLayout()
        top.setContentsMargins(20, 16, 20, 12)
        top.setSpacing(8)
        top.addLayout(head)
        top.addWidget(self._why)
        top.addWidget(self._kept)
        top.addWidget(self._told)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(top)
        layout.addWidget(line())
        layout.addWidget(self.rows, 1)
        layout.addWidget(self.card)

    def _list_tenants(self) -> None:
        self.tenants.clear()
        for one in self._stranded.found:
            self.tenants.addItem(one.whose, one.tenant_id)
        ids = [one.tenant_id for one in self._stranded.found]
        is_there = self._tenant_id in ids
        self.tenants.setCurrentIndex(ids.index(self._tenant_id) if is_there else -1)
        self.tenants.setVisible(len(ids) > is_there)

    def _show_tenant(self, tenant_id: str | None) -> None:
        self._tenant_id = tenant_id
        found = self._stranded.of(tenant_id)
        whose = tenant_id or "single-tenant mode"
        self.setWindowTitle(f"{whose}, not allowed any more — HITL Desktop")
        self._heading.setText(f"Your decisions for {whose} cannot be sent")
        self._why.setText("" if found is None else one_line(found.problem))
        self._entries = ()
        self.rows.clear()
        self.card.hide()
        self._tell("")
        self._stranded.look(tenant_id)

    def _show_rows(self, tenant_id: str | None, entries: Sequence[OutboxEntry]) -> None:
        if tenant_id != self._tenant_id:
            return
        row = max(0, self.rows.currentRow())
        self._entries = ()
        self.rows.clear()
        self._entries = tuple(entries)
        self.rows.addItems([_in_short(entry) for entry in entries])
        self.rows.setCurrentRow(min(row, len(entries) - 1))
        for text in (self._why, self._kept):
            text.setVisible(bool(entries))
        if not entries:
            self._heading.setText(f"Nothing is left to answer for {tenant_id or 'single-tenant mode'}")

    def _tell(self, text: str) -> None:
        self._told.setText(text)
        self._told.setVisible(bool(text))

    def _show_row(self) -> None:
        entry = self.current
        if entry is None:
            self.card.hide()
        else:
            self.card.show_entry(entry, entry.gate)

    def _withdraw(self) -> None:
        if self.current is not None:
            self._stranded.withdraw(self._tenant_id, self.current)

    def _export(self, path: Path) -> None:
        if self.current is not None:
            self._stranded.export(self._tenant_id, self.current, path)


class StrandedAccess(QObject):
    """The ways to that dialog in one window: an entry below its queues, and the button of a notice."""

    def __init__(self, window: QWidget, queues: QueueList, notice: Band, stranded: StrandedViewModel) -> None:
        super().__init__(window)
        self._window = window
        self._queues = queues
        self._notice = notice
        self._stranded = stranded
        self._about: str | None = None
        self.dialog: StrandedDialog | None = None
        queues.stranded_wanted.connect(self._open_first)
        notice.acted.connect(lambda: self.open(self._about))
        stranded.changed.connect(self._count)
        self._count()

    def tell(self, text: str, tenant_id: str | None) -> None:
        """Show a notice, with a way to what waits for the tenant, if anything does."""
        self._about = tenant_id
        self._notice.show_text(text, "Show" if self._stranded.of(tenant_id) is not None else "")

    def open(self, tenant_id: str | None) -> None:
        """Show what waits for a tenant."""
        self.close()
        self._notice.hide()
        self.dialog = StrandedDialog(self._stranded, tenant_id, self._window)
        self.dialog.finished.connect(self._forget)
        self.dialog.show()

    def close(self) -> None:
        """Close what is open: the window closes."""
        if self.dialog is not None:
            self.dialog.close()

    def _open_first(self) -> None:
        if self._stranded.found:
            self.open(self._stranded.found[0].tenant_id)

    def _forget(self) -> None:
        self.dialog = None

    def _count(self) -> None:
        self._queues.show_stranded(sum(one.count for one in self._stranded.found))


def _in_short(entry: OutboxEntry) -> str:
    decision = entry.decision
    summary = one_line(entry.gate.summary) or "(no summary)"
    task = one_line(entry.gate.task_id)
    return f"{decision.verdict.capitalize()} · {summary}\n{task} · {exact(decision.decided_at)}"
