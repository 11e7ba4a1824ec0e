"""What waits for a tenant that may not be worked for: seen, exported or withdrawn on this machine alone.

There is no session for such a tenant, and no server is asked. Once it is allowed again, its decisions go out by
themselves.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from hitl_desktop.domain.outbox import Cause, OutboxEntry, decisions
from hitl_desktop.session.export import export_document
from hitl_desktop.settings import Settings
from hitl_desktop.store.tenant_store import StoreThread, open_store
from hitl_desktop.tenancy import TenancyError, TenantConfig, TenantNames

_SINGLE = "They were made in single-tenant mode, and multi-tenancy is on now."


@dataclass(frozen=True, slots=True)
class Stranded:
    """How many decisions wait for a tenant, and why it may not be worked for; None is single-tenant mode."""

    tenant_id: str | None
    count: int
    problem: str

    @property
    def whose(self) -> str:
        """The tenant, as a sentence names it."""
        return self.tenant_id or "single-tenant mode"

    @property
    def sentence(self) -> str:
        """What the reviewer is told of it."""
        outbox = f"hitl-desktop outbox list{f' --tenant {self.tenant_id}' if self.tenant_id else ''}"
        what = f"{decisions(self.count)} for {self.whose} cannot be delivered"
        return f"{what}: {self.problem} Nothing is lost: see `{outbox}`."


class StrandedOutbox:
    """The rows of one tenant's outbox, and what can be done about them without a server."""

    def __init__(self, disk: StoreThread, tenant_id: str | None, problem: str) -> None:
        self._disk = disk
        self._tenant_id = tenant_id
        self._problem = problem

    async def summary(self) -> Stranded:
        """Return how many there are; those that were never sent wait for an answer from now on.

        Raises:
            StoreError: the disk.
        """
        return Stranded(self._tenant_id, len(await self.entries()), self._problem)

    async def entries(self) -> tuple[OutboxEntry, ...]:
        """Return all that are not delivered; those that were never sent wait for an answer from now on.

        Raises:
            StoreError: the disk.
        """
        await self._disk(lambda store: store.outbox.refuse_queued(Cause.NOT_ALLOWED, self._problem))
        return tuple(await self._disk(lambda store: store.outbox.entries()))

    async def withdraw(self, decision_id: str) -> None:
        """Take a decision back.

        Raises:
            NotWithdrawableError: it may have been written.
            StoreError: the disk.
        """
        await self._disk(lambda store: store.outbox.withdraw(decision_id))

    async def exported(self, entry: OutboxEntry) -> dict[str, Any]:
        """Return a decision, with the evidence it was made on, as it leaves this machine.

        Raises:
            StoreError: the disk.
        """
        fields = await self._disk(lambda store: store.outbox.fields(entry.decision_id))
        return export_document(entry, self._tenant_id, fields)


def why_not_allowed(settings: Settings, tenant_id: str | None) -> str:
    """Return why a tenant of whom there is something on this machine may not be worked for; empty where it may."""
    config = TenantConfig.of(settings)
    if tenant_id is None:
        return _SINGLE if config.enabled else ""
    try:
        config.choose(tenant_id)
    except TenancyError as error:
        return str(error)
    return ""


@asynccontextmanager
async def open_stranded(settings: Settings, tenant_id: str | None) -> AsyncIterator[StrandedOutbox]:
    """Yield the outbox of a tenant that may not be worked for.

    Raises:
        ValueError: it may be, so a session is the way to it.
    """
    problem = why_not_allowed(settings, tenant_id)
    if not problem:
        raise ValueError("this tenant may be worked for")
    async with open_store(settings, TenantNames(tenant_id)) as disk:
        yield StrandedOutbox(disk, tenant_id, problem)
