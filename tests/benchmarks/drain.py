"""Floor and subject of outbox_drain: as many queued decisions delivered, by a bare script or by the open window."""

import asyncio
import json
import sys
import tempfile
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgpack
import redis
from PySide6.QtWidgets import QApplication

from hitl_desktop.app.instance import Instance
from hitl_desktop.app.loop import WindowLoop
from hitl_desktop.app.windows import Windows
from hitl_desktop.domain.decision import Decision, Verdict
from hitl_desktop.domain.gate import Gate
from hitl_desktop.services import scripts
from hitl_desktop.services.connection import connect
from hitl_desktop.services.encoding import decision_record
from hitl_desktop.services.gates import Gates
from hitl_desktop.settings import Settings, read_settings
from hitl_desktop.store.database import transaction
from hitl_desktop.store.outbox_rows import entry_of
from hitl_desktop.store.tenant_store import open_tenant_store
from hitl_desktop.tenancy import TenantContext, TenantNames
from hitl_desktop.widgets.main_window import MainWindow
from hitl_desktop.widgets.theme import ARGUMENTS, Theme
from tests.benchmarks.real_load import Frames, until
from tests.environments import keeping

TENANT = "acme-corp"
TOGETHER = 100


async def decided(url: str) -> list[tuple[Decision, Gate]]:
    """Return an approval of each gate that waits."""
    with TenantContext.tenant_scope(TENANT):
        async with connect(url) as connection:
            gates = Gates(connection, TenantNames(TENANT))
            names = await gates.pending_ids()
            found = [gate async for page in gates.read_all(names, whole=True) for gate in page]
    return [(_approval(gate), gate) for gate in found if isinstance(gate, Gate)]


def _approval(gate: Gate) -> Decision:
    return Decision(
        decision_id=str(uuid.uuid4()),
        request_id=gate.request_id,
        bundle_id=gate.evidence_bundle_id,
        evidence_digest=gate.bundle.digest,
        verdict=Verdict.APPROVED,
        reviewer="rev@example.org",
        decided_at=datetime.now(UTC),
        reason="Because",
    )


def bare(url: str) -> dict[str, float]:
    """Deliver them with plain synchronous pipelines."""
    waiting = asyncio.run(decided(url))
    names = TenantNames(TENANT)
    client: Any = redis.Redis.from_url(url)
    client.script_load(scripts.DECIDE.text)
    started = time.perf_counter()
    for start in range(0, len(waiting), TOGETHER):
        pipeline = client.pipeline(transaction=False)
        for decision, gate in waiting[start : start + TOGETHER]:
            keys = [
                names.gate_request(gate.request_id),
                names.evidence_bundle(gate.evidence_bundle_id),
                names.pending_gates,
                names.decision_log(gate.task_id),
                names.audit,
                names.events,
            ]
            packed = msgpack.packb(decision_record(decision, gate, TENANT), use_bin_type=False)
            pipeline.evalsha(scripts.DECIDE.sha, len(keys), *keys, packed)
        assert all(reply[0] == b"written" for reply in pipeline.execute())
    return {"seconds": time.perf_counter() - started, "count": len(waiting)}


def queue(settings: Settings, waiting: list[tuple[Decision, Gate]]) -> None:
    """Put them into the outbox, as many reviews offline would have."""
    store = open_tenant_store(settings, TenantNames(TENANT))
    with transaction(store._connection):
        for decision, gate in waiting:
            store.outbox._insert(entry_of(decision, gate, "here", None), msgpack.packb(gate.bundle.fields))
    store.close()


async def window(url: str) -> dict[str, float]:
    """Deliver them from the outbox of an open window that goes online."""
    waiting = await decided(url)
    with tempfile.TemporaryDirectory() as state:
        settings = read_settings(keeping(Path(state), url))
        queue(settings, waiting)
        shown = MainWindow(Theme.light())
        shown.show()
        shown._make_late_parts()
        running = asyncio.ensure_future(Windows(settings, shown, Instance(settings.state_dir)).run(None, offline=True))
        await until(lambda: shown._view is not None and shown._view.outbox.counts().get("queued") == len(waiting))
        view = shown._view
        assert view is not None
        with Frames() as frames:
            started = time.perf_counter()
            shown.toolbar.offline.click()
            await until(lambda: not view.outbox.counts())
            seconds = time.perf_counter() - started
        shown.quit_wanted.emit()
        await running
    gaps = sorted(frames.gaps)
    return {"seconds": seconds, "count": len(waiting), "gap_p99_ms": gaps[int(len(gaps) * 0.99)]}


if __name__ == "__main__":
    if sys.argv[1] == "bare":
        figures = bare(sys.argv[2])
    else:
        application = QApplication(list(ARGUMENTS))
        application.setQuitOnLastWindowClosed(False)
        Theme.light().apply(application)
        with WindowLoop(application) as loop:
            figures = loop.run_until_complete(window(sys.argv[2]))
    print(json.dumps(figures))
