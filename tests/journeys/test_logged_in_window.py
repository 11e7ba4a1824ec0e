"""The window before a server where every tenant has a user of its own: counts, switches, couriers, a refusal."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from hitl_desktop.domain.projection import Queue
from hitl_desktop.widgets.main_window import MainWindow
from tests import keyrings
from tests.driving import open_gate, running, summaries, switch
from tests.environments import keeping
from tests.gates import ask, gate_request, written
from tests.servers import Server
from tests.waiting import until

A, B = "acme-corp", "widgets-inc"


@pytest.fixture(autouse=True)
def ring() -> Iterator[keyrings.Asked]:
    backend = keyrings.Asked()
    with keyrings.used(backend):
        yield backend


@pytest.fixture
def environment(home: Path, valkey: Server) -> dict[str, str]:
    return keeping(home, valkey.url, HITL_UNDO_SECONDS="1")


def counts(window: MainWindow) -> dict[str, int | None]:
    model = window.toolbar.tenant._model
    return {} if model is None else dict(model.counts)


async def test_every_tenant_is_counted_shown_and_delivered_as_itself(
    valkey: Server, environment: dict[str, str], ring: keyrings.Asked
) -> None:
    mine, theirs = gate_request("Retry with jitter"), gate_request("Event schema")
    await ask(valkey.url, A, mine)
    await ask(valkey.url, B, theirs)
    for tenant_id, password in keyrings.make_users(valkey, A, B).items():
        keyrings.log_in(tenant_id, valkey.url, password)
    valkey.run("ACL", "LOG", "RESET")
    ring.asked.clear()
    async with running(environment) as window:
        await until(lambda: counts(window) == {A: 1, B: 1}, "both tenants are counted")
        await open_gate(window, "Retry with jitter")
        assert window.review is not None
        QTest.mouseClick(window.review.decision.approve, Qt.MouseButton.LeftButton)
        await until(lambda: not summaries(window), "the decided gate has left")
        await switch(window, B)
        await until(lambda: summaries(window) == ["Event schema"], "the other tenant's gate is listed")
        await until(lambda: not written(valkey, A, mine).is_pending, "the first tenant's decision is delivered")
    assert valkey.run("ACL", "LOG") == []  # no user ever tried another tenant's keys, nobody came without a login
    assert ring.asked
    assert "MainThread" not in {thread for _, thread in ring.asked}


async def test_a_decision_that_meets_a_refused_login_has_a_card_and_goes_out_after_a_good_one(
    valkey: Server, environment: dict[str, str]
) -> None:
    request = gate_request("Retry with jitter")
    await ask(valkey.url, A, request)
    keyrings.log_in(A, valkey.url, keyrings.make_users(valkey, A)[A])
    async with running(environment | {"HITL_UNDO_SECONDS": "0"}) as window:
        await open_gate(window, "Retry with jitter")
        await until(lambda: window._view is not None and window._view.kept == (1, 1), "the evidence is kept")
        valkey.run("ACL", "SETUSER", f"{A}-reviewer", "resetpass", ">another")
        valkey.run("CLIENT", "KILL", "USER", f"{A}-reviewer")
        await until(lambda: f"tenants login {A}" in window.connection_band.text(), "the window names what to do")
    async with running(environment | {"HITL_UNDO_SECONDS": "0"}) as window:  # with the password that is wrong by now
        await open_gate(window, "Retry with jitter")
        assert window.review is not None
        QTest.mouseClick(window.review.decision.approve, Qt.MouseButton.LeftButton)
        await until(lambda: not summaries(window), "the decided gate has left")
        window.queues.chosen.emit(Queue.OUTBOX)
        card = window.review.conflict
        await until(lambda: "login did not work" in card._heading.text(), "its card says why it waits")
        assert f"tenants login {A}" in card._problem.text()
        offered = (card.withdraw, card.retry, card.export, card.accept, card.review_again, card.send_now)
        assert [button.text() for button in offered if not button.isHidden()] == ["Undo", "Send again", "Export …"]
        assert "1 queued" in window._outbox.text()
        spoken = window.gates.table.model().index(0, 0).data(Qt.ItemDataRole.AccessibleTextRole)
        assert spoken.endswith("your decision is queued, since your login did not work")
        keyrings.log_in(A, valkey.url, "another")
        QTest.mouseClick(card.retry, Qt.MouseButton.LeftButton)
        await until(lambda: not written(valkey, A, request).is_pending, "it is sent")
        await until(lambda: not window._view.outbox.counts() if window._view else False, "that is known")
    assert len(written(valkey, A, request).events) == 1


async def test_a_refused_login_is_told_in_the_window_and_heals(valkey: Server, environment: dict[str, str]) -> None:
    await ask(valkey.url, A, gate_request("Retry with jitter"))
    password = keyrings.make_users(valkey, A)[A]
    async with running(environment) as window:
        await until(lambda: f"tenants login {A}" in window.connection_band.text(), "the window names what to do")
        assert summaries(window) == []
        keyrings.log_in(A, valkey.url, password)
        await until(lambda: summaries(window) == ["Retry with jitter"], "the gate is listed")
        assert password not in window.connection_band.text()
