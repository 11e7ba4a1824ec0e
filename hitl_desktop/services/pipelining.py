"""Many commands at once: sent as one, and each answered, within one deadline.

redis-py's own pipeline packs in Python and sets a timer for every reply, which costs more than the commands themselves.
"""

import asyncio
import math
from collections.abc import Sequence
from typing import Any

import hiredis
import redis.exceptions as fault
from redis.asyncio import Redis

Command = tuple[bytes | str | int, ...]
_packed: Any = hiredis.pack_command  # its stub wants tuples of one


async def pipelined(client: Redis, commands: Sequence[Command], within: float) -> list[Any]:
    """Send `commands` and return the reply of each, or the server's error in its place.

    Where it ends early, the connection is closed, or the next command would be given the replies that are left.

    Args:
        client: gives the connection.
        commands: are sent in their order; they are no transaction.
        within: seconds in which all must be answered once they are sent.

    Raises:
        OSError: they were not (TimeoutError), or the connection was lost; each command may have run.
        redis.exceptions.RedisError: likewise, in redis-py's words.
    """
    if not commands:
        return []
    connection = await client.connection_pool.get_connection()  # type: ignore[no-untyped-call]
    try:
        # Sending has the client's own deadline.
        await connection.send_packed_command([_packed(command) for command in commands])
        async with asyncio.timeout(within):
            return [await _reply(connection) for _ in commands]
    finally:
        await asyncio.shield(client.connection_pool.release(connection))


async def _reply(connection: Any) -> Any:
    try:
        return await connection.read_response(timeout=math.inf)
    except fault.ResponseError as error:
        return error
