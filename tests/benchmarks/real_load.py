"""Subject of load_100k and the rest at that size: the session into the shown list, with the gaps between frames."""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Self

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QApplication

from hitl_desktop.app.instance import Instance
from hitl_desktop.app.loop import WindowLoop
from hitl_desktop.app.windows import Windows
from hitl_desktop.settings import read_settings
from hitl_desktop.sync.monitor import Phase
from hitl_desktop.viewmodels.rows import Order
from hitl_desktop.widgets.main_window import MainWindow
from hitl_desktop.widgets.theme import ARGUMENTS, Theme
from tests.environments import keeping

_FRAME_MS = 5


class Frames:
    """The gaps between turns of the event loop, seen by a timer of 5 ms: a frame can be painted at each."""

    def __init__(self) -> None:
        self.gaps: list[float] = []
        self._last = time.perf_counter()
        self._timer = QTimer(interval=_FRAME_MS)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._turn)

    def __enter__(self) -> Self:
        self._last = time.perf_counter()
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.stop()

    def _turn(self) -> None:
        now = time.perf_counter()
        self.gaps.append((now - self._last) * 1_000)
        self._last = now


def timed(window: MainWindow, action: Callable[[], None]) -> float:
    """Return the milliseconds that `action` takes, with the table drawn again."""
    started = time.perf_counter()
    action()
    window.gates.table.viewport().repaint()
    return (time.perf_counter() - started) * 1_000


async def until(condition: Callable[[], bool]) -> None:
    """Return once `condition` holds; what a window shows announces itself in no event."""
    while not condition():  # noqa: ASYNC110 - as said
        await asyncio.sleep(0.005)


async def listed(window: MainWindow, count: int) -> None:
    """Return once `count` gates are in the list."""

    def complete() -> bool:
        model: Any = window.gates.table.model()
        return model is not None and model.rowCount() >= count

    await until(complete)


async def main(url: str, count: int) -> None:
    with tempfile.TemporaryDirectory() as state:
        settings = read_settings(keeping(Path(state), url))
        window = MainWindow(Theme.light())
        window.show()
        window._make_late_parts()
        QApplication.processEvents()
        windows = Windows(settings, window, Instance(settings.state_dir))
        with Frames() as frames:
            started = time.perf_counter()
            running = asyncio.ensure_future(windows.run(None))
            await listed(window, count)
            seconds = time.perf_counter() - started
        assert window._view is not None
        view = window._view
        await until(lambda: view.connectivity_now.phase is Phase.ONLINE)
        model = view.gates
        figures = {
            "seconds": seconds,
            "rows": model.rowCount(),
            "gap_p99_ms": sorted(frames.gaps)[int(len(frames.gaps) * 0.99)],
            "gap_max_ms": max(frames.gaps),
            "sort_ms": max(timed(window, partial(model.sort_by, order)) for order in Order),
            "filter_ms": max(timed(window, partial(model.filter_by, text, None)) for text in ("77", "payment", "")),
        }
        figures["switch_ms"] = await switched(window)
        window.quit_wanted.emit()
        await running
    print(json.dumps(figures))


async def switched(window: MainWindow) -> float:
    """Return the milliseconds from choosing the large tenant again to its first rows."""
    window.tenant_chosen.emit("widgets-inc")
    await until(lambda: window.windowTitle().startswith("widgets-inc"))
    await listed(window, 1)
    started = time.perf_counter()
    window.tenant_chosen.emit("acme-corp")
    await until(lambda: window.windowTitle().startswith("acme-corp"))
    await listed(window, 1)
    return (time.perf_counter() - started) * 1_000


if __name__ == "__main__":
    application = QApplication(list(ARGUMENTS))
    application.setQuitOnLastWindowClosed(False)
    Theme.light().apply(application)
    with WindowLoop(application) as loop:
        loop.run_until_complete(main(sys.argv[1], int(sys.argv[2])))
