"""Subject of cached_first_rows: the application's own start, until the first rows of a cached list are painted."""

import os
import resource
import sys
from collections.abc import Callable
from typing import Any

from hitl_desktop.app import first_rows, run_window
from hitl_desktop.store.first_rows import FirstRows


class Reader(first_rows.RowsReader):
    """Comes before Qt, and hears when the window is made: then its table is watched."""

    def follow(self, follower: Callable[[FirstRows], None]) -> None:
        from PySide6.QtWidgets import QApplication

        from hitl_desktop.widgets.main_window import MainWindow

        window = next(one for one in QApplication.topLevelWidgets() if isinstance(one, MainWindow))
        watch(window.gates.table)
        super().follow(follower)


def watch(table: Any) -> None:
    """End the process once `table` has been painted with rows in it."""

    def painted(event: Any) -> None:
        type(table).paintEvent(table, event)
        if table.model() is not None and table.model().rowCount() > 0:
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, flush=True)
            os._exit(0)

    table.paintEvent = painted


first_rows.RowsReader = Reader  # type: ignore[misc]
sys.exit(run_window([]))
