"""Connections that pack what they send in C.

redis-py does so in its synchronous connections alone; in Python, the hundred keys of a page of gates take 0.15 ms.
"""

import socket
from collections.abc import Mapping
from typing import Any

from redis.asyncio import Connection, ConnectionPool, Redis, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.connection import parse_url
from redis.connection import HiredisRespSerializer

from hitl_desktop.services.sending import Heeding

_serializer = HiredisRespSerializer()
_ROOM = 512 * 1024
"""Bytes that a socket of this machine is to take at once; the system may give it less."""


class _Packs(Heeding):
    def pack_command(self, *arguments: Any) -> list[bytes]:
        """Return one command as it is sent.

        Raises:
            redis.exceptions.DataError: an argument is neither text nor bytes nor a number.
        """
        packed: list[bytes] = _serializer.pack(*arguments)
        return packed


class PackingConnection(_Packs, Connection):
    """A connection over TCP."""


class _OverTls(_Packs, SSLConnection):
    """The same over TLS."""


class _OverSocket(_Packs, UnixDomainSocketConnection):
    """A connection to a socket of this machine, with room for what is sent together.

    A hundred decisions are more than the system gives room for by itself (208 KiB on Linux, 8 on macOS): the server
    would have to wait for the rest until the window has a turn for it, and the window for the server.
    """

    async def on_connect(self) -> None:
        """Make room, then do what redis-py does on a new connection."""
        writer: Any = self._writer
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _ROOM)
        await super().on_connect()


_KINDS = {SSLConnection: _OverTls, UnixDomainSocketConnection: _OverSocket}


def packing_client(url: str, options: Mapping[str, Any]) -> Redis:
    """Return a client of the one server at `url`; nothing is sent yet. `options` are redis-py's, for a connection."""
    given = {**options, **parse_url(url)}
    kind = _KINDS.get(given.pop("connection_class", None), PackingConnection)
    return Redis.from_pool(ConnectionPool(connection_class=kind, **given))
