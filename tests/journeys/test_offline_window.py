"""The window without a network: review, queue, undo, come back, and answer what could not be delivered."""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from hitl_desktop.app.launch import asked
from hitl_desktop.domain.decision import Verdict
from hitl_desktop.domain.projection import Queue
from hitl_desktop.services.connection import connect
from hitl_desktop.services.errors import Unavailable
from hitl_desktop.services.gates import Gates
from hitl_desktop.settings import read_settings
from hitl_desktop.store.drafts import Drafts
from hitl_desktop.store.errors import StoreFullError
from hitl_desktop.store.tenant_store import open_tenant_store
from hitl_desktop.tenancy import TenantContext, TenantNames
from hitl_desktop.widgets.main_window import MainWindow
from tests.driving import open_gate, open_gate_is, running, summaries, switch
from tests.environments import keeping
from tests.gates import ask, decision, gate_request, written
from tests.servers import Server
from tests.waiting import until


@pytest.fixture
def environment(home: Path, valkey: Server) -> dict[str, str]:
    return keeping(home, valkey.url, HITL_UNDO_SECONDS="0")


def approve(window: MainWindow, reason: str = "") -> None:
    assert window.review is not None
    QTest.keyClicks(window.review.decision.reason, reason)
    QTest.mouseClick(window.review.decision.approve, Qt.MouseButton.LeftButton)


async def kept(window: MainWindow, count: int) -> None:
    await until(lambda: window._view is not None and window._view.kept == (count, count), "the evidence is kept")


async def approve_offline(window: MainWindow, reason: str = "") -> None:
    """Keep the only gate, leave the network alone, and approve it."""
    await until(lambda: len(summaries(window)) == 1, "the gate is listed")
    await kept(window, 1)
    QTest.mouseClick(window.toolbar.offline, Qt.MouseButton.LeftButton)
    await open_gate(window, "Retry with jitter")
    approve(window, reason)
    await until(lambda: not summaries(window), "the decided gate has left")


async def test_review_on_a_train_and_arrive(valkey: Server, environment: dict[str, str]) -> None:
    first, second = gate_request("Retry with jitter"), gate_request("Event schema")
    await ask(valkey.url, "acme-corp", first, second)
    async with running(environment) as window:
        await until(lambda: len(summaries(window)) == 2, "both gates are listed")
        await kept(window, 2)
        with valkey.offline():
            await open_gate(window, "Retry with jitter")
            approve(window, "Well tested")
            await until(lambda: summaries(window) == ["Event schema"], "the decided gate has left")
            window.queues.chosen.emit(Queue.OUTBOX)
            await until(lambda: summaries(window) == ["Retry with jitter"], "it is in the outbox")
            assert "Outbox 1" in window.toolbar.outbox.text()
        await until(lambda: not summaries(window), "the outbox is empty")
    found = written(valkey, "acme-corp", first)
    assert (found.gate["status"], len(found.events), len(found.audit)) == ("approved", 1, 1)
    assert written(valkey, "acme-corp", second).gate["status"] == "pending"


async def test_the_list_is_there_before_the_server(valkey: Server, environment: dict[str, str]) -> None:
    await ask(valkey.url, "acme-corp", gate_request("Retry with jitter"))
    async with running(environment) as window:
        await until(lambda: len(summaries(window)) == 1, "the gate is listed")
        await kept(window, 1)
    with valkey.offline():
        async with running(environment) as window:
            await open_gate(window, "Retry with jitter")
            approve(window)
            await until(lambda: not summaries(window), "the decided gate has left")
    async with running(environment) as window:
        await until(lambda: window._view is not None and not window._view.outbox.counts(), "it is delivered")
        await until(lambda: window.toolbar.connection.text().startswith("Online"), "the server is there")
    assert valkey.run("ZCARD", "tenant:acme-corp:asdlc:pending_gates") == 0


