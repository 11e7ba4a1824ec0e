"""When to try again: pure arithmetic, no clock and no waiting."""

from collections.abc import Iterator
from random import Random

RECONCILE_EVERY = 30.0
"""Seconds between two looks at the whole pending set, for gates that came or went without an event."""
_FIRST = 0.25
_LONGEST = 15.0


def backoff(random: Random) -> Iterator[float]:
    """Yield the seconds to wait before each further try: doubling, bounded, spread so that not all try at once."""
    pause = _FIRST
    while True:
        yield pause * random.uniform(0.5, 1.0)
        pause = min(pause * 2, _LONGEST)
