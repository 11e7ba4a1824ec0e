"""The reviewer's own decisions on their way: undo, the answers to conflicts, and how many there are."""

import asyncio
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from hitl_desktop.domain.outbox import Cause, NotWithdrawableError, OutboxEntry, OutboxState
from hitl_desktop.session import ReviewSession
from hitl_desktop.session.export import export_document
from hitl_desktop.viewmodels.tasks import Tasks

_TOLD = frozenset(OutboxState) - {OutboxState.DELIVERED, OutboxState.DRAFT}


class OutboxViewModel(QObject):
    """Signals: `told` with a sentence about what was done, `failed` with one about what was not.

    `undone` comes with the row of a decision that was taken back.
    """

    told = Signal(str)
    undone = Signal(object)
    failed = Signal(str)

    def __init__(self, session: ReviewSession, tasks: Tasks, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._tasks = tasks

    def entry(self, request_id: str) -> OutboxEntry | None:
        """Return the reviewer's own decision about a gate, if the outbox has one."""
        return self._session.book.decisions.get(request_id)

    def counts(self) -> dict[str, int]:
        """Return how many decisions are in each state, delivered ones left out."""
        counts = self._session.book.decision_counts
        return {state.value: counts[state] for state in OutboxState if state in _TOLD and counts[state]}

    def undo(self, entry: OutboxEntry) -> None:
        """Take a decision back that was not sent yet."""
        self._tasks.start(
            self._session.outbox.withdraw(entry.decision_id),
            lambda _done: self._was_undone(entry),
            self._failed,
        )

    def _was_undone(self, entry: OutboxEntry) -> None:
        self.undone.emit(entry)
        self.told.emit(f"Undone: “{name_of(entry)}” waits for you again.")

    def accept(self, entry: OutboxEntry) -> None:
        """Let the server's side stand."""
        self._tasks.start(
            self._session.outbox.accept(entry.decision_id),
            lambda _done: self.told.emit(f"Answered: the server's side stands for “{name_of(entry)}”."),
            self._failed,
        )

    def retry(self, entry: OutboxEntry) -> None:
        """Send a decision again that the server did not take, or try once more to log in."""
        self._tasks.start(
            self._session.outbox.retry(entry.decision_id),
            lambda _count: self.told.emit(f"Trying again: “{name_of(entry)}”."),
            self._failed,
        )
        if entry.cause is Cause.CREDENTIALS:
            self._tasks.start(self._session.refresh())

    def send_now(self, entry: OutboxEntry) -> None:
        """Send a decision before the time to undo it is over."""
        self._tasks.start(self._session.outbox.release(entry.decision_id), None, self._failed)

    def export(self, entry: OutboxEntry, path: Path) -> None:
        """Write a decision, and the evidence it was made on, to a new file for the account's eyes alone."""
        self._tasks.start(
            self._write(entry, path), lambda _done: self.told.emit(f"Exported to {path.name}."), self._failed
        )

    async def _write(self, entry: OutboxEntry, path: Path) -> None:
        fields = await self._session.outbox.fields(entry.decision_id)
        await write_export(export_document(entry, self._session.tenant_id, fields), path)

    def _failed(self, error: Exception) -> None:
        self.failed.emit(why_not_done(error))


def why_not_done(error: Exception) -> str:
    """Return in a sentence why something about a decision was not done."""
    if isinstance(error, NotWithdrawableError):
        return str(error)
    if isinstance(error, OSError):
        return f"The file cannot be written: {error.strerror}."
    return f"That was not done: {error}"


async def write_export(document: Mapping[str, Any], path: Path) -> None:
    """Write an exported decision to a new file for the account's eyes alone.

    Raises:
        OSError: it cannot be written.
    """
    await asyncio.to_thread(_write_private, path, json.dumps(document, indent=2))


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def name_of(entry: OutboxEntry) -> str:
    """Return what a sentence calls a decision: the summary of its gate."""
    return entry.gate.summary or entry.request_id
