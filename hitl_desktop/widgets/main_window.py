"""The window: toolbar, queues, gate list and review around one session's view-models.

What the first frame does not need, the review and the knowledge pane, is made when the first session is attached.
"""

import base64
import binascii
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray, QEvent, QSize, Qt, Signal
from PySide6.QtGui import QCloseEvent, QPaintEvent
from PySide6.QtWidgets import QFrame, QLabel, QMainWindow, QProgressBar, QSplitter, QVBoxLayout, QWidget

from hitl_desktop.domain.gate import Gate, Quarantined
from hitl_desktop.domain.outbox import OutboxEntry
from hitl_desktop.domain.projection import Queue
from hitl_desktop.domain.tenant import hue
from hitl_desktop.widgets.band import Band, Toast
from hitl_desktop.widgets.folding import Folding
from hitl_desktop.widgets.gate_pane import GatePane, Place
from hitl_desktop.widgets.icons import application_icon
from hitl_desktop.widgets.labels import label
from hitl_desktop.widgets.queue_list import QueueList
from hitl_desktop.widgets.tenant_colours import TenantColours
from hitl_desktop.widgets.theme import Theme
from hitl_desktop.widgets.toolbar import Toolbar
from hitl_desktop.widgets.words import ago, one_line

if TYPE_CHECKING:  # imported late, after the first frame
    from hitl_desktop.store.first_rows import FirstRows
    from hitl_desktop.sync.monitor import Connectivity
    from hitl_desktop.viewmodels.tenants import TenantListModel
    from hitl_desktop.viewmodels.window import WindowViewModel
    from hitl_desktop.widgets.knowledge_pane import KnowledgePane
    from hitl_desktop.widgets.review_pane import ReviewPane

_BAND_HEIGHT = 3
_NEUTRAL_HUE = 0
_APPLICATION = "HITL Desktop"


