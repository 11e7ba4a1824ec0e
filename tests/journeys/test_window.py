"""The main job in the real window: launch, switch tenant in the toolbar, open a gate, decide, and read the server."""

import asyncio
import gc
import json
import os
import signal
import stat
import weakref
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel

from hitl_desktop.domain.decision import Decision, Verdict
from hitl_desktop.domain.projection import Queue
from hitl_desktop.services.connection import connect
from hitl_desktop.services.gates import Gates
from hitl_desktop.tenancy import TenantContext, TenantNames
from hitl_desktop.widgets.main_window import MainWindow
from tests.driving import open_gate, open_gate_is, running, summaries, switch
from tests.environments import configured
from tests.gates import ask, gate_request, written
from tests.holding import way_to
from tests.servers import Server
from tests.waiting import until


@pytest.fixture
def environment(home: Path) -> dict[str, str]:
    return {"HITL_STATE_DIR": str(home / "state"), "HITL_REVIEWER": "rev@example.org"}


async def test_switch_tenant_open_a_gate_approve_it(server: Server, environment: dict[str, str]) -> None:
    ours, theirs = gate_request("Retry with jitter"), gate_request("Belongs to acme")
    await ask(server.url, "widgets-inc", ours)
    await ask(server.url, "acme-corp", theirs)
    async with running(configured(environment, server.url)) as window:
        await until(lambda: summaries(window) == ["Belongs to acme"], "the default tenant's gate is listed")
        await switch(window, "widgets-inc")
        await open_gate(window, "Retry with jitter")
        assert summaries(window) == ["Retry with jitter"]
        assert window.review is not None
        assert window.review.decision.approve.text() == "✓  Approve for widgets-inc"
        QTest.keyClicks(window.review.decision.reason, "Well tested")
        QTest.mouseClick(window.review.decision.approve, Qt.MouseButton.LeftButton)
        await until(lambda: not summaries(window), "the decided gate has left")
    found = written(server, "widgets-inc", ours)
    assert found.gate["status"] == "approved"
    assert found.gate["reviewer"] == "rev@example.org"
    assert not found.is_pending
    assert [entry["approved"] for entry in found.log] == ["true"]
    assert [entry["reason"] for entry in found.audit] == ["Well tested"]
    assert [event["event_type"] for event in found.events] == ["gate_approved"]
    assert found.events[0]["tenant_id"] == "widgets-inc"
    assert json.loads(found.events[0]["metadata"])["decision_id"] == found.gate["decision_id"]
    assert written(server, "acme-corp", theirs).gate["status"] == "pending"


async def test_ctrl_and_a_number_switch_at_once(valkey: Server, environment: dict[str, str]) -> None:
    await ask(valkey.url, "widgets-inc", gate_request("Sensors"))
    async with running(configured(environment, valkey.url)) as window:
        await until(lambda: window.windowTitle().startswith("acme-corp —"), "the default tenant is shown")
        window.activateWindow()
        QTest.keyClick(window, Qt.Key.Key_2, Qt.KeyboardModifier.ControlModifier)
        await until(lambda: summaries(window) == ["Sensors"], "the second tenant's gate is listed")
        QTest.keyClick(window, Qt.Key.Key_9, Qt.KeyboardModifier.ControlModifier)
        QTest.keyClick(window, Qt.Key.Key_1, Qt.KeyboardModifier.ControlModifier)
        await until(lambda: window.windowTitle().startswith("acme-corp —"), "the first tenant is shown")


async def test_a_rejection_needs_a_reason(valkey: Server, environment: dict[str, str]) -> None:
    request = gate_request("No tests yet")
    await ask(valkey.url, "acme-corp", request)
    async with running(configured(environment, valkey.url)) as window:
        await open_gate(window, "No tests yet")
        assert window.review is not None
        panel = window.review.decision
        QTest.mouseClick(panel.reject, Qt.MouseButton.LeftButton)
        await until(lambda: "reason" in panel.problem.text(), "the missing reason is named")
        assert written(valkey, "acme-corp", request).is_pending
        QTest.keyClicks(panel.reason, "Write tests first")
        QTest.mouseClick(panel.reject, Qt.MouseButton.LeftButton)
        await until(lambda: not summaries(window), "the decided gate has left")
    found = written(valkey, "acme-corp", request)
    assert found.gate["status"] == "rejected"
    assert json.loads(found.events[0]["metadata"])["feedback"] == "Write tests first"


