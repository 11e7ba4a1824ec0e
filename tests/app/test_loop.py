"""The window's loop: order, fairness, and what becomes of callbacks that fail, are cancelled or come too late."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
from PySide6.QtCore import QCoreApplication, QTimer

from hitl_desktop.app.loop import WindowLoop


@pytest.fixture
def loop(qapp: QCoreApplication) -> Iterator[WindowLoop]:
    qapp.setProperty("quitOnLastWindowClosed", False)  # noqa: FBT003 - Qt's properties take no names
    with WindowLoop(qapp) as made:
        yield made


def test_what_is_due_runs_in_its_order_and_what_it_adds_comes_behind(loop: WindowLoop) -> None:
    ran: list[str] = []

    async def work() -> None:
        def first() -> None:
            ran.append("first")
            loop.call_soon(ran.append, "added")

        loop.call_soon(first)
        loop.call_soon(ran.append, "second")
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    loop.run_until_complete(work())
    assert ran == ["first", "second", "added"]


def test_qt_has_its_turn_while_callbacks_follow_one_another_without_end(loop: WindowLoop) -> None:
    seen: list[str] = []

    async def work() -> None:
        QTimer.singleShot(0, lambda: seen.append("painted"))
        while not seen:  # noqa: ASYNC110 - the loop is to have no rest
            await asyncio.sleep(0)

    loop.run_until_complete(asyncio.wait_for(work(), 10))
    assert seen == ["painted"]


def test_a_cancelled_callback_does_not_run(loop: WindowLoop) -> None:
    ran: list[str] = []

    async def work() -> None:
        loop.call_soon(ran.append, "cancelled").cancel()
        loop.call_soon(ran.append, "kept")
        await asyncio.sleep(0)

    loop.run_until_complete(work())
    assert ran == ["kept"]


def test_a_callback_that_fails_is_told_and_the_others_run(loop: WindowLoop) -> None:
    told: list[BaseException] = []
    loop.set_exception_handler(lambda _loop, context: told.append(context["exception"]))
    ran: list[str] = []

    def fail() -> None:
        raise RuntimeError("broken")

    async def work() -> None:
        loop.call_soon(fail)
        loop.call_soon(ran.append, "behind it")
        await asyncio.sleep(0)

    loop.run_until_complete(work())
    assert [str(error) for error in told] == ["broken"]
    assert ran == ["behind it"]


def test_threads_and_timers_reach_it(loop: WindowLoop) -> None:
    async def work() -> list[str]:
        came: asyncio.Queue[str] = asyncio.Queue()
        thread = threading.Thread(target=loop.call_soon_threadsafe, args=(came.put_nowait, "thread"))
        thread.start()
        loop.call_later(0.01, came.put_nowait, "timer")
        found = {await came.get(), await came.get(), await loop.run_in_executor(None, lambda: "executor")}
        thread.join()
        return sorted(found)

    assert loop.run_until_complete(work()) == ["executor", "thread", "timer"]


def test_what_is_due_when_it_is_closed_is_dropped(qapp: QCoreApplication) -> None:
    ran: list[str] = []
    loop = WindowLoop(qapp)
    loop.call_soon(ran.append, "too late")
    loop.close()
    qapp.processEvents()
    assert ran == []
