"""What each tenant must have on the server, written down step by step; and what it has."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hitl_desktop.domain.time import format_time
from hitl_desktop.services.encoding import GateRequest
from hitl_desktop.tenancy import TenantNames
from tests.isolation.place import REVIEWER
from tests.servers import Server

Keyspace = dict[str, Any]


@dataclass
class Asked:
    """A gate, and what became of it."""

    request: GateRequest
    status: str = "pending"
    decision_id: str = ""
    reviewer: str = ""
    reason: str = ""


@dataclass
class Row:
    """A decision in the outbox: queued (held, where it may be undone for a while), or in conflict."""

    request_id: str
    verdict: str
    reason: str
    held: bool = False
    clashed: bool = False


@dataclass
class Model:
    """All that one tenant has. `mark` stands in every text of its own, and in none of another tenant's.

    `data` are the keys that other code writes, by their bases; `listed` the gates that its machine has whole.
    """

    names: TenantNames
    mark: str
    data: Keyspace = field(default_factory=dict)
    gates: dict[str, Asked] = field(default_factory=dict)
    outbox: dict[str, Row] = field(default_factory=dict)
    drafts: dict[str, str] = field(default_factory=dict)
    documents: dict[str, str] = field(default_factory=dict)
    listed: set[str] = field(default_factory=set)
    visits: Counter[str] = field(default_factory=Counter)
    made: int = 0

    @property
    def tenant(self) -> str:
        return self.names.tenant_id or ""

    @property
    def pending(self) -> set[str]:
        return {name for name, gate in self.gates.items() if gate.status == "pending"}

    @property
    def on_their_way(self) -> dict[str, Row]:
        return {name: row for name, row in self.outbox.items() if not row.clashed}

    def text(self) -> str:
        """Return a text that nobody has written before."""
        self.made += 1
        return f"{self.mark}-{self.made}"

    def decide(self, request_id: str, decision_id: str, verdict: str, reason: str, reviewer: str = REVIEWER) -> None:
        """Write down that a gate was decided."""
        gate = self.gates[request_id]
        assert gate.status == "pending", "the model has no gate decided twice"
        gate.status, gate.decision_id, gate.reason, gate.reviewer = verdict, decision_id, reason, reviewer

    def deliver(self) -> None:
        """Write down that all rows which are not held were sent: each is delivered, or clashes."""
        for decision_id, row in list(self.on_their_way.items()):
            if row.held:
                continue
            if self.gates[row.request_id].status == "pending":
                self.decide(row.request_id, decision_id, row.verdict, row.reason)
                del self.outbox[decision_id]
            else:
                row.clashed = True

    def keyspace(self) -> Keyspace:
        """Return what the tenant must have on the server, by bases."""
        found: Keyspace = {base: value for base, value in self.data.items() if value}
        audit, events = Counter((kind, "", "") for kind in self.visits.elements()), Counter[tuple[str, ...]]()
        for name, gate in self.gates.items():
            request = gate.request
            found[f"asdlc:gate_request:{name}"] = self._hash(gate)
            found[f"asdlc:evidence_bundle:{request.bundle['bundle_id']}"] = dict(request.bundle)
            entries = [("gate_requested", name, "")]
            events["gate_requested", self.tenant, name, ""] += 1
            if gate.decision_id:
                entries.append(("gate_decision", name, gate.decision_id))
                events[f"gate_{gate.status}", self.tenant, name, gate.decision_id] += 1
            log = found.setdefault(f"asdlc:decision_log:{request.task_id}", Counter())
            log.update(entries)
            audit.update(entries)
        found |= {"asdlc:audit": audit} if audit else {}
        found |= {"asdlc:events": events} if events else {}
        found |= {"asdlc:pending_gates": self.pending} if self.pending else {}
        return found

    def _hash(self, gate: Asked) -> dict[str, str]:
        request = gate.request
        fields = {
            "request_id": request.request_id,
            "task_id": request.task_id,
            "session_id": request.session_id,
            "gate_type": request.gate_type,
            "status": gate.status,
            "evidence_bundle_id": request.bundle["bundle_id"],
            "requested_by": request.requested_by,
            "requested_at": format_time(request.requested_at),
        }
        decided = {"decision_id": gate.decision_id, "reviewer": gate.reviewer, "reason": gate.reason}
        return fields | (decided if gate.decision_id else {})


def read_keyspaces(server: Server, models: Sequence[Model]) -> list[Keyspace]:
    """Return all that the server has, by tenants and bases.

    Raises:
        AssertionError: a key is nobody's.
    """
    with server.client(decode_responses=True) as opened:
        client: Any = opened
        keys = client.keys("*")
        with client.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.type(key)
            kinds = pipeline.execute()
            for key, kind in zip(keys, kinds, strict=True):
                pipeline.execute_command(*(word.format(key) if word == "{}" else word for word in _READS[kind]))
            values = pipeline.execute()
    found: list[Keyspace] = [{} for _ in models]
    for key, value in zip(keys, values, strict=True):
        owners = [place for place, model in enumerate(models) if key.startswith(model.names.prefix)]
        assert len(owners) == 1, f"{key!r} is the key of {len(owners)} tenants"
        base = key.removeprefix(models[owners[0]].names.prefix)
        found[owners[0]][base] = _plain(base, value)
    return found


_READS: Mapping[str, tuple[str, ...]] = {
    "string": ("GET", "{}"),
    "hash": ("HGETALL", "{}"),
    "list": ("LRANGE", "{}", "0", "-1"),
    "zset": ("ZRANGE", "{}", "0", "-1"),
    "stream": ("XRANGE", "{}", "-", "+"),
}
_OF_THE_MOMENT = {"decided_at", "conditions", "feedback", "evidence_digest"}


def _plain(base: str, value: Any) -> Any:
    """Return a key's value without what the model cannot know, such as times."""
    if base.startswith("asdlc:gate_request:"):
        assert (value["status"] == "pending") != (value.keys() >= _OF_THE_MOMENT), "a decision is whole or absent"
        return {name: text for name, text in value.items() if name not in _OF_THE_MOMENT}
    if base.startswith("asdlc:decision_log:"):
        return Counter(_entry(json.loads(text)) for text in value)
    if base == "asdlc:audit":
        return Counter(_entry(fields) for _, fields in value)
    if base == "asdlc:events":
        return Counter(_event(fields) for _, fields in value)
    if base == "asdlc:pending_gates":
        return set(value)
    is_stream = isinstance(value, list) and value and isinstance(value[0], tuple)
    return [fields for _, fields in value] if is_stream else value


def _entry(fields: Mapping[str, str]) -> tuple[str, str, str]:
    return fields["event"], fields.get("request_id", ""), fields.get("decision_id", "")


def _event(fields: Mapping[str, str]) -> tuple[str, ...]:
    about = json.loads(fields["metadata"])
    return fields["event_type"], fields["tenant_id"], about["request_id"], about.get("decision_id", "")
