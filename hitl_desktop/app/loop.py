"""asyncio's loop on Qt's, with all that is due at once in one turn.

qasync starts a timer of Qt's for every callback, which costs more than most callbacks do; a page of gates takes a
dozen.
"""

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable
from typing import Any

import qasync
from PySide6.QtCore import QCoreApplication, QTimer


class WindowLoop(qasync.QEventLoop):  # type: ignore[misc]
    """Runs callbacks that are due in their order, those of one turn together; what they add comes in the next turn.

    Between two turns Qt paints and takes input. A callback may not run a loop of Qt's own: what is due would wait.
    """

    def __init__(self, application: QCoreApplication | None) -> None:
        self._due: deque[asyncio.Handle] = deque()
        self._turn = QTimer(singleShot=True, interval=0)
        self._turn.timeout.connect(self._run_due)
        super().__init__(application)

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """Run `callback` in the next turn."""
        if not self._due:
            self._turn.start()
        handle = asyncio.Handle(callback, args, self, context)
        self._due.append(handle)
        return handle

    def close(self) -> None:
        """End the loop for good; what is still due is dropped."""
        self._turn.stop()
        self._due.clear()
        super().close()

    def _run_due(self) -> None:
        due = self._due
        try:
            for _ in range(len(due)):
                handle = due.popleft()
                if not handle.cancelled():
                    handle._run()  # noqa: SLF001 - as every loop runs its handles
        finally:
            if due:
                self._turn.start()
