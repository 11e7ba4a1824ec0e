"""Decisions for tenants that may not be worked for, for all windows: which there are, and what is done about them."""

import contextvars
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from hitl_desktop.domain.outbox import OutboxEntry, decisions
from hitl_desktop.session.stranded import Stranded, open_stranded
from hitl_desktop.settings import Settings
from hitl_desktop.viewmodels.outbox import name_of, why_not_done, write_export
from hitl_desktop.viewmodels.tasks import Tasks


class StrandedViewModel(QObject):
    """Signals: `changed` when there are others or more, `read` with a tenant and the rows of its outbox.

    `told` comes with a sentence about what was done, `failed` with one about what was not.
    """

    changed = Signal()
    read = Signal(object, object)
    told = Signal(str)
    failed = Signal(str)

    def __init__(self, settings: Settings, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._settings = settings
        # In no tenant's context, so that whatever went astray here would be refused.
        self._tasks = Tasks(contextvars.Context(), self)
        self._found: dict[str | None, Stranded] = {}
        self._announced: set[str | None] = set()

    @property
    def found(self) -> tuple[Stranded, ...]:
        """What waits, by tenant."""
        return tuple(self._found.values())

    @property
    def sentence(self) -> str:
        """What the reviewer is told of all that waits."""
        found = self.found
        if len(found) == 1:
            return found[0].sentence
        whose = ", ".join(f"{one.count} for {one.whose}" for one in found)
        count = decisions(sum(one.count for one in found))
        return (
            f"{count} cannot be delivered, since you may no longer work for their tenants ({whose}): nothing is lost."
        )

    def of(self, tenant_id: str | None) -> Stranded | None:
        """Return what waits for one tenant; None where nothing does."""
        return self._found.get(tenant_id)

    def note(self, stranded: Stranded) -> bool:
        """Take in what waits for a tenant, and return whether the reviewer has not been told of it yet."""
        tenant_id = stranded.tenant_id
        before = self._found.get(tenant_id)
        if stranded.count:
            self._found[tenant_id] = stranded
        else:
            self._found.pop(tenant_id, None)
        if self._found.get(tenant_id) != before:
            self.changed.emit()
        is_news = bool(stranded.count) and tenant_id not in self._announced
        if is_news:
            self._announced.add(tenant_id)
        return is_news

    def look(self, tenant_id: str | None) -> None:
        """Read what waits for a tenant; `read` brings it."""
        self._tasks.start(
            self._entries(tenant_id), lambda entries: self.read.emit(tenant_id, entries), self._was_not_done
        )

    def withdraw(self, tenant_id: str | None, entry: OutboxEntry) -> None:
        """Take a decision back."""
        self._tasks.start(
            self._withdraw(tenant_id, entry), lambda _done: self._was_withdrawn(tenant_id, entry), self._was_not_done
        )

    def export(self, tenant_id: str | None, entry: OutboxEntry, path: Path) -> None:
        """Write a decision, and the evidence it was made on, to a new file for the account's eyes alone."""
        self._tasks.start(
            self._export(tenant_id, entry, path),
            lambda _done: self.told.emit(f"Exported to {path.name}."),
            self._was_not_done,
        )

    async def close(self) -> None:
        """Cancel what is in flight."""
        await self._tasks.close()

    async def _entries(self, tenant_id: str | None) -> tuple[OutboxEntry, ...]:
        async with open_stranded(self._settings, tenant_id) as outbox:
            entries = await outbox.entries()
            self.note(await outbox.summary())
            return entries

    async def _withdraw(self, tenant_id: str | None, entry: OutboxEntry) -> None:
        async with open_stranded(self._settings, tenant_id) as outbox:
            await outbox.withdraw(entry.decision_id)

    async def _export(self, tenant_id: str | None, entry: OutboxEntry, path: Path) -> None:
        async with open_stranded(self._settings, tenant_id) as outbox:
            document = await outbox.exported(entry)
        await write_export(document, path)

    def _was_withdrawn(self, tenant_id: str | None, entry: OutboxEntry) -> None:
        self.told.emit(f"Withdrawn: “{name_of(entry)}”.")
        self.look(tenant_id)

    def _was_not_done(self, error: Exception) -> None:
        self.failed.emit(why_not_done(error))
