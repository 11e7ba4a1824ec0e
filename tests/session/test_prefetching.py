"""What keeps evidence on this machine for later, and what it waits for."""

import os
from datetime import timedelta
from pathlib import Path

from hitl_desktop.domain.decision import Verdict
from hitl_desktop.session import open_backend, open_session
from hitl_desktop.settings import Settings
from hitl_desktop.store.keys import write_private
from hitl_desktop.sync.monitor import Phase
from tests.gates import TENANT, ask, gate_request
from tests.servers import Server
from tests.waiting import until


async def test_a_decision_that_can_still_be_undone_does_not_hold_up_evidence(valkey: Server, home: Path) -> None:
    write_private(home / "key", os.urandom(32))
    settings = Settings(home / "state", "rev", redis_url=valkey.url, multi_tenancy=True, key_file=home / "key")
    first, second = gate_request("Decided for now"), gate_request("Comes later")
    await ask(valkey.url, TENANT, first)
    async with open_backend(settings) as backend, open_session(backend, TENANT) as session:
        await session.monitor.reached(Phase.ONLINE)
        gate = (await session.open_gate(first.request_id)).gate
        await session.outbox.queue(gate, Verdict.APPROVED, hold=timedelta(minutes=10))
        await ask(valkey.url, TENANT, second)
        await until(lambda: session.monitor.kept == (2, 2), "the evidence of both is kept")
