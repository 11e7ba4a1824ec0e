"""The window before a server where every tenant has a user of its own: counts, switches, couriers, a refusal."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

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


async def test_a_refused_login_is_told_in_the_window_and_heals(valkey: Server, environment: dict[str, str]) -> None:
    await ask(valkey.url, A, gate_request("Retry with jitter"))
    password = keyrings.make_users(valkey, A)[A]
    async with running(environment) as window:
        await until(lambda: f"tenants login {A}" in window.connection_band.text(), "the window names what to do")
        assert summaries(window) == []
        keyrings.log_in(A, valkey.url, password)
        await until(lambda: summaries(window) == ["Retry with jitter"], "the gate is listed")
        assert password not in window.connection_band.text()
