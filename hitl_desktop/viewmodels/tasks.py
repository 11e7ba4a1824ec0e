"""The one bridge between Qt and asyncio: it owns the tasks that a view-model starts, and reports each failure once."""

import asyncio
import contextvars
import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from PySide6.QtCore import QObject, Signal

from hitl_desktop.domain.decision import ReasonRequiredError
from hitl_desktop.services.errors import ServiceError
from hitl_desktop.store.errors import StoreError
from hitl_desktop.tenancy import TenancyError

_log = logging.getLogger(__name__)
_UNEXPECTED = "Something went wrong inside the application, and what you asked for was not done; try again."

Result = TypeVar("Result")


class Tasks(QObject):
    """Runs coroutines for one owner in its session's context, so that a Qt callback never runs without its tenant."""

    failed = Signal(str)

    def __init__(self, context: contextvars.Context, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self._running: set[asyncio.Task[Any]] = set()
        self._closed = False

    def start(
        self,
        work: Coroutine[Any, Any, Result],
        then: Callable[[Result], None] | None = None,
        otherwise: Callable[[Exception], None] | None = None,
    ) -> "asyncio.Task[Result]":
        """Start `work`; call `then` with its result, or `otherwise` with its failure instead of emitting `failed`.

        Nothing is called or emitted once the owner is closed: late replies are dropped, also those of work that its
        cancellation did not reach.
        """
        task = asyncio.get_running_loop().create_task(work, context=self._context)
        self._running.add(task)

        def ended(done: "asyncio.Task[Result]") -> None:
            self._running.discard(done)
            if done.cancelled():
                return
            error = done.exception()
            if error is None:
                if then is not None and not self._closed:
                    then(done.result())
            else:
                self._report(error, otherwise)

        task.add_done_callback(ended)
        return task

    async def close(self) -> None:
        """Cancel what still runs and wait until it has ended."""
        self._closed = True
        running = tuple(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _report(self, error: BaseException, otherwise: Callable[[Exception], None] | None) -> None:
        expected = isinstance(error, (ServiceError, StoreError, TenancyError, ReasonRequiredError))
        if not expected:
            _log.error("A task of the window failed", exc_info=error)
        if self._closed:
            return
        if otherwise is not None and isinstance(error, Exception):
            otherwise(error)
        else:
            self.failed.emit(str(error) if expected else _UNEXPECTED)
