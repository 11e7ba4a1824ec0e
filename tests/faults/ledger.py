"""What a server has of every decision, and whether it is what reviewers were told: each exactly once, none lost."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hitl_desktop.domain.outbox import OutboxEntry
from hitl_desktop.services.encoding import GateRequest
from tests.gates import TENANT
from tests.servers import Server

Written = tuple[str, str]
"""A gate's id and a decision's."""


@dataclass(frozen=True)
class Ledger:
    """All that the server has of the decisions about some gates."""

    gates: Mapping[str, Mapping[str, str]]
    pending: frozenset[str]
    log: Counter[Written]
    audit: Counter[Written]
    events: Counter[Written]

    def is_written_once(self, request_id: str, decision_id: str) -> bool:
        """Whether the decision is the gate's, with one line in the log, one in the audit and one event."""
        gate, written = self.gates[request_id], (request_id, decision_id)
        return gate.get("decision_id") == decision_id and [
            records[written] for records in (self.log, self.audit, self.events)
        ] == [1, 1, 1]

    def has(self, decision_id: str) -> bool:
        """Whether there is any trace of the decision."""
        return any(decision_id == known for records in (self.log, self.audit, self.events) for _, known in records)


def ledger(server: Server, requests: Iterable[GateRequest], tenant: str = TENANT) -> Ledger:
    """Return what the server has about `requests`."""
    prefix = f"tenant:{tenant}:asdlc"
    with server.client(decode_responses=True) as client:
        pipeline = client.pipeline(transaction=False)
        asked = list(requests)
        for request in asked:
            pipeline.hgetall(f"{prefix}:gate_request:{request.request_id}")
            pipeline.lrange(f"{prefix}:decision_log:{request.task_id}", 0, -1)
        found = pipeline.execute()
        audit: Any = client.xrange(f"{prefix}:audit")
        events: Any = client.xrange(f"{prefix}:events")
        pending: Any = client.zrange(f"{prefix}:pending_gates", 0, -1)
    lines = [json.loads(line) for log in found[1::2] for line in log]
    told = [json.loads(fields["metadata"]) for _, fields in events if fields["event_type"] in _DECIDING]
    return Ledger(
        gates={request.request_id: gate for request, gate in zip(asked, found[::2], strict=True)},
        pending=frozenset(pending),
        log=_counted(line for line in lines if line["event"] == "gate_decision"),
        audit=_counted(fields for _, fields in audit if fields["event"] == "gate_decision"),
        events=_counted(told),
    )


_DECIDING = ("gate_approved", "gate_rejected")


def _counted(records: Iterable[Mapping[str, str]]) -> Counter[Written]:
    return Counter((record["request_id"], record.get("decision_id", "")) for record in records)


def faults(books: Ledger, acknowledged: Mapping[str, str], rows: Iterable[OutboxEntry]) -> list[str]:
    """Return all that is wrong: nothing, if every decision is written exactly once or waits for an answer.

    Args:
        books: what the server has.
        acknowledged: the decisions that a reviewer was told of as queued or made: their ids, and their gates'.
        rows: the outbox, with all that is not delivered.
    """
    outbox = {row.decision_id: row for row in rows}
    found = [f"{row.decision_id} is still {row.state}" for row in outbox.values() if row.state.is_open]
    for request_id, gate in books.gates.items():
        decided = gate.get("status") in {"approved", "rejected"}
        traces = [{known for known in records if known[0] == request_id} for records in _records(books)]
        counts = [sum(records[known] for known in of) for records, of in zip(_records(books), traces, strict=True)]
        if counts != ([1, 1, 1] if decided else [0, 0, 0]):
            found.append(f"gate {request_id} is {gate.get('status')} with {counts} of log, audit, events")
        if decided and not books.is_written_once(request_id, gate.get("decision_id", "")):
            found.append(f"gate {request_id} has records of another decision than its own")
        if (gate.get("status") == "pending") != (request_id in books.pending):
            found.append(f"gate {request_id} is {gate.get('status')}, and its place in the pending set says otherwise")
    for decision_id, request_id in acknowledged.items():
        row = outbox.get(decision_id)
        written = books.is_written_once(request_id, decision_id)
        waits = row is not None and row.state.needs_answer
        if written == waits:
            state = "delivered or gone" if row is None else row.state
            found.append(f"decision {decision_id}: {'written' if written else 'not written'}, in the outbox {state}")
    return found + [
        f"decision {row.decision_id} lost to {row.theirs}, who did not decide"
        for row in outbox.values()
        if row.theirs is not None and books.gates[row.request_id].get("decision_id") != row.theirs.decision_id
    ]


def _records(books: Ledger) -> tuple[Counter[Written], ...]:
    return books.log, books.audit, books.events