async def test_a_decision_can_be_undone_for_a_while(valkey: Server, environment: dict[str, str]) -> None:
    request = gate_request("Retry with jitter")
    await ask(valkey.url, "acme-corp", request)
    async with running(environment | {"HITL_UNDO_SECONDS": "600"}) as window:
        await open_gate(window, "Retry with jitter")
        approve(window, "Not yet")
        await until(lambda: bool(window.undo_band.text()), "it can be undone")
        window.undo()
        await until(lambda: summaries(window) == ["Retry with jitter"], "the gate waits again")
        await open_gate(window, "Retry with jitter")
        assert window.review is not None
        assert window.review.decision.reason.toPlainText() == "Not yet"
        approve(window, ", but now")
        await until(lambda: not summaries(window), "the decided gate has left")
        assert written(valkey, "acme-corp", request).is_pending
    assert written(valkey, "acme-corp", request).gate["reason"] == "Not yet, but now"


async def test_work_offline_is_a_switch(valkey: Server, environment: dict[str, str]) -> None:
    request = gate_request("Retry with jitter")
    await ask(valkey.url, "acme-corp", request)
    async with running(environment) as window:
        await until(lambda: len(summaries(window)) == 1, "the gate is listed")
        await kept(window, 1)
        QTest.mouseClick(window.toolbar.offline, Qt.MouseButton.LeftButton)
        await until(lambda: "work offline" in window.connection_band.text(), "the window says so")
        await open_gate(window, "Retry with jitter")
        approve(window)
        await until(lambda: not summaries(window), "the decided gate has left")
        await switch(window, "widgets-inc")
        await until(lambda: "work offline" in window.connection_band.text(), "it goes for every tenant")
        await switch(window, "acme-corp")
        assert written(valkey, "acme-corp", request).is_pending
        QTest.mouseClick(window.toolbar.offline, Qt.MouseButton.LeftButton)
        await until(lambda: not written(valkey, "acme-corp", request).is_pending, "it is delivered")


async def test_an_outbox_that_is_not_on_screen_is_delivered(valkey: Server, environment: dict[str, str]) -> None:
    request = gate_request("Retry with jitter")
    await ask(valkey.url, "acme-corp", request)
    async with running(environment | {"HITL_UNDO_SECONDS": "1"}) as window:
        await open_gate(window, "Retry with jitter")
        approve(window)
        await until(lambda: not summaries(window), "the decided gate has left")
        await switch(window, "widgets-inc")
        await until(lambda: not written(valkey, "acme-corp", request).is_pending, "it is delivered all the same")


async def test_a_conflict_shows_both_sides_and_outlives_a_restart(valkey: Server, environment: dict[str, str]) -> None:
    request = gate_request("Retry with jitter")
    await ask(valkey.url, "acme-corp", request)
    async with running(environment) as window:
        await approve_offline(window, "Ours")
        await reject_elsewhere(valkey, request.request_id)
        QTest.mouseClick(window.toolbar.offline, Qt.MouseButton.LeftButton)
        await until(lambda: "⇄ 1" in window.toolbar.outbox.text(), "the conflict is counted")
    async with running(environment) as window:
        await until(lambda: "⇄ 1" in window.toolbar.outbox.text(), "it is still there")
        QTest.mouseClick(window.toolbar.outbox, Qt.MouseButton.LeftButton)
        await until(lambda: summaries(window) == ["Retry with jitter"], "it is listed")
        window.gates.select_row(0)
        await open_gate_is(window, "Retry with jitter")
        assert window.review is not None
        card = window.review.conflict
        assert "Ours" in card._ours.text()
        assert card.isVisible()
        assert not window.review.decision.isVisible()
        assert "other@example.org rejected" in card._theirs.text()
        QTest.mouseClick(card.accept, Qt.MouseButton.LeftButton)
        await until(lambda: not summaries(window), "it is answered")
    assert len(written(valkey, "acme-corp", request).events) == 1


async def reject_elsewhere(server: Server, request_id: str) -> None:
    async with connect(server.url) as connection:
        with TenantContext.tenant_scope("acme-corp"):
            gates = Gates(connection, TenantNames("acme-corp"))
            gate = await gates.get(request_id)
            theirs = decision(gate, Verdict.REJECTED, reviewer="other@example.org", decided_at=datetime.now(UTC))
            await gates.decide(theirs, gate)


