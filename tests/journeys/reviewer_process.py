"""A reviewer at a window in a process of its own, for tests that kill it: reviews, queues, drafts, searches, syncs.

It says `ready` when all of that is done, and ends in order when its standard input does.
"""

import asyncio
import os
import sys

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from hitl_desktop.app.loop import WindowLoop
from hitl_desktop.widgets.main_window import MainWindow
from tests.driving import open_gate, running, summaries
from tests.waiting import until


def say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


async def hears() -> str:
    return str(await asyncio.to_thread(sys.stdin.readline)).strip()


async def review(window: MainWindow, texts: dict[str, str]) -> None:
    """Review three gates, all of whose evidence is kept: one is lost to somebody else, one queued, one half written."""
    await until(lambda: len(summaries(window)) == 3, "the gates are listed")
    view = window._view
    assert view is not None
    await until(lambda: view.kept == (3, 3), "the evidence is kept")
    QTest.mouseClick(window.toolbar.offline, Qt.MouseButton.LeftButton)
    await until(lambda: "work offline" in window.connection_band.text(), "the window works offline")
    await decide(window, texts["lost"], texts["lost reason"])
    say("decided")
    await hears()
    QTest.mouseClick(window.toolbar.offline, Qt.MouseButton.LeftButton)
    await until(lambda: "⇄ 1" in window.toolbar.outbox.text(), "the conflict is counted")
    QTest.mouseClick(window.toolbar.offline, Qt.MouseButton.LeftButton)
    await until(lambda: "work offline" in window.connection_band.text(), "the window works offline again")
    await decide(window, texts["queued"], texts["queued reason"], texts["condition"])
    await open_gate(window, texts["drafted"])
    assert window.review is not None
    review = view.review
    window.review.decision.reason.insertPlainText(texts["draft"])
    session = view._session
    await until(lambda: not review._unsaved, "the draft is on its way to the disk")
    assert texts["draft"] in {draft.reason for draft in (await session.drafts()).values()}
    assert window.knowledge is not None
    window.toggle_knowledge()
    window.knowledge.search.insert(texts["search"])
    QTest.keyClick(window.knowledge.search, Qt.Key.Key_Return)
    knowledge = window.knowledge
    await until(lambda: "1 gates hold" in knowledge.note.text(), "the search has looked on this machine")
    window.toolbar.search.insert(texts["drafted"])


async def decide(window: MainWindow, summary: str, reason: str, condition: str = "") -> None:
    await open_gate(window, summary)
    assert window.review is not None
    panel = window.review.decision
    panel.reason.insertPlainText(reason)
    if condition:
        QTest.mouseClick(panel._add, Qt.MouseButton.LeftButton)
        panel._conditions[0].insert(condition)
    QTest.mouseClick(panel.approve, Qt.MouseButton.LeftButton)
    await until(lambda: summary not in summaries(window), "the decided gate has left")


async def work() -> None:
    texts = dict(pair.split("=", 1) for pair in os.environ.pop("TEXTS").split("\n")) if "TEXTS" in os.environ else {}
    async with running(dict(os.environ)) as window:
        if texts:
            await review(window, texts)
        else:
            await until(lambda: window.toolbar.connection.text().startswith("Online"), "the server is there")
            await until(lambda: "Outbox" not in window.toolbar.outbox.text(), "what was queued is delivered")
        say("ready")
        await hears()


def main() -> None:
    application = QApplication(["reviewer"])
    application.setQuitOnLastWindowClosed(False)
    loop = WindowLoop(application)
    with loop:
        loop.run_until_complete(work())


main()
