"""Driving the application's window in this process, as a reviewer does."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication  # noqa: TID251 - drives the window from outside

from hitl_desktop.app.instance import Instance
from hitl_desktop.app.windows import Windows
from hitl_desktop.domain.gate import Gate
from hitl_desktop.settings import read_settings
from hitl_desktop.widgets.main_window import MainWindow
from hitl_desktop.widgets.theme import Theme
from tests.waiting import until


@asynccontextmanager
async def running(
    environment: dict[str, str],
    tenant: str | None = None,
    before: Callable[[MainWindow], None] = lambda _window: None,
    *,
    offline: bool = False,
) -> AsyncIterator[MainWindow]:
    """Run the application with one window until the block ends, then close it in order; `before` comes first."""
    settings = read_settings(environment)
    instance = Instance(settings.state_dir)
    assert instance.claim()
    window = MainWindow(Theme.light())
    window.show()
    before(window)
    windows = asyncio.get_running_loop().create_task(Windows(settings, window, instance).run(tenant, offline=offline))
    try:
        yield window
    finally:
        with suppress(RuntimeError):
            window.quit_wanted.emit()
        await asyncio.wait_for(windows, 20)
        instance.release()


def summaries(window: MainWindow) -> list[str]:
    model = window.gates.table.model()
    if model is None:
        return []
    records = [model.record_at(row) for row in range(model.rowCount())]  # type: ignore[attr-defined]
    return [record.summary for record in records if isinstance(record, Gate)]


async def switch(window: MainWindow, tenant: str) -> None:
    """Choose a tenant as a reviewer does: open the list, type, press Enter."""
    QTest.mouseClick(window.toolbar.tenant, Qt.MouseButton.LeftButton)
    popup = QApplication.activePopupWidget()
    assert popup is not None
    field = popup.focusWidget()
    assert field is not None
    QTest.keyClicks(field, tenant)
    QTest.keyClick(field, Qt.Key.Key_Return)
    await until(lambda: window.windowTitle().startswith(f"{tenant} —"), f"the window shows {tenant}")


async def open_gate(window: MainWindow, summary: str) -> None:
    await until(lambda: summary in summaries(window), f"{summary!r} is listed")
    window.gates.select_row(summaries(window).index(summary))
    await until(lambda: window.review is not None and window.review.decision.approve.isEnabled(), "it can be decided")


async def open_gate_is(window: MainWindow, summary: str) -> None:
    def shown() -> bool:
        current = window.review._review.current if window.review and window.review._review else None
        return current is not None and current.gate.summary == summary

    await until(shown, f"{summary!r} is open")
