"""Commands as they may be sent: names of keys, channels and patterns prefixed, or the command refused.

What is not listed anywhere is refused, as is what a later server adds.
"""

from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from hitl_desktop.services.tenant_redis.errors import CommandRefusedError
from hitl_desktop.services.tenant_redis.places import BY_HAND, Finder, by_table
from hitl_desktop.services.tenant_redis.prefix import Prefix
from hitl_desktop.services.tenant_redis.table import Keys, commands

Call = tuple[Any, ...]
Rewriter = Callable[[Call], Call]

HARMLESS = frozenset({"ECHO", "PING", "TIME", "WAIT", "WAITAOF"})
"""Commands that name no key, and tell and change nothing of another tenant's."""

IN_PIPELINES = frozenset({"DISCARD", "UNWATCH", "WATCH"})
"""Commands that change their connection, which is the caller's own in a pipeline alone."""

_KEYLESS = HARMLESS | {"DISCARD", "UNWATCH"}
_SCRIPTS = "runs code that may name any key; register a script by its text instead"
REFUSED: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("EVAL", "EVALSHA", "EVALSHA_RO", "EVAL_RO", "FCALL", "FCALL_RO"), _SCRIPTS),
        **dict.fromkeys(("SCRIPT EXISTS", "SCRIPT LOAD"), "is sent for registered scripts alone"),
        **dict.fromkeys(("MULTI", "EXEC"), "is sent by pipelines alone"),
        **dict.fromkeys(
            ("SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"),
            "is sent by pubsub() alone",
        ),
        "MIGRATE": "takes keys to another server",
    }
)
"""Commands that are refused though the servers' table may tell their keys, or another way is open; and why."""

_CHANNELS: Mapping[str, tuple[Keys, ...]] = MappingProxyType(
    {
        "PUBLISH": (Keys(1),),
        "SPUBLISH": (Keys(1),),
        "PUBSUB NUMSUB": (Keys(2, last=-1),),
        "PUBSUB SHARDNUMSUB": (Keys(2, last=-1),),
    }
)
_SCAN_OPTIONS = frozenset({b"COUNT", b"MATCH", b"TYPE"})
_SHOWN = 40


class Rewriters(dict[str, Rewriter]):
    """The rewriters of one tenant's commands, by the command's name in capitals, each made when first needed.

    Args:
        prefix: the tenant's.
        in_pipeline: whether commands that change their connection may be sent.
    """

    def __init__(self, prefix: Prefix, *, in_pipeline: bool) -> None:
        super().__init__()
        self._prefix = prefix
        self._in_pipeline = in_pipeline

    def rewrite(self, call: Call) -> Call:
        """Return the words to send for `call`: the command's full name, then the rest with names prefixed.

        Raises:
            CommandRefusedError: it cannot be kept within the tenant.
            redis.DataError: a name in it is neither text, bytes nor number.
        """
        try:
            return self[call[0]](call)
        except IndexError:
            raise CommandRefusedError(f"{_shown(call)} ends before all its keys are named; nothing was sent.") from None
        except TypeError:
            if isinstance(call[0], (str, bytes)):
                raise
            # What cannot be looked up, such as a bytearray.
            raise CommandRefusedError(f"{_shown(call)} is no command's name; nothing was sent.") from None

    def __missing__(self, name: Any) -> Rewriter:
        full = " ".join(_words(name))
        if full in _containers():
            return self._with_subcommand
        if name != full or not isinstance(name, str):
            # Other spellings are not kept: there is no end of them.
            return self[full]
        self[full] = rewriter = self._made(full)
        return rewriter

    def _with_subcommand(self, call: Call) -> Call:
        full = " ".join((*_words(call[0]), *_words(call[1])))
        return self[full]((full, *call[2:]))

    def _made(self, name: str) -> Rewriter:
        if name in REFUSED:
            raise CommandRefusedError(f"{name} {REFUSED[name]}; nothing was sent.")
        if name in IN_PIPELINES and not self._in_pipeline:
            raise CommandRefusedError(f"{name} changes its connection, so only a pipeline may send it.")
        if name in _KEYLESS:
            return lambda call: (name, *call[1:])
        if (by_pattern := _PATTERNS.get(name)) is not None:
            prefix = self._prefix
            return lambda call: by_pattern(prefix, (name, *call[1:]))
        keys = _CHANNELS.get(name) or commands().get(name, ())
        if keys == (Keys(1 + name.count(" ")),):
            return _first(name, self._prefix)
        if (find := by_table(keys, name) if keys else BY_HAND.get(name)) is not None:
            return _all(name, self._prefix, find)
        raise CommandRefusedError(f"{name[:_SHOWN]} is not known to stay within one tenant's keys; nothing was sent.")


def _first(name: str, prefix: Prefix) -> Rewriter:
    """Most commands have one key, at 1. This is the path that has to be quick, so it spells out `Prefix.put`."""
    raw, put, encoding, errors = prefix.raw, prefix.put, prefix.encoding, prefix.encoding_errors

    def rewrite(call: Call) -> Call:
        key = call[1]
        return (name, raw + key.encode(encoding, errors) if type(key) is str else put(key), *call[2:])

    return rewrite


def _all(name: str, prefix: Prefix, find: Finder) -> Rewriter:
    raw, encoded = prefix.raw, prefix.encoded

    def rewrite(call: Call) -> Call:
        words = [name, *call[1:]]
        for place in find(words, encoded):
            words[place] = raw + encoded(words[place])
        return tuple(words)

    return rewrite


def _keys(prefix: Prefix, call: Call) -> Call:
    return call[0], prefix.put_pattern(call[1]), *call[2:]


def _channels(prefix: Prefix, call: Call) -> Call:
    name, *patterns = call
    return name, *(map(prefix.put_pattern, patterns or ["*"]))


def _scan(prefix: Prefix, call: Call) -> Call:
    words = [call[0], call[1]]
    matched = False
    for at in range(2, len(call), 2):
        option, value = prefix.encoded(call[at]).upper(), call[at + 1]
        if option not in _SCAN_OPTIONS:
            raise CommandRefusedError(f"SCAN with {option[:_SHOWN]!r} is not rewritten, so nothing was sent.")
        if option == b"MATCH":
            matched, value = True, prefix.put_pattern(value)
        words += [option, value]
    return (*words, *(() if matched else (b"MATCH", prefix.put_pattern("*"))))


_PATTERNS: Mapping[str, Callable[[Prefix, Call], Call]] = MappingProxyType(
    {"KEYS": _keys, "PUBSUB CHANNELS": _channels, "PUBSUB SHARDCHANNELS": _channels, "SCAN": _scan}
)


@cache
def _containers() -> frozenset[str]:
    return frozenset(name.partition(" ")[0] for name in commands() if " " in name)


def _words(name: Any) -> list[str]:
    """Return the words of a command's name in capitals; redis-py takes several in one, and splits them."""
    if isinstance(name, bytes):
        name = name.decode("latin-1")
    if not isinstance(name, str) or not name.isascii() or not (words := name.upper().split()):
        raise CommandRefusedError(f"{name!r:.60} is no command's name; nothing was sent.")
    return words


def _shown(call: Call) -> str:
    return f"{call[0]!r:.40}" if call else "An empty command"
