"""Delivers what waits in the outboxes of tenants that no window shows."""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Collection

from hitl_desktop.domain.outbox import decisions
from hitl_desktop.services.errors import LoginRefused, ServiceError
from hitl_desktop.session import Backend, ReviewSession, open_session
from hitl_desktop.session.stranded import Stranded, open_stranded, why_not_allowed
from hitl_desktop.store.errors import StoreError
from hitl_desktop.store.tenant_store import kept_tenants
from hitl_desktop.tenancy import TenancyError

_EVERY = 30.0
_SOONEST = 0.1
_log = logging.getLogger(__name__)


class Couriers:
    """One send-only session after the other, for each tenant with decisions on their way.

    Args:
        backend: the servers.
        shown: returns the tenants that windows show; their own sessions deliver.
        tell: is called once with a sentence about decisions that wait for a login.
        note: is called at each look with what waits for a tenant that may not be worked for.
    """

    def __init__(
        self,
        backend: Backend,
        shown: Callable[[], Collection[str | None]],
        tell: Callable[[str], None],
        note: Callable[[Stranded], None],
    ) -> None:
        self._backend = backend
        self._shown = shown
        self._tell = tell
        self._note = note
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
                if tenant_id not in self._shown():
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
        if why_not_allowed(self._backend.settings, tenant_id):
            await self._strand(tenant_id)
            return math.inf
        if self._backend.is_offline:
            return math.inf
        try:
            async with open_session(self._backend, tenant_id, live=False) as session:
                if at_once:
                    await session.outbox.release()
                due = await session.outbox.next_due()
                if due is None or due <= time.time():  # with none, what was delivered is still verified
                    await self._send(session)
                    due = await session.outbox.next_due()
                return due or math.inf
        except (ServiceError, StoreError, TenancyError) as error:  # wait and try again: the rows are where they were
            _log.info("Decisions of a tenant that is not shown stay queued: %s", error)
        return math.inf

    async def _send(self, session: ReviewSession) -> None:
        try:
            await session.outbox.deliver()
        except LoginRefused as error:
            await self._tell_login(session, str(error))
            raise
        self._told.discard(session.tenant_id)

    async def _tell_login(self, session: ReviewSession, problem: str) -> None:
        """Tell once that a tenant's decisions wait for a login that the server takes."""
        tenant_id = session.tenant_id
        count = sum(entry.state.is_open for entry in await session.outbox.entries())
        if count and tenant_id not in self._told:
            self._told.add(tenant_id)
            self._tell(f"{decisions(count)} for {tenant_id or 'single-tenant mode'} not sent yet: {problem}")

    async def _strand(self, tenant_id: str | None) -> None:
        """Note what waits for a tenant that may not be worked for: no server is asked."""
        try:
            async with open_stranded(self._backend.settings, tenant_id) as outbox:
                self._note(await outbox.summary())
        except StoreError:  # wait and try again: nothing can be said about rows that cannot be read
            return
