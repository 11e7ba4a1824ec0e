"""Connections to which a cancellation counts, whenever it comes.

redis-py sends by asyncio.wait_for, which until Python 3.12 keeps a cancellation to itself that meets the end of the
sending: the task would go on to wait for the reply, which of a blocking command may never come.
"""

import asyncio
from typing import Any

from redis.asyncio import Connection, ConnectionPool, SSLConnection, UnixDomainSocketConnection


class Heeding:
    """Goes before a class of redis-py's connections."""

    async def send_packed_command(self, *arguments: Any, **options: Any) -> None:
        """Send as redis-py does. A connection is closed whose reply nobody waits for any more."""
        connection: Any = super()
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            await asyncio.sleep(0)  # one that was asked for while the task ran comes here, at the latest
        known = 0 if task is None else task.cancelling()
        try:
            await connection.send_packed_command(*arguments, **options)
        finally:
            if task is not None and task.cancelling() > known:
                await connection.disconnect(nowait=True)
                raise asyncio.CancelledError


class HeedingConnection(Heeding, Connection):
    """Over TCP."""


class HeedingOverTls(Heeding, SSLConnection):
    """Over TLS."""


class HeedingOverSocket(Heeding, UnixDomainSocketConnection):
    """To a socket of this machine."""


_KINDS = {
    Connection: HeedingConnection,
    SSLConnection: HeedingOverTls,
    UnixDomainSocketConnection: HeedingOverSocket,
}


def let_heed(pool: ConnectionPool) -> None:
    """Let a pool make such connections from now on."""
    pool.connection_class = _KINDS.get(pool.connection_class, pool.connection_class)
