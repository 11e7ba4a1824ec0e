"""What a real window needs: a virtual display, and a reviewer's secret service."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from tests import processes

SCREEN = "1600x1000x24"


def has_display_server() -> bool:
    """Return whether a virtual display can be started here."""
    return shutil.which("Xvfb") is not None


@contextmanager
def virtual_display() -> Iterator[str]:
    """Run Xvfb on a free display and yield its name for `DISPLAY`."""
    reading, writing = os.pipe()
    process = processes.start(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", SCREEN, "-nolisten", "tcp", "-noreset"],
        pass_fds=[writing],
    )
    os.close(writing)
    try:
        with os.fdopen(reading) as announced:
            number = announced.readline().strip()
        if not number:
            raise RuntimeError("Xvfb ended by itself")
        yield f":{number}"
    finally:
        processes.end(process)
