"""The review of one gate: its evidence, what the reviewer has written so far, and the decision."""

import logging
from dataclasses import replace

from PySide6.QtCore import QObject, QTimer, Signal

from hitl_desktop.domain.decision import Decided, Decision, Draft, Severity, Verdict
from hitl_desktop.domain.gate import Gate
from hitl_desktop.domain.outbox import AlreadyQueuedError, OutboxEntry
from hitl_desktop.services.errors import Conflict, ServiceError
from hitl_desktop.session import OpenGate, ReviewSession
from hitl_desktop.store.errors import StoreError
from hitl_desktop.viewmodels.tasks import Tasks

_SAVED_WITHIN_MS = 500
_log = logging.getLogger(__name__)


class ReviewViewModel(QObject):
    """The gate that is open, and the decision about it.

    Signals: `opened` with the OpenGate, `closed` when there is none, `loading` while one is read, `problem` with a
    sentence about the open gate, `queued` with the row of the outbox, `decided` with a sentence, `conflicted` with one
    that must outlast the gate on the screen, `busy` while a decision is on its way.
    """

    opened = Signal(object)
    closed = Signal()
    loading = Signal(str)
    problem = Signal(str)
    queued = Signal(object)
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
        self._unsaved: dict[str, Draft] = {}
        self._viewed: dict[tuple[str, str], set[int]] = {}
        self._saving = QTimer(self, interval=_SAVED_WITHIN_MS, singleShot=True)
        self._saving.timeout.connect(self.save_drafts)

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
        is_another, self._wanted = request_id != self._wanted, request_id
        if is_another:
            self._open = None
            self.loading.emit(request_id)
        self._tasks.start(self._session.open_gate(request_id), self._arrived, lambda e: self._failed(request_id, e))

    def reload(self) -> None:
        """Read the open gate again."""
        if self._wanted is not None:
            self.open(self._wanted)

    @property
    def draft(self) -> Draft:
        """What is written so far about the wanted gate."""
        return self._drafts.get(self._wanted or "", Draft())

    @property
    def draft_count(self) -> int:
        """About how many gates something is written and not decided."""
        return sum(draft != Draft() for draft in self._drafts.values())

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
        seen = self._viewed.setdefault(self._seen_as, set())
        if item not in seen and self._open is not None:
            self._tasks.start(self._session.mark_viewed(self._open.gate, item), None, _unkept)
        seen.add(item)
        return len(seen)

    def is_viewed(self, item: int) -> bool:
        """Whether a piece of evidence of the open gate was seen."""
        return item in self._viewed.get(self._seen_as, ())

    def restore(self) -> None:
        """Take up what was written and seen before the application was last closed, or ended."""
        self._tasks.start(self._session.drafts(), self._take_drafts, _unkept)
        self._tasks.start(self._session.viewed(), self._viewed.update, _unkept)

    @property
    def entry(self) -> OutboxEntry | None:
        """The reviewer's own decision about the open gate, if the outbox has one."""
        return None if self._wanted is None else self._session.book.decisions.get(self._wanted)

    def entry_changed(self, request_id: str) -> None:
        """Take note that the reviewer's own decision about a gate moved on."""
        if request_id == self._wanted and self._open is not None:
            self.opened.emit(self._open)

    def review_again(self) -> None:
        """Take a decision that could not be delivered back into what is written, to decide on what is there now."""
        entry = self.entry
        if entry is None:
            return
        self._keep(_words(entry.decision))
        self._tasks.start(self._session.outbox.accept(entry.decision_id), lambda _done: self.reload(), self._unanswered)

    def take_back(self, entry: OutboxEntry) -> None:
        """Let what an undone decision said be written again, unless something else is by now."""
        decision, name = entry.decision, entry.request_id
        if self._drafts.get(name, Draft()) == Draft():
            self._drafts[name] = self._unsaved[name] = _words(decision)
            self.save_drafts()
            if self._open is not None and self._wanted == name:
                self.opened.emit(self._open)

    def show_then(self) -> None:
        """Show the evidence as it was when the reviewer decided; `reload` shows what is there now."""
        if self.entry is not None:
            self._tasks.start(self._session.as_decided(self.entry), self._arrived, self._unanswered)

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
        work = self._session.submit(
            gate,
            verdict,
            reason=draft.reason,
            conditions=draft.conditions,
            severity=draft.severity,
            tags=draft.tags,
        )
        self._tasks.start(
            work,
            lambda result: self._was_taken(result, gate),
            lambda error: self._was_not_decided(error, gate.summary),
        )

    def _take_drafts(self, drafts: dict[str, Draft]) -> None:
        self._drafts = {**drafts, **self._drafts}
        if self._open is not None and self._wanted in drafts:
            self.opened.emit(self._open)

    @property
    def _seen_as(self) -> tuple[str, str]:
        return (self._wanted or "", "" if self._open is None else self._open.gate.evidence_bundle_id)

    def _keep(self, draft: Draft) -> None:
        if self._wanted is not None:
            self._drafts[self._wanted] = draft
            self._unsaved[self._wanted] = draft
            if not self._saving.isActive():
                self._saving.start()

    def save_drafts(self) -> None:
        """Keep on this machine what was written since the last time."""
        self._tasks.start(self.flush(), None, self._unsaved_for)

    async def flush(self) -> None:
        """Keep what was written, and return once it is kept.

        Raises:
            StoreError: the disk is full.
        """
        self._saving.stop()
        unsaved, self._unsaved = self._unsaved, {}
        try:
            # Even where there is nothing new: what is being saved already is saved when this returns.
            await self._session.keep_drafts(unsaved)
        except StoreError:
            self._unsaved = unsaved | self._unsaved
            raise

    def _unsaved_for(self, error: Exception) -> None:
        self.problem.emit(f"What you write is not kept on this machine: {error}")

    def _unanswered(self, error: Exception) -> None:
        self.problem.emit(str(error))

    def _arrived(self, found: OpenGate) -> None:
        if found.gate.request_id == self._wanted:
            self._open = found
            self.opened.emit(found)

    def _failed(self, request_id: str, error: Exception) -> None:
        if request_id == self._wanted:
            known = isinstance(error, (ServiceError, StoreError))
            self.problem.emit(str(error) if known else "The gate cannot be shown.")

    def _was_taken(self, result: OutboxEntry | Decided, gate: Gate) -> None:
        self._idle()
        if self._drafts.pop(gate.request_id, None) is not None:
            self._unsaved[gate.request_id] = Draft()
            self.save_drafts()
        if isinstance(result, OutboxEntry):
            self.queued.emit(result)
        else:
            self.decided.emit(f"{result.status.capitalize()}{self.place}: {gate.summary or gate.request_id}")

    def _was_not_decided(self, error: Exception, summary: str) -> None:
        self._idle()
        if isinstance(error, Conflict):
            self.conflicted.emit(f"“{summary}”: {error}" if summary else str(error))
            self.reload()
        elif isinstance(error, (ServiceError, StoreError, AlreadyQueuedError, ValueError)):
            self.problem.emit(str(error))
        else:
            self.problem.emit("The decision failed inside the application; look at the gate again.")

    def _idle(self) -> None:
        self._deciding = False
        self.busy.emit(False)  # noqa: FBT003 - as above


def _words(decision: Decision) -> Draft:
    return Draft(decision.reason, decision.conditions, decision.severity, decision.tags)


def _unkept(error: Exception) -> None:
    # Only a mark or an older draft is lost; the session tells what is wrong with the store itself.
    _log.info("Not kept: %s", error)
