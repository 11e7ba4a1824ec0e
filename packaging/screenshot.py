"""Takes the README's screenshots: the demo in the real window, light and dark, drawn offscreen."""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

FOLDER = Path(__file__).parent / "screenshots"
THEMES = ("light", "dark")
_WITHIN = 30.0


def main() -> None:
    """Take one screenshot in each palette, each in a process of its own, since an application has one."""
    if len(sys.argv) > 1:
        _take(sys.argv[1])
        return
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as state:
        bare = {name: value for name, value in os.environ.items() if not name.startswith(("HITL_", "REDIS_"))}
        key = Path(state) / "key"
        key.touch(0o600)
        key.write_bytes(os.urandom(32))
        environment = {
            **bare,
            "HITL_KEY_FILE": str(key),
            "HITL_STATE_DIR": state,
            "HITL_REVIEWER": "rev@example.org",
            "QT_QPA_PLATFORM": "offscreen",
        }
        subprocess.run([sys.executable, "-m", "hitl_desktop", "demo"], env=environment, check=True)
        for theme in THEMES:
            again = [sys.executable, __file__, theme]
            subprocess.run(again, env={**environment, "HITL_THEME": theme}, check=True)  # noqa: S603 - this very script


def _take(theme: str) -> None:
    import qasync
    from PySide6.QtWidgets import QApplication

    from hitl_desktop.app.instance import Instance
    from hitl_desktop.app.windows import Windows
    from hitl_desktop.settings import read_settings
    from hitl_desktop.widgets.main_window import MainWindow
    from hitl_desktop.widgets.theme import ARGUMENTS, Theme

    application = QApplication(list(ARGUMENTS))
    application.setQuitOnLastWindowClosed(False)
    settings = read_settings()
    look = Theme.choose(theme)
    look.apply(application)
    window = MainWindow(look)
    window.resize(1440, 900)
    window.show()

    async def until(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(_WITHIN):
            while not condition():  # noqa: ASYNC110 - what a window shows announces itself in no event
                await asyncio.sleep(0.02)

    async def work() -> None:
        windows = asyncio.ensure_future(Windows(settings, window, Instance(settings.state_dir)).run("acme-corp"))
        await until(lambda: window.gates.table.model() is not None and window.gates.table.model().rowCount() > 0)
        window.gates.select_row(0)
        await until(lambda: window.review is not None and window.review.decision.approve.isEnabled())
        window.resize(1440, 900)
        await asyncio.sleep(1.0)
        window.grab().save(str(FOLDER / f"hitl-desktop-{theme}.png"))
        window.quit_wanted.emit()
        await windows

    with qasync.QEventLoop(application) as loop:
        loop.run_until_complete(work())


if __name__ == "__main__":
    main()
