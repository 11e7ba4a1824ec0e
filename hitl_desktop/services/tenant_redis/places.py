"""Where the keys of one call stand: by the servers' table, or, where optional words decide, by a strict reading.

Strict, because the servers' own specifications look for the first such word only: of two STORE they see one, and a
group that is called STREAMS misleads them. A call that can be read in two ways is refused, as is a word not known here.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import Any

from hitl_desktop.services.tenant_redis.errors import CommandRefusedError
from hitl_desktop.services.tenant_redis.table import Keys

Words = Sequence[Any]
Encoded = Callable[[Any], bytes]
Finder = Callable[[Words, Encoded], Sequence[int]]
"""Given a call's words, of which the first is the command's full name, return the places of its keys, at least one.

IndexError where words are missing, CommandRefusedError where it cannot be told.
"""

_LONGEST_COUNT = 9


def by_table(keys: Sequence[Keys], name: str) -> Finder:
    """Return the finder for a command with `keys`; its name stands in one word, whatever the server counts."""
    shift = name.count(" ")
    finders = [_counted(each, shift) if each.counted else _ranged(each, shift) for each in keys]
    if len(finders) == 1:
        only = finders[0]
        return lambda words, encoded: _checked(only(words, encoded), words)

    def find(words: Words, encoded: Encoded) -> Sequence[int]:
        places = list(dict.fromkeys(chain.from_iterable(each(words, encoded) for each in finders)))
        return _checked(places, words)

    return find


def _ranged(keys: Keys, shift: int) -> Finder:
    first = keys.at - shift

    def find(words: Words, _encoded: Encoded) -> Sequence[int]:
        last = first + keys.last if keys.last >= 0 else len(words) + keys.last
        return range(first, last + 1, keys.step)

    return find


def _counted(keys: Keys, shift: int) -> Finder:
    at = keys.at - shift

    def find(words: Words, encoded: Encoded) -> Sequence[int]:
        count = encoded(words[at])
        if not count.isdigit() or len(count) > _LONGEST_COUNT:
            raise CommandRefusedError(f"{words[0]} does not say how many keys follow, so nothing was sent.")
        return range(at + 1, at + 1 + min(int(count), len(words)) * keys.step, keys.step)

    return find


def _checked(places: Sequence[int], words: Words) -> Sequence[int]:
    if not places or max(places) >= len(words):
        raise IndexError
    return places


def _optional(start: int, options: Mapping[bytes, int], keys: Sequence[bytes]) -> Finder:
    """A key at 1, then words that are fixed, from `start` options; the value is how many words one takes."""

    def find(words: Words, encoded: Encoded) -> Sequence[int]:
        places = [1]
        _not_misleading(words[2:start], encoded, keys, words)
        at = start
        while at < len(words):
            word = encoded(words[at]).upper()
            if word in keys:
                places.append(at + 1)
                at += 2
            else:
                at = _after(word, at, options, words, encoded, keys)
        return _checked(places, words)

    return find


def _streams(options: Mapping[bytes, int], earliest: int) -> Finder:
    """Options, then STREAMS, then as many keys as ids; the servers look for STREAMS from the place `earliest` on."""

    def find(words: Words, encoded: Encoded) -> Sequence[int]:
        at = 1
        while (word := encoded(words[at]).upper()) != _STREAMS:
            at = _after(word, at, options, words, encoded, [_STREAMS])
        if at < earliest:
            raise CommandRefusedError(f"{words[0]} lacks what comes before STREAMS, so nothing was sent.")
        count, odd = divmod(len(words) - at - 1, 2)
        if odd:
            raise CommandRefusedError(f"{words[0]} needs an id for each stream, so nothing was sent.")
        return _checked(range(at + 1, at + 1 + count), words)

    return find


def _after(
    word: bytes, at: int, options: Mapping[bytes, int], words: Words, encoded: Encoded, keys: Sequence[bytes]
) -> int:
    """Return the place after the option `word` and its values."""
    if word not in options:
        raise CommandRefusedError(f"{words[0]} with {word[:40]!r} is not rewritten, so nothing was sent.")
    after = at + 1 + options[word]
    _not_misleading(words[at + 1 : after], encoded, keys, words)
    return after


def _not_misleading(values: Words, encoded: Encoded, keys: Sequence[bytes], words: Words) -> None:
    """Refuse a value that is a word which announces keys: the servers' ACL would judge by other keys than are used."""
    for value in values:
        if encoded(value).upper() in keys:
            raise CommandRefusedError(f"{words[0]} with a value that reads as an option is refused; nothing was sent.")


_STREAMS = b"STREAMS"
# BY and GET are left out: they read keys that their patterns make of the members.
_SORT = {b"LIMIT": 2, b"ASC": 0, b"DESC": 0, b"ALPHA": 0}
_GEO = {b"WITHCOORD": 0, b"WITHDIST": 0, b"WITHHASH": 0, b"COUNT": 1, b"ANY": 0, b"ASC": 0, b"DESC": 0}
_READ = {b"COUNT": 1, b"BLOCK": 1}

BY_HAND: Mapping[str, Finder] = MappingProxyType(
    {
        "SORT": _optional(2, _SORT, [b"STORE"]),
        "SORT_RO": _optional(2, _SORT, []),
        "GEORADIUS": _optional(6, _GEO, [b"STORE", b"STOREDIST"]),
        "GEORADIUSBYMEMBER": _optional(5, _GEO, [b"STORE", b"STOREDIST"]),
        "XREAD": _streams(_READ, 1),
        "XREADGROUP": _streams({**_READ, b"GROUP": 2, b"NOACK": 0}, 4),
    }
)
"""Finders for commands of which the table cannot tell where their keys stand; for the rest nothing can (MIGRATE)."""