async def test_changed_evidence_is_reviewed_again(valkey: Server, environment: dict[str, str]) -> None:
    request = gate_request("Retry with jitter")
    await ask(valkey.url, "acme-corp", request)
    async with running(environment) as window:
        await until(lambda: len(summaries(window)) == 1, "the gate is listed")
        await kept(window, 1)
        QTest.mouseClick(window.toolbar.offline, Qt.MouseButton.LeftButton)
        await open_gate(window, "Retry with jitter")
        approve(window, "As it was")
        await until(lambda: not summaries(window), "the decided gate has left")
        valkey.run("HSET", f"tenant:acme-corp:asdlc:evidence_bundle:{request.bundle['bundle_id']}", "git_sha", "abc")
        QTest.mouseClick(window.toolbar.offline, Qt.MouseButton.LeftButton)
        await until(lambda: "⇄ 1" in window.toolbar.outbox.text(), "the conflict is counted")
        QTest.mouseClick(window.toolbar.outbox, Qt.MouseButton.LeftButton)
        await until(lambda: summaries(window) == ["Retry with jitter"], "it is listed")
        window.gates.select_row(0)
        await open_gate_is(window, "Retry with jitter")
        assert window.review is not None
        QTest.mouseClick(window.review.conflict.review_again, Qt.MouseButton.LeftButton)
        await until(lambda: not summaries(window), "it is no conflict any more")
        window.queues.chosen.emit(Queue.PENDING)
        await open_gate(window, "Retry with jitter")
        assert window.review.decision.reason.toPlainText() == "As it was"
        approve(window)
        await until(lambda: not written(valkey, "acme-corp", request).is_pending, "it is delivered")


async def test_what_is_typed_outlives_the_application(valkey: Server, environment: dict[str, str]) -> None:
    await ask(valkey.url, "acme-corp", gate_request("Retry with jitter"))
    async with running(environment) as window:
        await open_gate(window, "Retry with jitter")
        assert window.review is not None
        QTest.keyClicks(window.review.decision.reason, "Half a sen")
        await until(lambda: "1 draft" in window._outbox.text(), "it is counted as a draft")
    async with running(environment) as window:
        await open_gate(window, "Retry with jitter")
        assert window.review is not None
        review = window.review
        await until(lambda: review.decision.reason.toPlainText() == "Half a sen", "the draft is back")


async def test_the_words_about_one_gate_never_reach_the_next(valkey: Server, environment: dict[str, str]) -> None:
    await ask(valkey.url, "acme-corp", gate_request("Retry with jitter"), gate_request("Event schema"))
    async with running(environment) as window:
        await until(lambda: len(summaries(window)) == 2, "both gates are listed")
        await kept(window, 2)
        QTest.mouseClick(window.toolbar.offline, Qt.MouseButton.LeftButton)
        await open_gate(window, "Retry with jitter")
        assert window.review is not None
        assert window._view is not None
        panel, review = window.review.decision, window._view.review
        left_over, writable = [], []
        review.loading.connect(lambda _name: left_over.append(panel.reason.toPlainText()))
        review.busy.connect(lambda _busy: writable.append(panel.reason.isEnabled() and review.current is None))
        approve(window, "About the first")
        await until(lambda: summaries(window) == ["Event schema"], "the decided gate has left")
        await open_gate_is(window, "Event schema")
        assert panel.reason.toPlainText() == ""
    assert left_over == [""]
    assert not any(writable)


async def test_what_is_listed_can_be_read_offline_at_once(valkey: Server, environment: dict[str, str]) -> None:
    await ask(valkey.url, "acme-corp", gate_request("Retry with jitter"))
    async with running(environment) as window:
        await until(lambda: len(summaries(window)) == 1, "the gate is listed")
        await kept(window, 1)
        view = window._view
        assert view is not None
        # As if the list had not been written yet, which takes a moment longer than the evidence.
        await view._session._disk(lambda store: store.gates.put([], gone=list(view._session.book.gates)))
        QTest.mouseClick(window.toolbar.offline, Qt.MouseButton.LeftButton)
        await open_gate(window, "Retry with jitter")


