"""From the command line to the first frame, and from there to the loop.

The first frame is painted before asyncio, the servers' libraries and the session are imported: they take longer than
the window itself.
"""

import importlib
import os
import sys
from typing import TYPE_CHECKING

from PySide6.QtCore import QEventLoop, QObject, QTimer, Signal
from PySide6.QtWidgets import QApplication

from hitl_desktop.app import lean_pyside
from hitl_desktop.app.instance import Instance
from hitl_desktop.domain.tenant import hue
from hitl_desktop.settings import Settings, SettingsError, read_settings
from hitl_desktop.widgets.main_window import MainWindow
from hitl_desktop.widgets.theme import ARGUMENTS, Theme

if TYPE_CHECKING:  # a launch without settings has none
    from hitl_desktop.app.first_rows import RowsReader

_PAINTED_WITHIN_MS = 2_000
_ROWS_WITHIN_MS = 150


class _Arrival(QObject):
    """Brings the first rows from the thread that has them to the window's."""

    rows = Signal(object)


def run(settings: Settings | None, reader: "RowsReader | None", tenant: str | None, *, offline: bool) -> int:
    """Open a window and return the exit code once the last one is closed; without settings, they are mended first."""
    application = QApplication(list(ARGUMENTS))
    application.setApplicationName("HITL Desktop")
    application.setDesktopFileName("io.github.hitl_desktop.HITLDesktop")
    # Otherwise closing the last window would end the loop before the sessions are closed.
    application.setQuitOnLastWindowClosed(False)
    settings = settings or _settings()
    if settings is None:
        return 2
    instance = Instance(settings.state_dir)
    if not instance.claim():
        return 0 if instance.ask_for_window(tenant or "") else 1
    theme = Theme.choose(settings.theme)
    if reader is not None and reader.tenant_id is not None:
        # In its hue from the beginning: to give it one later has all that is shown styled twice.
        theme = theme.for_hue(hue(reader.tenant_id))
    window = MainWindow(theme)
    # Once, when all its parts are there: with a stylesheet in place, every part added would be styled anew.
    theme.apply(application)
    try:
        _paint(window, reader)
        return _follow(settings, window, instance, tenant, offline=offline)
    finally:
        instance.release()


def _settings() -> Settings | None:
    """Return the settings; a bad one is shown with a way to mend it for this launch. None if the reviewer gives up."""
    environment = dict(os.environ)
    while True:
        try:
            return read_settings(environment)
        except SettingsError as error:
            from hitl_desktop.widgets.settings_dialog import SettingsDialog

            sys.stderr.write(f"{error}\n")
            mended = SettingsDialog.ask(str(error), error.name, environment.get(error.name, ""))
            if mended is None:
                return None
            environment[error.name] = mended


def _paint(window: MainWindow, reader: "RowsReader | None") -> None:
    """Show `window` and return once its first frame is on the screen, with the first rows if they come soon."""
    arrival, waiting = _Arrival(window), QEventLoop()
    arrival.rows.connect(window.show_kept)
    if reader is not None:
        reader.follow(arrival.rows.emit)
    window.painted.connect(waiting.quit)
    QTimer.singleShot(_PAINTED_WITHIN_MS, waiting.quit)
    window.show()
    waiting.exec()
    window.painted.disconnect(waiting.quit)
    if reader is not None and reader.is_reading:
        arrival.rows.connect(waiting.quit)
        QTimer.singleShot(_ROWS_WITHIN_MS, waiting.quit)
        waiting.exec()
    QApplication.processEvents()


def _follow(settings: Settings, window: MainWindow, instance: Instance, tenant: str | None, *, offline: bool) -> int:
    import asyncio

    from hitl_desktop.app.loop import WindowLoop

    async def work() -> None:
        # In a thread, since importing the servers' libraries would hold the window for a quarter of a second.
        module = await asyncio.to_thread(importlib.import_module, "hitl_desktop.app.windows")
        completing = asyncio.create_task(asyncio.to_thread(lean_pyside.complete))
        windows = module.Windows(settings, window, instance)
        await windows.run(tenant, offline=offline)
        await completing

    with WindowLoop(QApplication.instance()) as loop:
        loop.run_until_complete(work())
    return 0
