"""Random damage for the tests that fuzz: reproducible from a seed that is printed with each failure."""

from collections.abc import Iterator
from random import Random
from typing import Any

from tests.seeds import BRINGS_BACK, SEED


def cases(what: str, count: int) -> Iterator[tuple[str, Random]]:
    """Yield `count` cases: a name to print, and the random numbers of that case alone."""
    print(f"{count} cases of {what}, {BRINGS_BACK}")  # noqa: T201 - shown with a failure
    for number in range(count):
        yield f"{what}, {BRINGS_BACK}, case {number}", Random(f"{SEED} {what} {number}")  # noqa: S311 - chooses cases


def damaged(random: Random, content: bytes) -> bytes:
    """Return `content` with one kind of damage."""
    size = len(content)
    place, length = random.randrange(size + 1), random.choice([1, 2, 16, 512, 4096, size])
    length = min(length, size - place)
    before, after = content[:place], content[place + length :]
    ruins = [b"", before, content + random.randbytes(length), random.randbytes(size)]
    holes = [before + bytes(length) + after, before + random.randbytes(length) + after, before + after]
    if random.randrange(2):
        return random.choice(ruins + holes)
    flipped = bytearray(content)
    for _ in range(random.choice([1, 1, 1, 3, 20])):
        if flipped:
            flipped[random.randrange(size)] ^= 1 << random.randrange(8)
    return bytes(flipped)


def value(random: Random) -> Any:
    """Return a value as nobody agreed on it."""
    text = "".join(chr(random.choice([0, 9, 10, 65, 0x20AC, 0x202E, 0x1F600])) for _ in range(random.randrange(6)))
    nested: Any = 1
    for _ in range(random.choice([1, 3, 300])):
        nested = [nested]
    return random.choice(
        [
            *(None, True, 0, -1, 2**31, 2**63 - 1, 1.5, -1e300, float("inf"), text, text.encode(), random.randbytes(9)),
            *([], {}, [text], {text: text}, nested, b"", "", "pending", "2026-01-01T00:00:00", b"\xff\xfe"),
        ]
    )
