"""From the command line to the first frame, and from there to the loop.

The first frame is painted before asyncio, the servers' libraries and the session are imported: they take longer than
the window itself.
"""

import importlib
import os
import sys
from collections.abc import Sequence

from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtWidgets import QApplication

from hitl_desktop.app.first_rows import FirstRows
from hitl_desktop.app.instance import Instance
from hitl_desktop.settings import Settings, SettingsError, read_settings
from hitl_desktop.widgets.main_window import MainWindow
from hitl_desktop.widgets.theme import Theme

_PAINTED_WITHIN_MS = 2_000
_ROWS_WITHIN_MS = 150


def run_window(arguments: Sequence[str]) -> int:
    """Open a window and return the exit code once the last one is closed."""
    tenant, offline = _asked(arguments) if arguments else (None, False)
    application = QApplication(["hitl-desktop"])
    application.setApplicationName("HITL Desktop")
    application.setDesktopFileName("io.github.hitl_desktop.HITLDesktop")
    # Otherwise closing the last window would end the loop before the sessions are closed.
    application.setQuitOnLastWindowClosed(False)
    settings = _settings()
    if settings is None:
        return 2
    instance = Instance(settings.state_dir)
    if not instance.claim():
        return 0 if instance.ask_for_window(tenant or "") else 1
    rows = FirstRows(settings, tenant)
    rows.begin()
    theme = Theme.choose(settings.theme)
    window = MainWindow(theme)
    rows.ready.connect(window.show_kept)
    # Once, when all its parts are there: with a stylesheet in place, every part added would be styled anew.
    theme.apply(application)
    _paint(window, rows)
    try:
        return _follow(settings, window, instance, tenant, offline=offline)
    finally:
        instance.release()


def _asked(arguments: Sequence[str]) -> tuple[str | None, bool]:
    import argparse

    parser = argparse.ArgumentParser(prog="hitl-desktop")
    parser.add_argument("--tenant", help="the tenant to open a window for")
    parser.add_argument("--new-window", action="store_true", help="open one more window")
    parser.add_argument("--offline", action="store_true", help="begin without the network")
    asked = parser.parse_args(arguments)
    return asked.tenant, asked.offline


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


def _paint(window: MainWindow, rows: FirstRows) -> None:
    """Show `window` and return once its first frame is on the screen, with `rows` if they come soon."""
    waiting = QEventLoop()
    window.painted.connect(waiting.quit)
    QTimer.singleShot(_PAINTED_WITHIN_MS, waiting.quit)
    window.show()
    waiting.exec()
    window.painted.disconnect(waiting.quit)
    if rows.is_reading:
        rows.ready.connect(waiting.quit)
        QTimer.singleShot(_ROWS_WITHIN_MS, waiting.quit)
        waiting.exec()
    QApplication.processEvents()


def _follow(settings: Settings, window: MainWindow, instance: Instance, tenant: str | None, *, offline: bool) -> int:
    import asyncio

    from hitl_desktop.app.loop import WindowLoop

    async def work() -> None:
        # In a thread, since importing the servers' libraries would hold the window for a quarter of a second.
        module = await asyncio.to_thread(importlib.import_module, "hitl_desktop.app.windows")
        windows = module.Windows(settings, window, instance)
        await windows.run(tenant, offline=offline)

    with WindowLoop(QApplication.instance()) as loop:
        loop.run_until_complete(work())
    return 0
