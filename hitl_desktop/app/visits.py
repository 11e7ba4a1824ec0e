"""A window's visits to tenants, recorded: locally with both names, in each tenant's audit stream with its own."""

import asyncio
import logging
from datetime import UTC, datetime

from hitl_desktop.services.errors import ServiceError
from hitl_desktop.session import ReviewSession
from hitl_desktop.store.tenant_log import TenantLog
from hitl_desktop.tenancy.audit import TenantEvent, TenantRecord

_WITHIN = 2.0
_log = logging.getLogger(__name__)


class Visits:
    """What one window records. Recording never fails what it records: a server that is away gets no entry."""

    def __init__(self, log: TenantLog, reviewer: str, session_id: str) -> None:
        self._log = log
        self._reviewer = reviewer
        self._session_id = session_id
        self._last: str | None = None
        self._newest: asyncio.Task[None] | None = None

    async def entered(self, session: ReviewSession) -> None:
        """Record that the window came to the session's tenant."""
        if session.tenant_id is not None:
            entry = self._record(TenantEvent.SELECTED, session.tenant_id, self._last)
            self._last = session.tenant_id
            await self._in_turn(entry, session)

    async def left(self, session: ReviewSession, following: str | None) -> None:
        """Record that the window leaves the session's tenant, for `following` or for good."""
        if session.tenant_id is not None:
            await self._in_turn(self._record(TenantEvent.LEFT, session.tenant_id, following), session)

    def refused(self, tenant_id: str, current: str | None, reason: str) -> "asyncio.Task[None]":
        """Record that a tenant may not be worked for; nothing is written to it."""
        return self._in_turn(self._record(TenantEvent.REFUSED, tenant_id[:200], current, reason), None)

    def _record(self, event: TenantEvent, tenant_id: str, other: str | None, reason: str = "") -> TenantRecord:
        return TenantRecord(event, tenant_id, other, self._reviewer, self._session_id, datetime.now(UTC), reason)

    def _in_turn(self, entry: TenantRecord, session: ReviewSession | None) -> "asyncio.Task[None]":
        # The order is that of the calls: which of two tasks the loop starts first does not count.
        before, loop = self._newest, asyncio.get_running_loop()
        self._newest = loop.create_task(self._write(entry, session, before))
        return self._newest

    async def _write(
        self, entry: TenantRecord, session: ReviewSession | None, before: "asyncio.Task[None] | None"
    ) -> None:
        if before is not None:
            await asyncio.wait({before})
        if session is not None:
            try:
                async with asyncio.timeout(_WITHIN):
                    await session.record(entry)
            except (ServiceError, TimeoutError) as error:  # go on: the local log says that the stream lacks it
                reason = str(error) or "the server did not answer in time"
                await self._keep(self._record(TenantEvent.FAILED, entry.tenant_id, entry.other, reason))
        await self._keep(entry)

    async def _keep(self, entry: TenantRecord) -> None:
        try:
            await asyncio.to_thread(self._log.append, entry.log_fields())
        except OSError as error:  # go on: a full disk must not keep a reviewer from the gates
            _log.warning("The local log of tenants cannot be written: %s", error.strerror)
