"""The list model against a plain list: whatever happens, it shows what sorting and filtering that list gives."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QPersistentModelIndex
from PySide6.QtTest import QAbstractItemModelTester

from hitl_desktop.domain.decision import Decision, Verdict
from hitl_desktop.domain.evidence import EvidenceBundle
from hitl_desktop.domain.gate import Gate, GateStatus, Quarantined
from hitl_desktop.domain.outbox import OutboxEntry, OutboxState
from hitl_desktop.domain.projection import Queue, is_expiring
from hitl_desktop.sync.book import Change
from hitl_desktop.viewmodels.gate_list import GateListModel
from hitl_desktop.viewmodels.rows import Order

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
NAMES = [f"gate-{number}" for number in range(12)]

gates = st.builds(
    lambda name, minute, status, gate_type, left, word: Gate(
        request_id=name,
        task_id="task-1",
        session_id="s",
        gate_type=gate_type,
        status=status,
        evidence_bundle_id="b",
        requested_by="agent",
        requested_at=NOW - timedelta(minutes=minute),
        bundle=EvidenceBundle("b", f"{word} of {name}", (), {}),
        expires_at=None if left is None else NOW + timedelta(minutes=left),
    ),
    st.sampled_from(NAMES),
    st.integers(0, 5),
    st.sampled_from(GateStatus),
    st.sampled_from(["hitl_4_code", "code_review", "hitl_2_design", "odd"]),
    st.sampled_from([None, -5, 30, 6_000]),
    st.sampled_from(["Retry", "Release", "Importer"]),
)
quarantined = st.builds(Quarantined, st.sampled_from(["key-1", "key-2"]), st.sampled_from(["broken", "missing"]))


def entry_about(gate: Gate, state: OutboxState) -> OutboxEntry:
    decision = Decision("d", gate.request_id, "b", "0" * 64, Verdict.APPROVED, "me", NOW)
    return OutboxEntry(decision, gate, "here", state)


entries = st.builds(entry_about, gates, st.sampled_from([state for state in OutboxState if state != "draft"]))
decisions = st.one_of(
    entries.map(lambda entry: (entry.request_id, entry)), st.sampled_from(NAMES).map(lambda name: (name, None))
)
changes = st.builds(
    Change,
    gates=st.lists(gates, max_size=6, unique_by=lambda gate: gate.request_id).map(tuple),
    quarantined=st.lists(quarantined, max_size=2, unique_by=lambda record: record.key).map(tuple),
    decisions=st.lists(decisions, max_size=3, unique_by=lambda pair: pair[0]).map(tuple),
    gone=st.lists(st.sampled_from([*NAMES, "key-1"]), max_size=2).map(tuple),
    bulk=st.booleans(),
)
steps = st.one_of(
    st.tuples(st.just("apply"), changes),
    st.tuples(st.just("queue"), st.sampled_from(Queue)),
    st.tuples(st.just("order"), st.sampled_from(Order)),
    st.tuples(
        st.just("filter"),
        st.tuples(st.sampled_from(["", "retry", "gate-1 of", "nothing"]), st.sampled_from([None, "code", "odd"])),
    ),
    st.tuples(st.just("flush"), st.none()),
)


@dataclass
class Plain:
    """What the model is to show, in the simplest way."""

    told: dict[str, Gate | Quarantined] = field(default_factory=dict)
    ghosts: dict[str, Gate] = field(default_factory=dict)
    entries: dict[str, OutboxEntry] = field(default_factory=dict)
    queue: Queue = Queue.PENDING
    words: str = ""
    gate_type: str | None = None

    def apply(self, change: Change) -> None:
        for name in change.gone:
            self.told.pop(name, None)
            self.ghosts.pop(name, None)
            entry = self.entries.get(name)
            if entry is not None and entry.state is not OutboxState.DELIVERED:
                self.ghosts[name] = entry.gate
        for gate in change.gates:
            self.told[gate.request_id] = gate
            self.ghosts.pop(gate.request_id, None)
        for record in change.quarantined:
            self.told[record.key] = record
        for name, entry in change.decisions:
            self.entries.pop(name, None)
            self.ghosts.pop(name, None)
            if entry is not None:
                self.entries[name] = entry
                if name not in self.told:
                    self.ghosts[name] = entry.gate

    @property
    def records(self) -> dict[str, Gate | Quarantined]:
        return {**self.told, **self.ghosts}

    def shown(self) -> set[str]:
        return {name for name, record in self.records.items() if self._stands(record) and self._matches(record)}

    def count(self, queue: Queue) -> int:
        return sum(self._stands(record, queue) for record in self.records.values())

    def _stands(self, record: Gate | Quarantined, queue: Queue | None = None) -> bool:
        queue = queue or self.queue
        if isinstance(record, Quarantined):
            return queue is Queue.QUARANTINE
        entry = self.entries.get(record.request_id)
        if entry is not None and entry.state is not OutboxState.DELIVERED:
            on_its_way = entry.state in {OutboxState.QUEUED, OutboxState.SENDING, OutboxState.UNKNOWN}
            return queue is (Queue.OUTBOX if on_its_way else Queue.CONFLICTS)
        waits = record.status is GateStatus.PENDING and entry is None
        if queue is Queue.EXPIRING:
            return waits and is_expiring(record, NOW)
        return queue is (Queue.PENDING if waits else Queue.DECIDED)

    def _matches(self, record: Gate | Quarantined) -> bool:
        if isinstance(record, Quarantined):
            text, kind = f"{record.key} {record.reason}", ""
        else:
            text = f"{record.summary} {record.task_id} {record.requested_by} {record.gate_type}".lower()
            kind = record.kind.value if record.kind else record.gate_type
        return all(word in text for word in self.words.split()) and self.gate_type in {None, kind}


def ranks(model: GateListModel) -> list[Any]:
    keys: dict[Order, Callable[[Gate], Any]] = {
        Order.WAITING: lambda gate: gate.requested_at,
        Order.NEWEST: lambda gate: -gate.requested_at.timestamp(),
        Order.EXPIRY: lambda gate: gate.expires_at or datetime.max.replace(tzinfo=UTC),
        Order.TYPE: lambda gate: gate.gate_type,
    }
    records = [model.record_at(row) for row in range(model.rowCount())]
    return [keys[model.order](record) for record in records if isinstance(record, Gate)]


def names(model: GateListModel) -> list[str]:
    records = [model.record_at(row) for row in range(model.rowCount())]
    return [record.request_id if isinstance(record, Gate) else record.key for record in records if record]


@given(st.lists(steps, max_size=14))
@settings(max_examples=150)
def test_it_shows_what_a_plain_list_would(qapp: object, taken: list[tuple[str, Any]]) -> None:
    model, plain = GateListModel(now=lambda: NOW), Plain()
    make: Any = QAbstractItemModelTester
    tester = make(model, QAbstractItemModelTester.FailureReportingMode.Fatal)
    for step, argument in taken:
        if step == "apply":
            model.apply(argument)
            plain.apply(argument)
        elif step == "queue":
            model.show_queue(argument)
            plain.queue = argument
        elif step == "order":
            model.sort_by(argument)
        elif step == "filter":
            model.filter_by(*argument)
            plain.words, plain.gate_type = argument
        else:
            model.flush()
    model.flush()
    assert set(names(model)) == plain.shown()
    assert len(names(model)) == len(plain.shown())
    assert ranks(model) == sorted(ranks(model))
    for queue in Queue:
        assert model.count(queue) == plain.count(queue), queue
    for row, name in enumerate(names(model)):
        assert model.row_of(name) == row
    del tester


@given(st.lists(gates, min_size=2, max_size=10, unique_by=lambda gate: gate.request_id), st.sampled_from(Order))
def test_a_selection_stays_on_its_gate(qapp: object, some: list[Gate], order: Order) -> None:
    pending = [gate._replace(status=GateStatus.PENDING) for gate in some]
    model = GateListModel(now=lambda: NOW)
    model.apply(Change(gates=(pending[0],)))
    selected = QPersistentModelIndex(model.index(0, 0))
    model.apply(Change(gates=tuple(pending[1:]), bulk=True))
    model.flush()
    model.sort_by(order)
    record = model.record_at(selected.row())
    assert isinstance(record, Gate)
    assert record.request_id == pending[0].request_id


def test_one_gate_that_arrives_is_one_row(qapp: object, qtbot: Any) -> None:
    model = GateListModel(now=lambda: NOW)
    made = Gate("r", "t", "s", "x", GateStatus.PENDING, "b", "a", NOW, EvidenceBundle("b", "", (), {}))
    inserted: list[tuple[int, int]] = []
    model.rowsInserted.connect(lambda _parent, first, last: inserted.append((first, last)))
    model.apply(Change(gates=(made,)))
    assert inserted == [(0, 0)]


def test_a_load_is_gathered_but_its_first_rows_show_at_once(qapp: object, qtbot: Any) -> None:
    model = GateListModel(now=lambda: NOW)
    made = Gate("r", "t", "s", "x", GateStatus.PENDING, "b", "a", NOW, EvidenceBundle("b", "", (), {}))
    for number in range(50):
        model.apply(Change(gates=(made._replace(request_id=str(number)),), bulk=True))
    assert model.rowCount() == 0
    with qtbot.waitSignal(model.counts_changed):
        pass
    assert model.rowCount() == 50


@pytest.mark.parametrize("queue", list(Queue))
def test_every_row_is_told_to_screen_readers(qapp: object, queue: Queue) -> None:
    model = GateListModel(now=lambda: NOW)
    made = Gate("r", "t", "s", "x", GateStatus.PENDING, "b", "a", NOW, EvidenceBundle("b", "Words", (), {}), NOW)
    model.apply(
        Change(
            gates=(made, made._replace(request_id="d", status=GateStatus.APPROVED)),
            quarantined=(Quarantined("k", "bad"),),
            decisions=tuple(
                (state, entry_about(made._replace(request_id=state), OutboxState(state)))
                for state in ("queued", "conflict")
            ),
        )
    )
    model.show_queue(queue)
    assert model.index(0, 0).data()


def numbered(count: int) -> tuple[Gate, ...]:
    made = Gate("r", "t", "s", "x", GateStatus.PENDING, "b", "a", NOW, EvidenceBundle("b", "", (), {}), NOW)
    return tuple(
        made._replace(request_id=str(number), requested_at=NOW - timedelta(minutes=number * 7 % count))
        for number in range(count)
    )


def test_what_a_load_brings_is_merged_into_a_long_list_and_the_selection_stays(qapp: object) -> None:
    model = GateListModel(now=lambda: NOW)
    made = numbered(400)
    model.apply(Change(made[:380]))
    selected = QPersistentModelIndex(model.index(100, 0))
    before = model.record_at(100)
    model.apply(Change(made[380:], bulk=True))
    model.flush()
    assert ranks(model) == sorted(ranks(model))
    assert model.rowCount() == 400
    assert model.record_at(selected.row()) is before


@pytest.mark.parametrize("act", [lambda model: model.tick(), lambda model: model.sort_by(Order.TYPE)])
def test_rows_that_a_load_has_brought_show_once_whatever_comes_before_they_were_to(
    qapp: object, act: Callable[[GateListModel], None]
) -> None:
    model = GateListModel(now=lambda: NOW)
    model.show_queue(Queue.EXPIRING)
    model.apply(Change(numbered(5), bulk=True))
    act(model)
    model.flush()
    assert sorted(names(model)) == ["0", "1", "2", "3", "4"]
