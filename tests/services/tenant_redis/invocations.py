"""Invocations of every command that has keys, made from what a live server says of it, with words that mislead."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from hitl_desktop.services.tenant_redis.rewriting import REFUSED
from tests.services.tenant_redis.clients import OTHER

Word = Any
_KEYS: tuple[Word, ...] = (
    "asdlc:k",
    b"asdlc:k",
    memoryview(b"asdlc:view"),
    "",
    "*",
    "STORE",
    "streams",
    17,
    1.5,
    "ключ",
    b"\xff\x00\r\n",
    f"tenant:{OTHER}:asdlc:k",
    f"tenant:{OTHER}:asdlc:k".encode(),
    "{tag}k",
    "a b",
)
_FILL: tuple[Word, ...] = (
    "STORE",
    b"STREAMS",
    "storedist",
    "KEYS",
    "BY",
    "GET",
    "COUNT",
    "MATCH",
    "LEFT",
    "MIN",
    "0",
    "1",
    2,
    b"-1",
    "3.5",
    "$",
    ">",
    "0-1",
    "NX",
    "XX",
    "",
    "m",
    b"\x00",
    f"tenant:{OTHER}:asdlc:k",
)
WORDS = (*_KEYS, *_FILL, "GROUP", "STORE", "STREAMS", "LIMIT", "BLOCK", 3, "NOACK")
"""Any of them."""


@dataclass(frozen=True)
class Invocation:
    """What a caller calls: the command's full name, its words after the name, and which of those are keys."""

    name: str
    words: tuple[Word, ...]
    keys: frozenset[int]

    def call(self, random: Random) -> tuple[Word, ...]:
        """Return it as one of the ways in which it may be written."""
        names: list[Word] = self.name.split() if random.random() < 0.5 else [self.name]
        spelled = [random.choice((str, str.lower, str.encode))(name) for name in names]
        return *spelled, *self.words

    def wire(self) -> tuple[Word, ...]:
        """Return it word by word, as it is sent."""
        return *self.name.split(), *self.words


def chance(seed: int) -> Random:
    """Return chances that are the same each time."""
    return Random(seed)  # noqa: S311 - no secret


def keyed(rows: dict[str, tuple[int, list[dict[str, Any]]]]) -> list[str]:
    """Return the commands of a server that have keys and are not refused by name."""
    return sorted(
        name
        for name, (_, specifications) in rows.items()
        if name not in REFUSED and any("not_key" not in each["flags"] for each in specifications)
    )


def invocation(random: Random, name: str, arity: int, specifications: list[dict[str, Any]]) -> Invocation:
    """Return an invocation of `name` with the right number of words."""
    if (by_hand := _BY_HAND.get(name)) is not None:
        return by_hand(random, name)
    length = arity if arity > 0 else -arity + random.randrange(6)
    words: list[Word] = [*name.split(), *(random.choice(_FILL) for _ in range(length))][:length]
    keys: set[int] = set()
    for each in sorted(specifications, key=lambda found: str(found["find_keys"]["type"]), reverse=True):
        begin, how = each["begin_search"]["spec"]["index"], each["find_keys"]["spec"]
        if each["find_keys"]["type"] == "range":
            last = begin + how["lastkey"] if how["lastkey"] >= 0 else len(words) + how["lastkey"]
            keys |= set(range(begin, last + 1, how["keystep"]))
        else:
            count = random.randrange(1, 4)
            words += [random.choice(_FILL) for _ in range(begin + 1 + count * how["keystep"] - len(words))]
            words[begin] = random.choice((str, int, lambda number: str(number).encode()))(count)
            keys |= {begin + 1 + at * how["keystep"] for at in range(count)}
    for at in keys:
        words[at] = random.choice(_KEYS)
    skip = len(name.split())
    return Invocation(name, tuple(words[skip:]), frozenset(at - skip for at in keys))


def _with_options(
    random: Random, name: str, fixed: int, options: dict[str, int], stores: tuple[str, ...]
) -> Invocation:
    words: list[Word] = [random.choice(_KEYS), *(random.choice(_FILL) for _ in range(fixed))]
    keys = {0}
    for _ in range(random.randrange(5)):
        option = random.choice((*options, *stores))
        words.append(random.choice((option, option.lower().encode())))
        if option in stores:
            keys.add(len(words))
            words.append(random.choice(_KEYS))
        words += [random.choice(_FILL) for _ in range(options.get(option, 0))]
    return Invocation(name, tuple(words), frozenset(keys))


def _streams(random: Random, name: str, options: dict[str, int]) -> Invocation:
    words: list[Word] = []
    if name == "XREADGROUP":
        words += ["GROUP", random.choice(("g", "STREAMS", b"streams")), random.choice(("c", "STREAMS"))]
    for option in random.sample(sorted(options), random.randrange(len(options) + 1)):
        at = random.choice((0, len(words)))
        words[at:at] = [option, *(random.choice(_FILL) for _ in range(options[option]))]
    words.append(random.choice(("STREAMS", b"streams")))
    count = random.randrange(1, 4)
    keys = frozenset(range(len(words), len(words) + count))
    words += [random.choice(_KEYS) for _ in range(count)]
    words += [random.choice(("0", "$", ">", "1-1", b"STREAMS")) for _ in range(count)]
    return Invocation(name, tuple(words), keys)


_SORT = {"LIMIT": 2, "ASC": 0, "DESC": 0, "ALPHA": 0}
_GEO = {"WITHCOORD": 0, "WITHDIST": 0, "WITHHASH": 0, "COUNT": 1, "ANY": 0, "ASC": 0, "DESC": 0}
_BOTH = ("STORE", "STOREDIST")
_BY_HAND: dict[str, Callable[[Random, str], Invocation]] = {
    "SORT": lambda random, name: _with_options(random, name, 0, _SORT, ("STORE",)),
    "SORT_RO": lambda random, name: _with_options(random, name, 0, _SORT, ()),
    "GEORADIUS": lambda random, name: _with_options(random, name, 4, _GEO, _BOTH),
    "GEORADIUSBYMEMBER": lambda random, name: _with_options(random, name, 3, _GEO, _BOTH),
    "XREAD": lambda random, name: _streams(random, name, {"COUNT": 1, "BLOCK": 1}),
    "XREADGROUP": lambda random, name: _streams(random, name, {"COUNT": 1, "BLOCK": 1, "NOACK": 0}),
}
