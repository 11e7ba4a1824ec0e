"""All that one window shows of one session; made anew for each tenant and closed with it."""

from contextlib import suppress
from datetime import datetime

from PySide6.QtCore import QElapsedTimer, QObject, QTimer, Signal

from hitl_desktop.session import ReviewSession
from hitl_desktop.store.errors import StoreError
from hitl_desktop.sync.book import Change
from hitl_desktop.sync.monitor import Connectivity, Phase
from hitl_desktop.viewmodels.gate_list import GateListModel
from hitl_desktop.viewmodels.knowledge import KnowledgeViewModel
from hitl_desktop.viewmodels.outbox import OutboxViewModel
from hitl_desktop.viewmodels.review import ReviewViewModel
from hitl_desktop.viewmodels.tasks import Tasks

_TICK_MS = 1_000
_PROGRESS_EVERY_MS = 100


class WindowViewModel(QObject):
    """The view-models of one session.

    Signals: `connectivity` with the connection's state, `noticed` with a sentence about what the reviewer should know,
    `failed` with a sentence about something that was asked for and not done, `ticked` every second.
    """

    connectivity = Signal(object)
    noticed = Signal(str)
    failed = Signal(str)
    ticked = Signal()

    def __init__(self, session: ReviewSession, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.tenant_id = session.tenant_id
        self.reviewer = session.reviewer
        self.address = session.address
        self._tasks = Tasks(session.context, self)
        self._tasks.failed.connect(self.failed)
        self.gates = GateListModel(self)
        self.review = ReviewViewModel(session, self._tasks, self)
        self.outbox = OutboxViewModel(session, self._tasks, self)
        self.outbox.undone.connect(self.review.take_back)
        self.knowledge = KnowledgeViewModel(session, self._tasks, self)
        self._shown: Phase | None = None
        self._problems: tuple[str, ...] = ()
        self._progress = QElapsedTimer()
        self._progress.start()
        self._clock = QTimer(self, interval=_TICK_MS)
        self._clock.timeout.connect(self._tick)

    def start(self) -> None:
        """Begin to follow the session."""
        self._session.book.follow(self._changed)
        # What is known by now is there in the first frame.
        self.gates.flush()
        self._session.monitor.follow(self._told)
        self._clock.start()
        self.review.restore()

    def refresh(self) -> None:
        """Look at the server now."""
        self._tasks.start(self._session.refresh())

    async def close(self) -> None:
        """Stop following and cancel what is in flight; nothing is emitted afterwards."""
        self._clock.stop()
        with suppress(StoreError):  # a full disk was told while writing
            await self.review.flush()
        self._session.book.unfollow(self._changed)
        self._session.monitor.unfollow(self._told)
        await self._tasks.close()

    @property
    def kept(self) -> tuple[int, int]:
        """How many of how many pending gates have their evidence on this machine."""
        return self._session.monitor.kept

    @property
    def heard(self) -> datetime | None:
        """When the server last answered."""
        return self._session.monitor.heard

    @property
    def connectivity_now(self) -> Connectivity:
        """The connection's state."""
        return self._session.monitor.now

    def _changed(self, change: Change) -> None:
        self.gates.apply(change)
        current = self.review.current
        opened = None if current is None or change.bulk else current.gate.request_id
        if opened is not None and any(gate.request_id == opened for gate in change.gates):
            self.review.reload()
        for name, _entry in change.decisions:
            self.review.entry_changed(name)
        for task in change.missed_restarts:
            self.noticed.emit(
                f"No agent has started on {task} since its gate was rejected: its restart may have been dropped as a "
                "duplicate, so start it again."
            )
        for clash in change.clashes:
            name = clash.summary or clash.request_id
            self.noticed.emit(
                f"“{name}” was {clash.ours} here, but the orchestrator also announced it {clash.theirs}: "
                "agents may follow either, so tell its requester which one holds."
            )

    def _told(self, now: Connectivity) -> None:
        # A load tells of every page; the screen follows a few times a second.
        if now.phase is not self._shown or self._progress.hasExpired(_PROGRESS_EVERY_MS):
            self._shown = now.phase
            self._progress.restart()
            if now.phase is Phase.ONLINE:
                self.gates.flush()
            self.connectivity.emit(now)

    def _tell_problems(self) -> None:
        told, self._problems = self._problems, self._session.problems
        for problem in self._problems:
            if problem not in told:
                self.noticed.emit(problem)

    def _tick(self) -> None:
        self._tell_problems()
        self.gates.tick()
        self.ticked.emit()