async def test_gates_come_and_go_without_a_refresh(valkey: Server, environment: dict[str, str]) -> None:
    async with running(configured(environment, valkey.url)) as window:
        await until(lambda: window.toolbar.connection.text().startswith("Online"), "it is online")
        request = gate_request("Posted by another process")
        await ask(valkey.url, "acme-corp", request)
        await until(lambda: summaries(window) == ["Posted by another process"], "the new gate is listed")
        window.queues.chosen.emit(Queue.DECIDED)
        assert summaries(window) == []


async def test_the_window_opens_without_a_server_and_comes_back_by_itself(
    valkey: Server, environment: dict[str, str]
) -> None:
    request = gate_request("Waits for the server")
    await ask(valkey.url, "acme-corp", request)
    with valkey.offline():
        async with running(configured(environment, valkey.url)) as window:
            await until(lambda: "cannot be reached" in window.connection_band.text(), "the outage is told")
            valkey.start()
            await until(lambda: summaries(window) == ["Waits for the server"], "the gates are listed")
            assert window.connection_band.text() == ""


async def test_a_tenant_that_is_not_allowed_changes_nothing(valkey: Server, environment: dict[str, str]) -> None:
    async with running(configured(environment, valkey.url)) as window:
        await until(lambda: window.windowTitle().startswith("acme-corp"), "the default tenant is shown")
        window.tenant_chosen.emit("evil-corp")
        assert "not on the allowlist" in window.notice.text()
        assert window.windowTitle().startswith("acme-corp")


async def test_a_window_comes_back_with_its_own_tenant(valkey: Server, environment: dict[str, str]) -> None:
    async with running(configured(environment, valkey.url)) as window:
        await until(lambda: window.windowTitle().startswith("acme-corp"), "the default tenant is shown")
        await switch(window, "widgets-inc")
    async with running(configured(environment, valkey.url)) as window:
        await until(lambda: window.windowTitle().startswith("widgets-inc"), "its own tenant is shown again")


async def test_single_tenant_mode_has_no_selector(valkey: Server, environment: dict[str, str]) -> None:
    async with running(environment | {"HITL_REDIS_URL": valkey.url}) as window:
        await until(lambda: window.toolbar.connection.text().startswith("Online"), "it is online")
        assert not window.toolbar.tenant.isVisible()
        assert window.windowTitle() == "HITL Desktop"


async def test_the_local_workspace_takes_a_new_tenant(environment: dict[str, str]) -> None:
    async with running(environment) as window:
        await until(lambda: "no tenant" in window.connection_band.text(), "the empty workspace is told")
        window.tenant_chosen.emit("my-team")
        await until(lambda: window.windowTitle().startswith("my-team"), "the new tenant is shown")
        await until(lambda: window.toolbar.connection.text().startswith("Online"), "it is online")
    async with running(environment) as window:
        await until(lambda: window.windowTitle().startswith("my-team"), "it is shown again")


async def test_the_embedded_server_comes_back_under_an_open_window(environment: dict[str, str]) -> None:
    async with running(environment, "my-team") as window:
        await until(lambda: window.toolbar.connection.text().startswith("Online"), "it is online")
        pid = int((Path(environment["HITL_STATE_DIR"]) / "workspace/redis/server.pid").read_text())
        os.kill(pid, signal.SIGKILL)
        await until(lambda: not window.toolbar.connection.text().startswith("Online"), "the outage is seen")
        await until(lambda: window.toolbar.connection.text().startswith("Online"), "it is online again")


async def test_two_windows_hold_two_tenants(valkey: Server, environment: dict[str, str], qapp: QApplication) -> None:
    mine, other = gate_request("For acme"), gate_request("For widgets")
    await ask(valkey.url, "acme-corp", mine)
    await ask(valkey.url, "widgets-inc", other)
    async with running(configured(environment, valkey.url)) as first:
        await until(lambda: summaries(first) == ["For acme"], "the first window lists its gate")
        first.new_window_wanted.emit()
        second = next(
            w for w in qapp.topLevelWidgets() if isinstance(w, MainWindow) and w is not first and w.isVisible()
        )
        await until(lambda: summaries(second) == ["For acme"], "the second window begins with the same tenant")
        await switch(second, "widgets-inc")
        await until(lambda: summaries(second) == ["For widgets"], "the second window lists its own gate")
        assert summaries(first) == ["For acme"]
        assert first.windowTitle().startswith("acme-corp")