async def test_every_word_is_on_the_disk_while_one_still_types(valkey: Server, environment: dict[str, str]) -> None:
    request = gate_request("Retry with jitter")
    await ask(valkey.url, "acme-corp", request)
    async with running(environment) as window:
        await open_gate(window, "Retry with jitter")
        assert window.review is not None
        reason, names = window.review.decision.reason, TenantNames("acme-corp")
        with closing(open_tenant_store(read_settings(environment), names)) as another:

            def saved_while_typing() -> bool:
                QTest.keyClicks(reason, "x")
                return bool(another.drafts.all())

            await until(saved_while_typing, "a pause is not waited for")
            QTest.keyClicks(reason, " and the end")
            assert window._view is not None
            assert window._view.review._saving.interval() < 1_000
            await until(
                lambda: another.drafts.all()[request.request_id].reason == reason.toPlainText(), "the end is kept"
            )


async def test_words_that_could_not_be_kept_are_kept_later(
    valkey: Server, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = gate_request("Retry with jitter"), gate_request("Event schema")
    await ask(valkey.url, "acme-corp", first, second)
    async with running(environment) as window:
        await open_gate(window, "Retry with jitter")
        assert window.review is not None
        assert window._view is not None
        review, panel = window._view.review, window.review.decision

        def is_full(_drafts: Drafts, _words: object) -> None:
            raise StoreFullError("The disk is full.")

        with monkeypatch.context() as patched:
            patched.setattr(Drafts, "keep", is_full)
            QTest.keyClicks(panel.reason, "About the first")
            await until(lambda: "The disk is full." in panel.problem.text(), "the reviewer is told")
        await open_gate(window, "Event schema")
        QTest.keyClicks(panel.reason, "About the second")
        await review.flush()
        drafts = await window._view._session.drafts()
    assert {name: draft.reason for name, draft in drafts.items()} == {
        first.request_id: "About the first",
        second.request_id: "About the second",
    }


async def test_decisions_for_a_tenant_that_is_no_longer_allowed_are_told_at_every_start(
    valkey: Server, environment: dict[str, str]
) -> None:
    request = gate_request("Retry with jitter")
    await ask(valkey.url, "acme-corp", request)
    async with running(environment) as window:
        await approve_offline(window)
    others = environment | {"ALLOWED_TENANTS": "widgets-inc", "DEFAULT_TENANT_ID": "widgets-inc"}
    for _ in range(2):
        async with running(others, "widgets-inc") as window:
            await until(lambda: "1 decision for acme-corp" in window.notice.text(), "the reviewer is told")
            assert "outbox list --tenant acme-corp" in window.notice.text()
    assert written(valkey, "acme-corp", request).is_pending
    async with running(environment, "acme-corp"):
        await until(lambda: not written(valkey, "acme-corp", request).is_pending, "it is delivered once allowed again")


async def test_a_window_can_begin_offline(valkey: Server, environment: dict[str, str]) -> None:
    await ask(valkey.url, "acme-corp", gate_request("Retry with jitter"))
    async with running(environment) as window:
        await until(lambda: len(summaries(window)) == 1, "the gate is listed")
        await kept(window, 1)
    assert asked(["--offline", "--tenant", "acme-corp"]) == ("acme-corp", True)
    connected = valkey.run("INFO", "stats")
    async with running(environment, offline=True) as window:
        await until(lambda: "work offline" in window.connection_band.text(), "the window says so")
        assert window.toolbar.offline.isChecked()
        await open_gate(window, "Retry with jitter")
        approve(window)
        await until(lambda: "1 queued" in window._outbox.text(), "it is counted as queued")
        assert "Outbox 1" in window.toolbar.outbox.text()
        assert window._view is not None
        view = window._view
        counting = view._tasks.start(view._session.count_pending())
        with pytest.raises(Unavailable, match="You work offline"):
            await counting
    assert total_connections(valkey.run("INFO", "stats")) == total_connections(connected) + 1
    assert valkey.run("ZCARD", "tenant:acme-corp:asdlc:pending_gates") == 1


def total_connections(told: dict[str, int]) -> int:
    return told["total_connections_received"]
