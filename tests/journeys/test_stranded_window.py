"""Decisions for a tenant that is not allowed any more: shown on a card, exported, withdrawn, sent once it is again."""

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QPushButton, QWidget

from hitl_desktop.app import couriers
from hitl_desktop.domain.decision import Verdict
from hitl_desktop.domain.outbox import OutboxState
from hitl_desktop.session import open_backend, open_session
from hitl_desktop.session.stranded import open_stranded
from hitl_desktop.settings import Settings, read_settings
from hitl_desktop.store.outbox import Outcome
from hitl_desktop.store.tenant_store import open_store
from hitl_desktop.tenancy import TenantNames
from hitl_desktop.widgets.main_window import MainWindow
from hitl_desktop.widgets.stranded_dialog import StrandedDialog
from tests.driving import running, summaries
from tests.environments import keeping
from tests.gates import ask, gate_request, written
from tests.servers import Server
from tests.waiting import until

A, B, C = "acme-corp", "widgets-inc", "globex"


@pytest.fixture
def environment(home: Path, valkey: Server) -> dict[str, str]:
    return keeping(home, valkey.url, ALLOWED_TENANTS=f"{A},{B},{C}")


@pytest.fixture
def others(environment: dict[str, str]) -> dict[str, str]:
    """The environment in which only one tenant is still allowed."""
    return environment | {"ALLOWED_TENANTS": B, "DEFAULT_TENANT_ID": B}


async def decided(server: Server, environment: dict[str, str], tenant_id: str, summary: str, reason: str) -> str:
    """Ask, and queue an approval that is not sent; return the decision's id."""
    request = gate_request(summary)
    await ask(server.url, tenant_id, request)
    settings = read_settings(environment)
    async with open_backend(settings) as backend, open_session(backend, tenant_id, live=False) as session:
        gate = (await session.open_gate(request.request_id)).gate
        return (await session.outbox.queue(gate, Verdict.APPROVED, reason=reason)).decision_id


def texts(widget: QWidget) -> str:
    """Return all that stands on a widget's labels, and that of no window of its own."""
    return "\n".join(one.text() for one in widget.findChildren(QLabel) if one.window() is widget.window())


def offered(dialog: StrandedDialog) -> list[str]:
    return [button.text() for button in dialog.card.findChildren(QPushButton) if button.isVisibleTo(dialog.card)]


async def told_in(dialog: StrandedDialog, text: str) -> None:
    await until(lambda: text in texts(dialog), f"{text!r} is told")


async def shown(window: MainWindow, rows: int) -> StrandedDialog:
    """Press the notice's button and wait for the dialog with its rows."""
    await until(window.notice._button.isVisible, "the notice offers to show them")
    QTest.mouseClick(window.notice._button, Qt.MouseButton.LeftButton)
    return await dialog_of(window, rows)


async def dialog_of(window: MainWindow, rows: int) -> StrandedDialog:
    found: Callable[[], list[StrandedDialog]] = lambda: [  # noqa: E731 - asked twice
        one for one in window.findChildren(StrandedDialog) if one.isVisible() and one.rows.count() == rows
    ]
    await until(lambda: len(found()) == 1, f"the dialog shows {rows}")
    return found()[0]


async def test_a_card_tells_what_was_decided_and_why_it_cannot_go(
    valkey: Server, environment: dict[str, str], others: dict[str, str], home: Path
) -> None:
    name = await decided(valkey, environment, A, "Retry with jitter", "Well tested")
    valkey.run("ACL", "SETUSER", "default", "resetkeys", f"~tenant:{B}:*")
    valkey.run("ACL", "LOG", "RESET")
    for _ in range(2):  # it survives restarts until it is answered
        async with running(others, B) as window:
            dialog = await shown(window, 1)
            assert dialog.windowTitle().startswith(f"{A}, not allowed any more")
            told = texts(dialog)
            for part in ("Retry with jitter", "Well tested"):
                assert part in told + dialog.rows.item(0).text()
                assert part not in texts(window)
            assert "You may no longer work for this tenant · approved" in told
            assert "is not on the allowlist" in told
            assert "You approved on " in told
            assert "It is not asked" in told
            assert offered(dialog) == ["Export …", "Withdraw"]
            assert window.queues.stranded.accessibleName() == "Not allowed any more, 1"
            dialog.card.exported.emit(home / "decision.json")
            await told_in(dialog, "Exported to decision.json.")
    exported = home / "decision.json"
    assert stat.S_IMODE(exported.stat().st_mode) == 0o600
    document = json.loads(exported.read_text())
    assert (document["tenant_id"], document["decision_id"], document["cause"]) == (A, name, "not_allowed")
    assert document["evidence_bundle"]["summary"] == "Retry with jitter"
    assert valkey.run("ACL", "LOG") == []  # nobody tried a key of the tenant


