"""Replies that carry names of keys or channels, which come back as the caller wrote them.

Each shape is that of the reply as the parser gives it, before redis-py's own callback makes something nicer of it;
RESP2 and RESP3 differ for some.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from hitl_desktop.services.tenant_redis.prefix import Prefix

Take = Callable[[Any], Any]
Callback = Callable[..., Any]


def _all(take: Take, reply: Any) -> Any:
    return [take(name) for name in reply]


def _first(take: Take, reply: Any) -> Any:
    return [take(reply[0]), *reply[1:]] if reply else reply


def _scanned(take: Take, reply: Any) -> Any:
    cursor, names = reply
    return [cursor, [take(name) for name in names]]


def _streams(take: Take, reply: Any) -> Any:
    if isinstance(reply, dict):
        return {take(name): entries for name, entries in reply.items()}
    return [[take(name), entries] for name, entries in reply] if reply else reply


def _counted(take: Take, reply: Any) -> Any:
    if isinstance(reply, dict):
        return {take(name): count for name, count in reply.items()}
    return [word if at % 2 else take(word) for at, word in enumerate(reply)]


SHAPES: Mapping[str, Callable[[Take, Any], Any]] = MappingProxyType(
    {
        **dict.fromkeys(("KEYS", "PUBSUB CHANNELS", "PUBSUB SHARDCHANNELS"), _all),
        **dict.fromkeys(("BLPOP", "BRPOP", "BZPOPMAX", "BZPOPMIN", "LMPOP", "BLMPOP", "ZMPOP", "BZMPOP"), _first),
        **dict.fromkeys(("PUBSUB NUMSUB", "PUBSUB SHARDNUMSUB"), _counted),
        **dict.fromkeys(("XREAD", "XREADGROUP"), _streams),
        "SCAN": _scanned,
    }
)
"""How to take the names out of a command's reply. No other reply carries any."""


def unprefixing(command: str, prefix: Prefix, callback: Callback | None) -> Callback:
    """Return redis-py's `callback` for the replies of `command`, which gets them without the prefix."""
    shape, after, take = SHAPES.get(command.upper()), callback or _as_it_is, prefix.take
    if shape is None:
        return after
    return lambda reply, **options: after(shape(take, reply), **options)


def _as_it_is(reply: Any, **_options: Any) -> Any:
    return reply
