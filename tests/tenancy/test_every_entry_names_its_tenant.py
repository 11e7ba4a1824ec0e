"""Whatever is written to a stream or a log names the tenant it is of, and in single-tenant mode none."""

import json
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any

import pytest

from hitl_desktop.domain.decision import Verdict
from hitl_desktop.services.connection import connect
from hitl_desktop.services.gates import Gates
from hitl_desktop.services.history import History
from hitl_desktop.tenancy import TenantContext, TenantNames
from hitl_desktop.tenancy.audit import TenantEvent, TenantRecord
from tests.gates import decision, gate_request, posted
from tests.servers import Server

TENANT = "acme-corp"


async def write_every_kind(server: Server, names: TenantNames) -> None:
    """Request, approve, reject and expire gates, one by one and together, and record a visit."""
    async with connect(server.url) as connection:
        gates = Gates(connection, names)
        for verdict in Verdict:
            gate = await posted(gates)
            await gates.decide(decision(gate, verdict), gate)
        together = [await posted(gates) for _ in range(2)]
        await gates.deliver([(decision(gate), gate) for gate in together])
        await gates.expire(await posted(gates, gate_request("Too late", expires_in=-1)))
        for event in (TenantEvent.SELECTED, TenantEvent.LEFT, TenantEvent.ADOPTED):
            entry = TenantRecord(event, TENANT, "widgets-inc", "rev@example.org", "window-1", datetime.now(UTC))
            await History(connection, names).record(entry)


def entries(server: Server) -> list[tuple[str, dict[str, str]]]:
    """Return every entry of every stream and list that the server has, with its key."""
    found: list[tuple[str, dict[str, str]]] = []
    with server.client(decode_responses=True) as client:
        keys: Any = client.keys("*")
        for key in keys:
            kind: Any = client.type(key)
            if kind == "stream":
                stream: Any = client.xrange(key)
                found += [(key, fields) for _, fields in stream]
            elif kind == "list":
                texts: Any = client.lrange(key, 0, -1)
                found += [(key, json.loads(text)) for text in texts]
    return found


@pytest.mark.parametrize("tenant_id", [TENANT, None])
async def test_every_entry_names_its_tenant(server: Server, tenant_id: str | None) -> None:
    with TenantContext.tenant_scope(tenant_id) if tenant_id else nullcontext():
        await write_every_kind(server, TenantNames(tenant_id))
    written = entries(server)
    kinds = {fields.get("event_type") or fields["event"] for _, fields in written}
    assert kinds == {
        "gate_requested",
        "gate_approved",
        "gate_rejected",
        "gate_expired",
        "gate_decision",
        "tenant_selected",
        "tenant_left",
        "tenant_adopted",
    }
    of_visits = {event.value for event in TenantEvent}
    for key, fields in written:
        if fields.get("event") not in of_visits:
            assert fields.get("tenant_id") == tenant_id, (key, fields)
        else:
            assert fields["tenant_id"] == TENANT
            assert "widgets-inc" not in json.dumps(fields)
        if key.endswith("asdlc:events"):
            assert fields["event_type"] not in of_visits
