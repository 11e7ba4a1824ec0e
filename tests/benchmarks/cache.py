"""Fills a state folder with as many cached gates as asked for, as an earlier launch would have left them."""

import sys
from datetime import UTC, datetime, timedelta

from hitl_desktop.domain.evidence import EvidenceBundle
from hitl_desktop.domain.gate import Gate, GateStatus
from hitl_desktop.settings import read_settings
from hitl_desktop.store.tenant_store import open_tenant_store
from hitl_desktop.tenancy import TenantNames

count = int(sys.argv[1])
start = datetime(2026, 1, 1, tzinfo=UTC)
store = open_tenant_store(read_settings(), TenantNames("acme-corp"))
assert store.is_durable
store.gates.put(
    Gate(
        f"gate-{number}",
        f"task-{number}",
        "session-1",
        "hitl_4_code",
        GateStatus.PENDING,
        f"bundle-{number}",
        "tdd_orchestrator",
        start + timedelta(seconds=number),
        EvidenceBundle(f"bundle-{number}", f"Change number {number} of the payment client", None, {}),
    )
    for number in range(count)
)
store.close()