async def test_what_is_withdrawn_is_gone_and_never_sent(
    valkey: Server, environment: dict[str, str], others: dict[str, str]
) -> None:
    await decided(valkey, environment, A, "Retry with jitter", "First")
    await decided(valkey, environment, A, "Event schema", "Second")
    async with running(others, B) as window:
        dialog = await shown(window, 2)
        dialog.rows.setCurrentRow(0)
        assert "Reason: First" in texts(dialog)
        QTest.keyClick(dialog.rows, Qt.Key.Key_Return)
        assert dialog.rows.count() == 2
        QTest.mouseClick(dialog.card.withdraw, Qt.MouseButton.LeftButton)
        await dialog_of(window, 1)
        assert "Reason: Second" in texts(dialog)
        assert window.queues.stranded.isVisible()
        QTest.mouseClick(dialog.card.withdraw, Qt.MouseButton.LeftButton)
        await dialog_of(window, 0)
        assert f"Nothing is left to answer for {A}" in texts(dialog)
        assert dialog.card.isHidden()
        assert window.queues.stranded.isHidden()
    async with running(environment, A) as window:
        await until(lambda: len(summaries(window)) == 2, "both gates wait again")
        assert window._view is not None
        assert window._view.outbox.counts() == {}


async def test_it_is_found_without_the_notice_and_by_the_tenants_name(
    valkey: Server, environment: dict[str, str], others: dict[str, str]
) -> None:
    await decided(valkey, environment, A, "Retry with jitter", "Fine")
    async with running(others, B) as window:
        await until(window.queues.stranded.isVisible, "the entry is there")
        window.notice.hide()
        QTest.mouseClick(window.queues.stranded, Qt.MouseButton.LeftButton)
        (await dialog_of(window, 1)).close()
        window.tenant_chosen.emit("nobody")
        assert "nobody" in window.notice.text()
        assert not window.notice._button.isVisible()
        window.tenant_chosen.emit(A)
        await shown(window, 1)


async def test_two_tenants_never_show_together(
    valkey: Server, environment: dict[str, str], others: dict[str, str]
) -> None:
    await decided(valkey, environment, A, "Of acme", "Fine")
    await decided(valkey, environment, C, "Of globex", "Fine")
    async with running(others, B) as window:
        await until(lambda: f"(1 for {A}, 1 for {C})" in window.notice.text(), "both are told")
        assert window.queues.stranded.accessibleName() == "Not allowed any more, 2"
        QTest.mouseClick(window.queues.stranded, Qt.MouseButton.LeftButton)
        dialog = await dialog_of(window, 1)
        assert "Of acme" in dialog.rows.item(0).text()
        assert [dialog.tenants.itemText(row) for row in range(dialog.tenants.count())] == [A, C]
        dialog.tenants.setCurrentIndex(1)
        dialog.tenants.activated.emit(1)
        await until(lambda: dialog.rows.count() == 1 and "Of globex" in dialog.rows.item(0).text(), "the other's")
        assert "acme" not in texts(dialog) + dialog.windowTitle()


async def test_a_decision_found_while_the_last_window_closes_is_told_at_the_next_start(
    valkey: Server, environment: dict[str, str], others: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await decided(valkey, environment, A, "Retry with jitter", "Fine")
    kept: list[str] = []

    def late(_settings: Settings) -> tuple[str, ...]:
        return tuple(kept)

    with monkeypatch.context() as patched:
        patched.setattr(couriers, "kept_tenants", late)
        async with running(others, B) as window:
            await until(lambda: window.windowTitle().startswith(B), "the window is open")
            kept.append(A)
    async with running(others, B) as window:
        await shown(window, 1)


async def test_what_may_have_been_written_can_only_be_exported(
    valkey: Server, environment: dict[str, str], others: dict[str, str]
) -> None:
    name = await decided(valkey, environment, A, "Retry with jitter", "Fine")
    async with open_store(read_settings(environment), TenantNames(A)) as disk:
        await disk(lambda store: store.outbox.claim(0, 10))
        await disk(lambda store: store.outbox.settle([Outcome(name, OutboxState.UNKNOWN)], 0))
    async with running(others, B) as window:
        dialog = await shown(window, 1)
        assert "the answer was lost" in texts(dialog)
        assert "cannot be asked while the tenant is not allowed" in texts(dialog)
        assert offered(dialog) == ["Export …"]


async def test_an_allowed_tenant_has_a_session_and_no_other_way_in(environment: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="may be worked for"):
        async with open_stranded(read_settings(environment), A):
            pass


async def test_it_is_delivered_once_the_tenant_is_allowed_again(
    valkey: Server, environment: dict[str, str], others: dict[str, str]
) -> None:
    request = gate_request("Retry with jitter")
    await ask(valkey.url, A, request)
    async with open_backend(read_settings(environment)) as backend, open_session(backend, A, live=False) as session:
        await session.outbox.queue((await session.open_gate(request.request_id)).gate, Verdict.APPROVED)
    async with running(others, B) as window:
        await shown(window, 1)
    async with running(environment, B) as window:  # even while the window shows another tenant
        await until(lambda: not written(valkey, A, request).is_pending, "it is sent by itself")
        assert window.queues.stranded.isHidden()
