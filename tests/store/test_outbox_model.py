"""The outbox's rows against a model: two processes that claim, answer, withdraw and wait in any order."""

import pytest
from hypothesis import settings as examples
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hitl_desktop.domain.outbox import AlreadyQueuedError, NotWithdrawableError, OutboxEntry, OutboxState
from hitl_desktop.store.database import MEMORY, open_database
from hitl_desktop.store.outbox import DELIVERED_KEPT, LEASE, Outbox, Outcome
from tests.stores import entry, gate

NOW = 1_800_000_000.0


class Rows(RuleBasedStateMachine):
    """Two processes on one outbox against a model: which state each row is in, and that none is ever lost."""

    def __init__(self) -> None:
        super().__init__()
        self.connection = open_database(MEMORY, bytes(32))
        self.processes = [Outbox(self.connection) for _ in range(2)]
        for number, process in enumerate(self.processes):
            process._sender = f"host-{number} 1 0"
        self.gates = [gate(request_id=f"gate-{number}") for number in range(4)]
        self.model: dict[str, OutboxEntry] = {}
        self.leases: dict[str, float] = {}
        self.senders: dict[str, int] = {}
        self.now = NOW

    @initialize()
    def begin(self) -> None:
        self.now = NOW

    def on_its_way(self, request_id: str) -> bool:
        return any(one.request_id == request_id and one.state.is_open for one in self.model.values())

    def moved(self, name: str, to: OutboxState, **changes: object) -> None:
        self.model[name] = self.model[name]._replace(state=to, **changes)  # type: ignore[arg-type]  # passed on

    @rule(which=st.integers(0, 3), process=st.integers(0, 1))
    def decide(self, which: int, process: int) -> None:
        about = self.gates[which]
        one = entry(about)
        if self.on_its_way(about.request_id):
            with pytest.raises(AlreadyQueuedError):
                self.processes[process].add(one, about.bundle.fields)
        else:
            self.processes[process].add(one, about.bundle.fields)
            self.model[one.decision_id] = one

    @rule(process=st.integers(0, 1), limit=st.integers(1, 3))
    def claim(self, process: int, limit: int) -> None:
        for name, one in self.model.items():
            if one.state is OutboxState.SENDING and self.now >= self.leases[name]:
                self.moved(name, OutboxState.UNKNOWN)
        due = [n for n, one in self.model.items() if one.state in {OutboxState.QUEUED, OutboxState.UNKNOWN}][:limit]
        got = self.processes[process].claim(self.now, limit)
        assert [one.entry.decision_id for one in got] == due
        for name in due:
            self.moved(name, OutboxState.SENDING, attempts=self.model[name].attempts + 1)
            self.leases[name] = self.now + LEASE
            self.senders[name] = process

    @precondition(lambda self: any(one.state is OutboxState.SENDING for one in self.model.values()))
    @rule(
        data=st.data(),
        process=st.integers(0, 1),
        to=st.sampled_from([state for state in OutboxState if state not in {OutboxState.DRAFT, OutboxState.SENDING}]),
    )
    def answer(self, data: st.DataObject, process: int, to: OutboxState) -> None:
        name = data.draw(st.sampled_from([n for n, one in self.model.items() if one.state is OutboxState.SENDING]))
        self.processes[process].settle([Outcome(name, to)], self.now, "history")
        attempts = self.model[name].attempts
        if to is OutboxState.DELIVERED:
            self.moved(name, to)
        elif self.senders[name] != process:
            return  # what is not its own to send any more, it only knows to be delivered
        elif to is OutboxState.QUEUED:
            self.moved(name, OutboxState.UNKNOWN if attempts > 1 else OutboxState.QUEUED, attempts=attempts - 1)
        else:
            self.moved(name, to, attempts=attempts if to is OutboxState.UNKNOWN else 0)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(list(self.model)))
        if self.model[name].can_be_withdrawn:
            self.processes[0].withdraw(name)
            del self.model[name]
        else:
            with pytest.raises(NotWithdrawableError):
                self.processes[0].withdraw(name)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def accept(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(list(self.model)))
        self.processes[0].close(name)
        if self.model[name].state.needs_answer:
            del self.model[name]

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(list(self.model)))
        one = self.model[name]
        can = one.state.needs_answer and not self.on_its_way(one.request_id)
        assert self.processes[1].retry(name) == int(can)
        if can:
            self.moved(name, OutboxState.QUEUED)

    @rule(seconds=st.sampled_from([1.0, LEASE, DELIVERED_KEPT + 1]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def nothing_is_lost_and_each_is_what_it_is(self) -> None:
        rows = {one.decision_id: one for one in self.processes[1].entries(0.0)}
        assert {name: (one.state, one.attempts) for name, one in rows.items()} == {
            name: (one.state, one.attempts) for name, one in self.model.items()
        }
        assert list(rows) == list(self.model)
        open_gates = [one.request_id for one in rows.values() if one.state.is_open]
        assert len(open_gates) == len(set(open_gates))
        assert (self.processes[0].next_due() is None) == (not open_gates)

    def teardown(self) -> None:
        self.connection.close()


TestRows = Rows.TestCase
TestRows.settings = examples(stateful_step_count=30)
