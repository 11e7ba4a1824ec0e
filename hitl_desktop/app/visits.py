"""Windows' visits to tenants, recorded: locally with both names, in each tenant's audit stream with its own.

The local log has a visit before the window goes on. The tenant's stream gets it behind that, so that a server that
hangs holds no switch.
"""

import asyncio
import logging
from datetime import UTC, datetime

from hitl_desktop.services.errors import ServiceError
from hitl_desktop.session import Backend, open_session
from hitl_desktop.settings import Settings
from hitl_desktop.store.tenant_log import TenantLog
from hitl_desktop.sync.cancelling import ended
from hitl_desktop.tenancy import TenancyError
from hitl_desktop.tenancy.audit import TenantEvent, TenantRecord

_WITHIN = 10.0
"""Seconds in which the server must have taken a record, from the moment that it was made."""
_AT_THE_END = 2.0
_log = logging.getLogger(__name__)


class Visits:
    """What the windows of this process record. Recording never fails what it records: the local log tells of gaps."""

    def __init__(self, settings: Settings) -> None:
        self._reviewer = settings.reviewer
        self._log = TenantLog(settings.state_dir)
        self._last: dict[str, str] = {}
        self._kept: asyncio.Task[None] | None = None
        self._sent: asyncio.Task[None] | None = None
        self._behind: set[asyncio.Task[None]] = set()

    async def entered(self, backend: Backend, window_id: str, tenant_id: str | None) -> None:
        """Record that a window came to a tenant."""
        if tenant_id is not None:
            entry = self._record(TenantEvent.SELECTED, window_id, tenant_id, self._last.get(window_id))
            self._last[window_id] = tenant_id
            await self._told(backend, entry)

    async def left(self, backend: Backend, window_id: str, tenant_id: str | None, following: str | None) -> None:
        """Record that a window leaves a tenant, for `following` or for good."""
        if tenant_id is not None:
            await self._told(backend, self._record(TenantEvent.LEFT, window_id, tenant_id, following))

    def refused(self, window_id: str, tenant_id: str, current: str | None, reason: str) -> "asyncio.Task[None]":
        """Record that a tenant may not be worked for; nothing is written to it."""
        return self._keep(self._record(TenantEvent.REFUSED, window_id, tenant_id[:200], current, reason))

    async def settled(self) -> None:
        """Wait a moment for what is still on its way, and let the local log tell what did not arrive."""
        if self._behind:
            await asyncio.wait(self._behind, timeout=_AT_THE_END)
            await ended(self._behind)

    def _record(
        self, event: TenantEvent, window_id: str, tenant_id: str, other: str | None, reason: str = ""
    ) -> TenantRecord:
        return TenantRecord(event, tenant_id, other, self._reviewer, window_id, datetime.now(UTC), reason)

    async def _told(self, backend: Backend, entry: TenantRecord) -> None:
        kept = self._keep(entry)
        until = asyncio.get_running_loop().time() + _WITHIN
        before = {kept} if self._sent is None else {kept, self._sent}
        self._sent = asyncio.get_running_loop().create_task(self._send(backend, entry, until, before))
        self._behind.add(self._sent)
        self._sent.add_done_callback(self._behind.discard)
        await kept

    def _keep(self, entry: TenantRecord) -> "asyncio.Task[None]":
        # The order is that of the calls: which of two tasks the loop starts first does not count.
        self._kept = asyncio.get_running_loop().create_task(self._append(entry, self._kept))
        return self._kept

    async def _append(self, entry: TenantRecord, before: "asyncio.Task[None] | None") -> None:
        if before is not None:
            await asyncio.wait({before})
        try:
            await asyncio.to_thread(self._log.append, entry.log_fields())
        except OSError as error:  # go on: a full disk must not keep a reviewer from the gates
            _log.warning("The local log of tenants cannot be written: %s", error.strerror)

    async def _send(
        self, backend: Backend, entry: TenantRecord, until: float, before: "set[asyncio.Task[None]]"
    ) -> None:
        """Write a record to its tenant's stream, in that tenant's scope, once what came before it is settled."""
        try:
            async with asyncio.timeout_at(until):
                await asyncio.wait(before)
                async with open_session(backend, entry.tenant_id, live=False) as session:
                    await session.record(entry)
        except (ServiceError, TenancyError) as error:  # go on: the local log says that the stream lacks it
            await self._failed(entry, str(error))
        except TimeoutError:  # as above
            await self._failed(entry, "The server did not answer in time.")
        except asyncio.CancelledError:
            await self._failed(entry, "The application was closed before the server answered.")
            raise

    async def _failed(self, entry: TenantRecord, reason: str) -> None:
        told = f"{entry.event}: {reason}"
        await self._keep(self._record(TenantEvent.FAILED, entry.session_id, entry.tenant_id, entry.other, told))
