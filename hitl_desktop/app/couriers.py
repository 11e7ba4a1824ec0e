"""Delivers what waits in the outboxes of tenants that no window shows."""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Collection

from hitl_desktop.domain.outbox import Cause, decisions
from hitl_desktop.services.errors import ServiceError
from hitl_desktop.session import Backend, open_session
from hitl_desktop.store.errors import StoreError
from hitl_desktop.store.tenant_store import TenantStore, kept_tenants, open_store
from hitl_desktop.tenancy import TenancyError, TenantNames, TenantNotSetError

_EVERY = 30.0
_SOONEST = 0.1
_log = logging.getLogger(__name__)


class Couriers:
    """One send-only session after the other, for each tenant with decisions on their way.

    Args:
        backend: the servers.
        shown: returns the tenants that windows show; their own sessions deliver.
        tell: is called with a sentence about decisions that can never be delivered.
    """

    def __init__(
        self, backend: Backend, shown: Callable[[], Collection[str | None]], tell: Callable[[str], None]
    ) -> None:
        self._backend = backend
        self._shown = shown
        self._tell = tell
        self._now = asyncio.Event()
        self._rest = asyncio.Event()
        self._told: set[str | None] = set()

    def look(self) -> None:
        """Look now, since a tenant has just left the screen."""
        self._now.set()
        self._rest.clear()

    async def rested(self) -> None:
        """Wait until a whole round has been made, begun after the latest `look`, and the next is not yet due."""
        await self._rest.wait()

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            self._now.clear()
            self._rest.clear()
            pause = _EVERY
            for tenant_id in await asyncio.to_thread(kept_tenants, self._backend.settings):
                if tenant_id not in self._shown() and not self._backend.is_offline:
                    due = await self._deliver(tenant_id)
                    pause = min(pause, max(due - time.time(), _SOONEST))
            if not self._now.is_set():
                self._rest.set()
            try:
                async with asyncio.timeout(pause):
                    await self._now.wait()
            except TimeoutError:
                pass

    async def deliver_now(self) -> None:
        """Send everything at once, also what could still be undone: the application closes."""
        if self._backend.is_offline:
            return
        for tenant_id in await asyncio.to_thread(kept_tenants, self._backend.settings):
            await self._deliver(tenant_id, at_once=True)

    async def _deliver(self, tenant_id: str | None, *, at_once: bool = False) -> float:
        """Send what is due, and return when, in seconds since 1970, to come again."""
        try:
            if tenant_id is None and self._backend.config.enabled:
                raise TenantNotSetError("They were made in single-tenant mode, and multi-tenancy is on now.")
            async with open_session(self._backend, tenant_id, live=False) as session:
                if at_once:
                    await session.outbox.release()
                due = await session.outbox.next_due()
                if due is None or due <= time.time():  # with none, what was delivered is still verified
                    await session.outbox.deliver()
                    due = await session.outbox.next_due()
                return due or math.inf
        except TenancyError as error:
            await self._refuse(tenant_id, str(error))
        except (ServiceError, StoreError) as error:  # wait and try again: the rows are where they were
            _log.info("Decisions of a tenant that is not shown stay queued: %s", error)
        return math.inf

    async def _refuse(self, tenant_id: str | None, problem: str) -> None:
        """Tell that a tenant's decisions wait for an answer, since it may not be worked for any more."""
        try:
            async with open_store(self._backend.settings, TenantNames(tenant_id)) as disk:
                count = await disk(lambda store: _refused(store, problem))
        except StoreError:  # wait and try again: nothing can be said about rows that cannot be read
            return
        if count and tenant_id not in self._told:
            self._told.add(tenant_id)
            whose = f"{decisions(count)} for {tenant_id or 'single-tenant mode'}"
            outbox = f"hitl-desktop outbox list{f' --tenant {tenant_id}' if tenant_id else ''}"
            self._tell(f"{whose} cannot be delivered: {problem} Nothing is lost: see `{outbox}`.")


def _refused(store: TenantStore, problem: str) -> int:
    """Let rows that were never sent wait for an answer, and return how many of the outbox are not delivered."""
    store.outbox.refuse_queued(Cause.NOT_ALLOWED, problem)
    return len(store.outbox.entries())
