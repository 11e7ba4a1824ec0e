"""One tenant's event stream, read with a cursor of its own; never through a consumer group (wire.md)."""

from collections.abc import Iterable, Iterator
from typing import Any

from hitl_desktop.domain.event import Event
from hitl_desktop.domain.gate import Quarantined
from hitl_desktop.services.codec import decode_event
from hitl_desktop.services.connection import Connection, understood
from hitl_desktop.services.errors import Unavailable
from hitl_desktop.tenancy import TenantNames, require_tenant

BLOCK_MS = 2_000
"""Milliseconds that one read waits: below the connection's patience, since cancelling it costs the connection."""
_COUNT = 1_000


class Events:
    """The event stream of the tenant that `names` was made for. Its reads block, so give it a connection of its own."""

    def __init__(self, connection: Connection, names: TenantNames) -> None:
        self._connection = connection
        self._names = names

    async def newest(self) -> str:
        """Return the cursor behind the newest entry: what comes later is read from there.

        Raises:
            ServiceError: the stream cannot be read.
        """
        require_tenant(self._names.tenant_id)
        entries = await self._connection.read("XREVRANGE", self._names.events, "+", "-", "COUNT", 1)
        with understood(self._connection.address):
            return str(entries[0][0].decode()) if entries else "0-0"

    async def foreign(self) -> list[Quarantined]:
        """Return which of the newest entries are no events of this tenant, oldest first.

        Raises:
            ServiceError: the stream cannot be read.
        """
        require_tenant(self._names.tenant_id)
        entries = await self._connection.read("XREVRANGE", self._names.events, "+", "-", "COUNT", _COUNT)
        with understood(self._connection.address):
            return [entry for entry in self._decoded(reversed(entries)) if isinstance(entry, Quarantined)]

    async def after(self, cursor: str, block_ms: int = BLOCK_MS) -> tuple[str, list[Event | Quarantined]]:
        """Wait for entries behind `cursor`; return the cursor behind them and the entries, none if none came in time.

        Raises:
            Unavailable: another server has the stream now, which may never reach `cursor`; read all anew.
            ServiceError: the stream cannot be read.
        """
        require_tenant(self._names.tenant_id)
        key, turn = self._names.events, self._connection.turn
        reply = await self._connection.read("XREAD", "COUNT", _COUNT, "BLOCK", block_ms, "STREAMS", key, cursor)
        if self._connection.turn != turn:
            raise Unavailable("The tenant's gates are on another server now; nothing was written, they are read anew.")
        if not reply:
            return cursor, []
        with understood(self._connection.address):
            entries = reply[0][1]
            return entries[-1][0].decode(), list(self._decoded(entries))

    def _decoded(self, entries: Iterable[Any]) -> Iterator[Event | Quarantined]:
        key, tenant_id = self._names.events, self._names.tenant_id
        for entry_id, fields in entries:
            entry = decode_event(key, entry_id, fields or {}, tenant_id)
            if entry is not None:
                yield entry
