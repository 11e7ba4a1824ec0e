"""The application with its window, driven as a reviewer does; it tells of a decision once its gate is off the list."""

import os
from functools import partial
from random import Random

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication  # noqa: TID251 - an application's composition root

from hitl_desktop.app.loop import WindowLoop
from hitl_desktop.domain.gate import Gate
from hitl_desktop.widgets.main_window import MainWindow
from tests.driving import open_gate, open_gate_is, running, summaries
from tests.faults.nursery import say
from tests.waiting import until


def live(name: str, seed: str) -> None:
    """Review until killed."""
    application = QApplication([])
    application.setQuitOnLastWindowClosed(False)
    with WindowLoop(application) as loop:
        loop.run_until_complete(main(name, Random(int(seed))))  # noqa: S311 - spreads what it does, guards nothing


async def main(name: str, random: Random) -> None:
    async with running(dict(os.environ)) as window:
        say(name, "up")
        while True:
            await until(lambda: summaries(window), "something waits", within=3600)
            summary = random.choice(summaries(window))
            request_id = named(window, summary)
            await open_gate(window, summary)
            await open_gate_is(window, summary)
            assert window.review is not None
            QTest.keyClicks(window.review.decision.reason, "Because")
            QTest.mouseClick(window.review.decision.approve, Qt.MouseButton.LeftButton)
            await until(partial(has_left, window, summary), "the decided gate has left")
            assert window._view is not None
            entry = window._view.outbox.entry(request_id)
            if entry is not None:
                say(name, "decided", entry.decision_id, request_id)


def has_left(window: MainWindow, summary: str) -> bool:
    return summary not in summaries(window)


def named(window: MainWindow, summary: str) -> str:
    """Return the id of the gate with that summary."""
    model = window.gates.table.model()
    records = [model.record_at(row) for row in range(model.rowCount())]  # type: ignore[attr-defined]
    return next(one.request_id for one in records if isinstance(one, Gate) and one.summary == summary)