class MainWindow(QMainWindow):
    """One window for one tenant at a time.

    Signals: `painted` after the first frame, `tenant_chosen` with an id, `tenants_opening` before the list of tenants
    shows, `new_window_wanted`, `quit_wanted`, `demo_wanted`, `offline_switched` with whether to leave the network
    alone, and `closed` once it is closed.
    """

    painted = Signal()
    tenant_chosen = Signal(str)
    tenants_opening = Signal()
    new_window_wanted = Signal()
    quit_wanted = Signal()
    demo_wanted = Signal()
    offline_switched = Signal(bool)
    closed = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.theme = theme
        self._view: WindowViewModel | None = None
        self._was_painted = False
        self.setWindowTitle(_APPLICATION)
        # The window system puts its title bar on top.
        self.resize(QSize(1440, 900).boundedTo(self.screen().availableSize() - QSize(8, 40)))
        self.toolbar = Toolbar(theme)
        self.queues = QueueList()
        self.gates = GatePane(theme)
        self.review: ReviewPane | None = None
        self.knowledge: KnowledgePane | None = None
        self.connection_band = Band("offline")
        self.notice = Band("band")
        self.undo_band = Toast()
        self._undoable: OutboxEntry | None = None
        self._progress = QProgressBar(textVisible=False)
        self._progress.setFixedHeight(2)
        self._progress.hide()
        self._splitter = QSplitter(Qt.Orientation.Horizontal, childrenCollapsible=False)
        self._splitter.setHandleWidth(1)
        self._place_for_review = QFrame()
        self._place_for_review.setObjectName("review")
        self._colours = TenantColours(self, theme.hue_stylesheet())
        self.folding = Folding(self, self._splitter, (self.queues, self.gates), self.focus_work)
        self._lay_out()
        self._connect()

    def show_kept(self, rows: "FirstRows") -> None:
        """Show gates that are kept on this machine until the session opens, which knows them all."""
        if self._view is None and rows.gates:
            colour = hue(rows.tenant_id) if rows.tenant_id else _NEUTRAL_HUE
            self._name_tenant(rows.tenant_id, colour)
            self.gates.show_kept(rows.gates, colour)

    def attach(self, view: "WindowViewModel") -> None:
        """Show the session that `view` stands for."""
        self._make_late_parts()
        assert self.review is not None  # noqa: S101 - made above
        assert self.knowledge is not None  # noqa: S101 - made above
        self._view = view
        tenant = view.tenant_id
        colour = hue(tenant) if tenant else _NEUTRAL_HUE
        theme = self.theme.for_hue(colour)
        self._name_tenant(tenant, colour)
        self.setWindowIcon(application_icon(theme.accent(colour) if tenant else None))
        self.gates.attach(view.gates, f" in {tenant}" if tenant else "", colour)
        self.queues.select(Queue.PENDING)
        self.review.attach(view.review, view.outbox, theme)
        self.knowledge.attach(view.knowledge, theme)
        self._who.setText(f"{view.reviewer} · {view.address}")
        view.connectivity.connect(self._show_connectivity)
        view.noticed.connect(self._show_notice)
        view.failed.connect(self.notice.show_text)
        view.ticked.connect(self._tick)
        view.review.decided.connect(self._show_decided)
        view.review.decided.connect(self.focus_work)
        view.review.queued.connect(self._show_queued)
        view.outbox.told.connect(self._show_decided)
        view.outbox.failed.connect(self.notice.show_text)
        view.review.conflicted.connect(self._show_notice)
        view.gates.counts_changed.connect(self._show_counts)
        self._show_counts()
        self.gates.setFocus()

    def detach(self) -> None:
        """Let go of the session: nothing of its tenant stays on the screen or is referred to."""
        view, self._view = self._view, None
        if view is None:
            return
        view.disconnect(self)
        view.review.disconnect(self)
        view.outbox.disconnect(self)
        view.gates.disconnect(self)
        self.gates.detach()
        if self.review is not None:
            self.review.detach()
        if self.knowledge is not None:
            self.knowledge.detach()
        self.toolbar.search.clear()
        self.toolbar.tenant.clear()
        self.queues.show_counts(dict.fromkeys(Queue, 0))
        self.connection_band.hide()
        self.notice.hide()
        self._forget_undo()
        self.toolbar.show_outbox(0, 0)
        self._outbox.clear()
        self._progress.hide()
        self._who.clear()
        self.statusBar().clearMessage()
        self.setWindowTitle(_APPLICATION)
        self.setWindowIcon(application_icon())

    def _name_tenant(self, tenant_id: str | None, colour: int) -> None:
        self.setWindowTitle(f"{tenant_id} — {_APPLICATION}" if tenant_id else _APPLICATION)
        self._colours.change(self.theme.for_hue(colour).hue_stylesheet())
        self.toolbar.show_selector(visible=tenant_id is not None)
        if tenant_id:
            self.toolbar.tenant.set_tenant(tenant_id, colour)

    def resume(self, place: Place) -> None:
        """Go back to where the reviewer was among this tenant's gates."""
        self.toolbar.search.setText(place.text)
        self.queues.select(place.queue)
        self.gates.resume(place)

    def set_tenants(self, model: "TenantListModel") -> None:
        """Offer the tenants of `model`; with them come the parts that the first frame does without."""
        self._make_late_parts()
        self.toolbar.tenant.set_model(model)

    def show_problem(self, text: str) -> None:
        """Show one sentence about something that does not work."""
        self.notice.show_text(text)

    def show_no_tenant(self, *, can_fill: bool) -> None:
        """Say that there is no tenant to work for yet, and what to do."""
        self.toolbar.connection.set_state("No tenant", online=False)
        self._name_tenant(None, _NEUTRAL_HUE)
        self.toolbar.show_selector(visible=True)
        self.gates.show_nothing("No tenant is chosen.")
        text = "There is no tenant here yet: choose or type one at the top left."
        if can_fill:
            self.connection_band.show_text(f"{text} Or begin with demo data.", "Fill with demo data", closable=False)
        else:
            self.connection_band.show_text(text, closable=False)

    def show_offline_start(self, text: str) -> None:
        """Say why there is nothing to work with."""
        self.toolbar.connection.set_state("Not available", online=False)
        self.gates.show_nothing("There are no gates to show.")
        self.connection_band.show_text(text, closable=False)

    def geometry_text(self) -> str:
        """Return the window's size and place as text, for `restore`."""
        return base64.b64encode(self.saveGeometry().data()).decode()

    def restore(self, geometry: str) -> None:
        """Take the size and place of an earlier launch; what cannot be read is left aside."""
        try:
            data = base64.b64decode(geometry, validate=True)
        except (binascii.Error, ValueError):
            return
        if data:
            self.restoreGeometry(QByteArray(data))

    def refresh(self) -> None:
        """Look at the server now."""
        if self._view is not None:
            self._view.refresh()

    def toggle_knowledge(self) -> None:
        """Show the documents beside the gate, ready to search, or put them away."""
        if self.knowledge is not None:
            self.folding.beside(self.knowledge)
            if not self.knowledge.isHidden():
                self.knowledge.focus_search()

    def focus_work(self) -> None:
        """Go to the list, or to the evidence where the list is folded away: never to whatever comes next."""
        if not self.gates.isHidden():
            self.gates.table.setFocus()
        elif self.review is not None:
            self.review.evidence.tabs.setFocus()

    def step_back(self) -> None:
        """Go one step back: out of the search, then to the list. What is written stays."""
        if self.toolbar.search.text():
            self.toolbar.search.clear()
        self.focus_work()

    def closeEvent(self, event: QCloseEvent) -> None:
        """Tell that the window is closed; its session ends behind it."""
        super().closeEvent(event)
        self.closed.emit()

    def event(self, event: QEvent) -> bool:
        """Tell when the first frame has been painted."""
        handled = super().event(event)
        if not self._was_painted and isinstance(event, QPaintEvent):
            self._was_painted = True
            self.painted.emit()
        return handled

    def _lay_out(self) -> None:
        self._edge = QFrame()
        self._edge.setFixedHeight(_BAND_HEIGHT)
        self._edge.setObjectName("edge")
        self.setMenuWidget(self._edge)
        self.addToolBar(self.toolbar)
        for part in (self.queues, self.gates, self._place_for_review):
            self._splitter.addWidget(part)
        self._splitter.setSizes([self.theme.metrics.queues_width, self.theme.metrics.list_width, 880])
        self._splitter.setStretchFactor(2, 1)
        middle = QWidget()
        layout = QVBoxLayout(middle)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        for widget in (self._progress, self.connection_band, self.notice):
            layout.addWidget(widget)
        layout.addWidget(self._splitter, 1)
        self.setCentralWidget(middle)
        self.undo_band.float_in(middle)
        bands = (self._progress, self.connection_band, self.notice, self.undo_band)
        self._colours.add(self._edge, self.toolbar, self.queues, self.gates, *bands)
        status = self.statusBar()
        status.setSizeGripEnabled(False)
        status.setFixedHeight(self.theme.metrics.status_bar)
        self._who: QLabel = label()
        self._who.setContentsMargins(12, 0, 0, 0)
        status.addWidget(self._who)
        self._outbox: QLabel = label(tone="muted")
        status.addWidget(self._outbox)
        keys = label("? keys    Ctrl+K tenant    j k next    a approve    r reject")
        keys.setContentsMargins(0, 0, 12, 0)
        status.addPermanentWidget(keys)

    def _connect(self) -> None:
        self.toolbar.tenant.chosen.connect(self.tenant_chosen)
        self.toolbar.tenant.opening.connect(self.tenants_opening)
        self.toolbar.refreshed.connect(self.refresh)
        self.toolbar.searched.connect(self.gates.show_text)
        self.queues.chosen.connect(self.gates.show_queue)
        self.queues.knowledge_wanted.connect(self.toggle_knowledge)
        self.gates.selected.connect(self._selected)
        self.connection_band.acted.connect(self.demo_wanted)
        self.undo_band.acted.connect(self.undo)
        self.toolbar.outbox_wanted.connect(self._show_outbox)
        self.toolbar.offline_switched.connect(self.offline_switched)

    def _make_late_parts(self) -> None:
        if self.review is not None:
            return
        from hitl_desktop.widgets.shortcuts import add_shortcuts

        add_shortcuts(self)
        self.setWindowIcon(application_icon())
        self.toolbar.draw_icons()
        from hitl_desktop.widgets.knowledge_pane import KnowledgePane
        from hitl_desktop.widgets.review_pane import ReviewPane

        self.review = ReviewPane(self.theme)
        self.knowledge = KnowledgePane(self.theme)
        self._colours.add(self.review.page, self.knowledge)
        self._splitter.replaceWidget(2, self.review)
        self._place_for_review.deleteLater()
        self._splitter.addWidget(self.knowledge)
        self._splitter.setStretchFactor(2, 1)
        self.knowledge.hide()

    def _selected(self, record: Gate | Quarantined | None) -> None:
        if self._view is None or self.review is None:
            return
        if isinstance(record, Quarantined):
            self._view.review.open(None)
            self.review.show_quarantined(record)
        else:
            self._view.review.open(record.request_id if record else None)

    def _show_counts(self) -> None:
        if self._view is not None:
            counts = {queue: self._view.gates.count(queue) for queue in Queue}
            self.queues.show_counts(counts)
            self.toolbar.tenant.set_pending(counts[Queue.PENDING])
            self.toolbar.show_outbox(counts[Queue.OUTBOX], counts[Queue.CONFLICTS])
            self._tell_outbox()

    def _show_connectivity(self, now: "Connectivity") -> None:
        online = now.phase.value in {"online", "loading"}
        self._tell_connection(now, online=online)
        self._progress.setVisible(now.phase.value == "loading" and now.total > now.loaded)
        self._progress.setMaximum(max(1, now.total))
        self._progress.setValue(now.loaded)
        self.gates.set_loading(loading=now.phase.value in {"loading", "connecting"})
        if now.problem:
            away = now.phase.value == "working offline"
            self.connection_band.show_text(
                now.problem if away else f"{now.problem} What is listed stays readable.", closable=False
            )
        else:
            self.connection_band.hide()

    def _tell_connection(self, now: "Connectivity", *, online: bool) -> None:
        word = {"loading": "Loading …", "connecting": "Connecting …"}.get(now.phase.value, now.phase.value.capitalize())
        heard = self._view.heard if self._view is not None else None
        if heard is not None and now.phase.value == "online":
            word = f"{word} · {ago(heard, datetime.now(UTC))}"
        self.toolbar.connection.set_state(word, online=online)

    def _show_notice(self, text: str) -> None:
        self.notice.show_text(one_line(text))

    def undo(self) -> None:
        """Take the newest decision back, while it can be."""
        if self._view is not None and self._undoable is not None:
            self._view.outbox.undo(self._undoable)
        self._forget_undo()

    def _show_queued(self, entry: OutboxEntry) -> None:
        self.focus_work()
        what = f"{entry.decision.verdict.capitalize()}: {one_line(entry.gate.summary) or entry.request_id}"
        if entry.held_until is None:
            self._show_decided(f"Queued · {what}")
            return
        self._undoable = entry
        self.undo_band.show_text(f"Queued · {what}", "Undo   Ctrl+Z")

    def _forget_undo(self) -> None:
        self._undoable = None
        self.undo_band.hide()

    def _tell_outbox(self) -> None:
        if self._view is None:
            return
        parts = [f"{count} {state}" for state, count in self._view.outbox.counts().items()]
        if drafts := self._view.review.draft_count:
            parts.insert(0, f"{drafts} draft{'' if drafts == 1 else 's'}")
        done, total = self._view.kept
        kept = f"evidence here {done} of {total}" if done < total else ""
        self._outbox.setText("".join(f"· {part} " for part in (*parts, kept) if part))

    def _show_outbox(self) -> None:
        if self._view is None:
            return
        queue = Queue.OUTBOX if self._view.gates.count(Queue.OUTBOX) else Queue.CONFLICTS
        self.queues.select(queue)
        self.gates.show_queue(queue)

    def _show_decided(self, text: str) -> None:
        self.statusBar().showMessage(text, 8_000)

    def _tick(self) -> None:
        if self._undoable is not None and datetime.now(UTC) >= (self._undoable.held_until or datetime.now(UTC)):
            self._forget_undo()
        self._tell_outbox()
        if self.review is not None:
            self.review.tick()
        self.gates.table.viewport().update()
        if self._view is not None and self._view.connectivity_now.phase.value == "online":
            self._tell_connection(self._view.connectivity_now, online=True)
