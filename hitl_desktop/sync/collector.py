"""The cyclic garbage collector, held while many gates arrive: it alone pauses for 150 ms at 100,000 gates."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_loads = 0


@contextmanager
def collector_held() -> Iterator[None]:
    """Hold the collector for the block; what was loaded is left out of its rounds until `collector_freed`."""
    global _loads  # noqa: PLW0603 - the collector is one for the process, and several tenants may load at once
    _loads += 1
    gc.disable()
    try:
        yield
    finally:
        _loads -= 1
        if _loads == 0:
            gc.freeze()
            gc.enable()


def collector_freed() -> None:
    """Let the collector see again what was loaded, so that a closed tenant's gates can go."""
    gc.unfreeze()