async def decide_elsewhere(url: str, request_id: str) -> None:
    async with connect(url) as connection:
        with TenantContext.tenant_scope("acme-corp"):
            gates = Gates(connection, TenantNames("acme-corp"))
            gate = await gates.get(request_id)
            decision = Decision(
                decision_id="theirs",
                request_id=gate.request_id,
                bundle_id=gate.evidence_bundle_id,
                evidence_digest=gate.bundle.digest,
                verdict=Verdict.APPROVED,
                reviewer="someone@example.org",
                decided_at=datetime.now(UTC),
            )
            await gates.decide(decision, gate)


async def test_a_gate_decided_elsewhere_leaves_and_the_loser_is_told(
    valkey: Server, environment: dict[str, str]
) -> None:
    request = gate_request("Wanted by two")
    await ask(valkey.url, "acme-corp", request)
    async with running(configured(environment, valkey.url)) as window:
        await open_gate(window, "Wanted by two")
        assert window.review is not None
        # In a thread that is waited for, so that the window hears of it only after the reviewer's own click.
        with ThreadPoolExecutor() as pool:
            pool.submit(asyncio.run, decide_elsewhere(valkey.url, request.request_id)).result()
        QTest.mouseClick(window.review.decision.approve, Qt.MouseButton.LeftButton)
        await until(lambda: not summaries(window), "the decided gate has left")
        await until(lambda: "someone@example.org" in window.notice.text(), "the reviewer is told who decided")
        assert "Wanted by two" in window.notice.text()
        assert "your decision was not written" in window.notice.text()
    found = written(valkey, "acme-corp", request)
    assert found.gate["decision_id"] == "theirs"
    assert len(found.events) == 1


async def test_the_place_in_the_list_is_remembered_for_each_tenant(valkey: Server, environment: dict[str, str]) -> None:
    gates = [gate_request(f"Payment {number}") for number in range(5)]
    await ask(valkey.url, "acme-corp", *gates, gate_request("Importer"))
    await ask(valkey.url, "widgets-inc", gate_request("Sensors"))
    async with running(configured(environment, valkey.url)) as window:
        await until(lambda: len(summaries(window)) == 6, "all gates are listed")
        window.toolbar.search.setText("payment")
        await open_gate(window, "Payment 3")
        await switch(window, "widgets-inc")
        await until(lambda: summaries(window) == ["Sensors"], "the other tenant's gate is listed")
        assert window.toolbar.search.text() == ""
        await switch(window, "acme-corp")
        await open_gate_is(window, "Payment 3")
        assert window.toolbar.search.text() == "payment"
        assert len(summaries(window)) == 5


async def test_all_windows_come_back_after_quitting(
    valkey: Server, environment: dict[str, str], qapp: QApplication
) -> None:
    def titles() -> list[str]:
        windows = (w for w in qapp.topLevelWidgets() if isinstance(w, MainWindow) and w.isVisible())
        return sorted(window.windowTitle() for window in windows)

    async with running(configured(environment, valkey.url)) as first:
        await until(lambda: len(titles()) == 1 and first.windowTitle().startswith("acme-corp"), "one window is open")
        first.new_window_wanted.emit()
        second = next(
            w for w in qapp.topLevelWidgets() if isinstance(w, MainWindow) and w is not first and w.isVisible()
        )
        await until(lambda: second.windowTitle().startswith("acme-corp"), "the second window is open")
        await switch(second, "widgets-inc")
    both = ["acme-corp — HITL Desktop", "widgets-inc — HITL Desktop"]
    async with running(configured(environment, valkey.url)):
        await until(lambda: titles() == both, "both windows are back")


def audited(server: Server, tenant: str) -> list[dict[str, str]]:
    with server.client(decode_responses=True) as client:
        entries: Any = client.xrange(f"tenant:{tenant}:asdlc:audit")
    return [fields for _, fields in entries if fields["event"].startswith("tenant_")]


