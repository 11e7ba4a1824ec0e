"""The review of one gate: its evidence, what the reviewer has written so far, and the decision."""

from dataclasses import replace

from PySide6.QtCore import QObject, Signal

from hitl_desktop.domain.decision import Decided, Draft, Severity, Verdict
from hitl_desktop.services.errors import Conflict, ServiceError
from hitl_desktop.session import OpenGate, ReviewSession
from hitl_desktop.viewmodels.tasks import Tasks


class ReviewViewModel(QObject):
    """The gate that is open, and the decision about it.

    Signals: `opened` with the OpenGate, `closed` when there is none, `loading` while one is read, `problem` with a
    sentence about the open gate, `decided` with a sentence, `conflicted` with one that must outlast the gate on the
    screen, `busy` while a decision is on its way.
    """

    opened = Signal(object)
    closed = Signal()
    loading = Signal(str)
    problem = Signal(str)
    decided = Signal(str)
    conflicted = Signal(str)
    busy = Signal(bool)

    def __init__(self, session: ReviewSession, tasks: Tasks, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._tasks = tasks
        self._wanted: str | None = None
        self._open: OpenGate | None = None
        self._deciding = False
        self._drafts: dict[str, Draft] = {}
        self._viewed: dict[str, set[int]] = {}

    @property
    def current(self) -> OpenGate | None:
        """The gate that is open; None while there is none or it is still being read."""
        return self._open

    @property
    def place(self) -> str:
        """For whom a decision is made: ` for acme-corp`, or nothing in single-tenant mode."""
        return f" for {self._session.tenant_id}" if self._session.tenant_id else ""

    def open(self, request_id: str | None) -> None:
        """Open another gate, or none; a late reply for one that is no longer wanted is dropped."""
        if request_id is None:
            self._wanted, self._open = None, None
            self.closed.emit()
            return
        if request_id != self._wanted:
            self._open = None
            self.loading.emit(request_id)
        self._wanted = request_id
        self._tasks.start(self._session.open_gate(request_id), self._arrived, lambda e: self._failed(request_id, e))

    def reload(self) -> None:
        """Read the open gate again."""
        if self._wanted is not None:
            self.open(self._wanted)

    @property
    def draft(self) -> Draft:
        """What is written so far about the wanted gate."""
        return self._drafts.get(self._wanted or "", Draft())

    def write(self, *, reason: str | None = None, conditions: tuple[str, ...] | None = None) -> None:
        """Keep what the reviewer types."""
        draft = self.draft
        draft = draft if reason is None else replace(draft, reason=reason)
        self._keep(draft if conditions is None else replace(draft, conditions=conditions))

    def weigh(self, severity: Severity | None, tags: tuple[str, ...]) -> None:
        """Keep the severity and the tags that the reviewer chose."""
        self._keep(replace(self.draft, severity=severity, tags=tags))

    def mark_viewed(self, item: int) -> int:
        """Note that the reviewer has seen a piece of evidence; return how many of the open gate's were seen."""
        seen = self._viewed.setdefault(self._wanted or "", set())
        seen.add(item)
        return len(seen)

    def is_viewed(self, item: int) -> bool:
        """Whether a piece of evidence of the open gate was seen."""
        return item in self._viewed.get(self._wanted or "", ())

    def decide(self, verdict: Verdict) -> None:
        """Decide about the open gate with what is written; nothing happens while one decision is on its way."""
        if self._open is None or self._deciding:
            return
        draft, gate = self.draft, self._open.gate
        if verdict is Verdict.REJECTED and not draft.reason.strip():
            self.problem.emit("Write the reason first: the agent starts again from what you write.")
            return
        self._deciding = True
        self.busy.emit(True)  # noqa: FBT003 - Qt's signals take no names
        work = self._session.decide(
            gate,
            verdict,
            reason=draft.reason,
            conditions=draft.conditions,
            severity=draft.severity,
            tags=draft.tags,
        )
        self._tasks.start(
            work,
            lambda decided: self._was_decided(decided, gate.summary),
            lambda error: self._was_not_decided(error, gate.summary),
        )

    def _keep(self, draft: Draft) -> None:
        if self._wanted is not None:
            self._drafts[self._wanted] = draft

    def _arrived(self, found: OpenGate) -> None:
        if found.gate.request_id == self._wanted:
            self._open = found
            self.opened.emit(found)

    def _failed(self, request_id: str, error: Exception) -> None:
        if request_id == self._wanted:
            self.problem.emit(str(error) if isinstance(error, ServiceError) else "The gate cannot be shown.")

    def _was_decided(self, decided: Decided, summary: str) -> None:
        self._idle()
        self._drafts.pop(decided.request_id, None)
        self.decided.emit(f"{decided.status.capitalize()}{self.place}: {summary or decided.request_id}")

    def _was_not_decided(self, error: Exception, summary: str) -> None:
        self._idle()
        if isinstance(error, Conflict):
            self.conflicted.emit(f"“{summary}”: {error}" if summary else str(error))
            self.reload()
        elif isinstance(error, (ServiceError, ValueError)):
            self.problem.emit(str(error))
        else:
            self.problem.emit("The decision failed inside the application; look at the gate again.")

    def _idle(self) -> None:
        self._deciding = False
        self.busy.emit(False)  # noqa: FBT003 - as above