async def test_every_visit_is_audited_and_no_stream_names_another_tenant(
    server: Server, environment: dict[str, str]
) -> None:
    async with running(configured(environment, server.url)) as window:
        await until(lambda: len(audited(server, "acme-corp")) == 1, "the coming is recorded")
        window.tenant_chosen.emit("evil-corp")
        await switch(window, "widgets-inc")
        await until(lambda: len(audited(server, "widgets-inc")) == 1, "the switch is recorded")
    assert [entry["event"] for entry in audited(server, "acme-corp")] == ["tenant_selected", "tenant_left"]
    assert [entry["event"] for entry in audited(server, "widgets-inc")] == ["tenant_selected", "tenant_left"]
    for tenant, other in (("acme-corp", "widgets-inc"), ("widgets-inc", "acme-corp")):
        for entry in audited(server, tenant):
            assert entry["reviewer"] == "rev@example.org"
            assert other not in json.dumps(entry)
    assert server.run("EXISTS", "tenant:evil-corp:asdlc:audit") == 0
    assert server.run("EXISTS", "tenant:acme-corp:asdlc:events", "tenant:widgets-inc:asdlc:events") == 0
    log = Path(environment["HITL_STATE_DIR"]) / "log" / "tenants.jsonl"
    told = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(entry["event"], entry["tenant_id"], entry["other_tenant_id"]) for entry in told] == [
        ("tenant_selected", "acme-corp", None),
        ("tenant_refused", "evil-corp", "acme-corp"),
        ("tenant_left", "acme-corp", "widgets-inc"),
        ("tenant_selected", "widgets-inc", "acme-corp"),
        ("tenant_left", "widgets-inc", None),
    ]
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


async def test_a_visit_without_a_server_is_kept_locally(valkey: Server, environment: dict[str, str]) -> None:
    log = Path(environment["HITL_STATE_DIR"]) / "log" / "tenants.jsonl"
    with valkey.offline():
        async with running(configured(environment, valkey.url)):
            await until(lambda: log.exists() and "tenant_selected" in log.read_text(), "the visit is kept")
    told = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    assert sorted(told) == ["tenant_failed", "tenant_failed", "tenant_left", "tenant_selected"]
    assert [one for one in told if one != "tenant_failed"] == ["tenant_selected", "tenant_left"]
    assert told[0] == "tenant_selected"


async def test_a_switch_leaves_nothing_of_the_old_tenant(valkey: Server, environment: dict[str, str]) -> None:
    await ask(valkey.url, "acme-corp", gate_request("Secret of acme"))
    await ask(valkey.url, "widgets-inc", gate_request("Widgets"))
    async with running(configured(environment, valkey.url)) as window:
        await open_gate(window, "Secret of acme")
        view = window._view
        assert view is not None
        left = [weakref.ref(part) for part in (view, view.gates, view.review, view.knowledge, view._session)]
        del view
        await switch(window, "widgets-inc")
        await until(lambda: summaries(window) == ["Widgets"], "the new tenant's gate is listed")

        def is_gone() -> bool:
            gc.collect()
            return all(part() is None for part in left)

        await until(is_gone, "nothing of the old tenant is referred to")
        labels = [child.text() for child in window.findChildren(QLabel)]
        assert not any("acme" in text for text in labels)
        assert window.review is not None
        assert "acme" not in window.review.decision.approve.text()


async def test_replies_that_come_after_the_switch_are_dropped(valkey: Server, environment: dict[str, str]) -> None:
    await ask(valkey.url, "acme-corp", gate_request("Secret of acme"))
    await ask(valkey.url, "widgets-inc", gate_request("Widgets"))
    async with (
        way_to(valkey) as way,
        running(configured(environment, valkey.url) | {"HITL_REDIS_URL": way.url}) as window,
    ):
        await open_gate(window, "Secret of acme")
        await until(lambda: window.toolbar.connection.text().startswith("Online"), "it is online")
        way.hold()
        await ask(valkey.url, "acme-corp", gate_request("Late secret of acme"))
        window.refresh()
        await until(lambda: way.held, "a reply of the old tenant is on its way")
        await switch(window, "widgets-inc")
        await until(lambda: summaries(window) == ["Widgets"], "the new tenant's gate is listed")
        way.release()
        await ask(valkey.url, "widgets-inc", gate_request("More widgets"))
        await until(lambda: len(summaries(window)) == 2, "the new tenant is followed")
        assert not any("acme" in summary for summary in summaries(window))
        assert not any("acme" in child.text() for child in window.findChildren(QLabel))
