"""A reviewer's days at random, against a model: gates come and end, decisions are made, undone, sent, lost on the way,
the application crashes, the network goes and returns, somebody else decides, the tenant is switched."""

import asyncio
import itertools
import socket
import time
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from hitl_desktop.domain.decision import Verdict
from hitl_desktop.domain.outbox import AlreadyQueuedError, NotWithdrawableError, OutboxState
from hitl_desktop.services.connection import connect
from hitl_desktop.services.errors import Unavailable
from hitl_desktop.services.gates import Gates
from hitl_desktop.services.scripts import DECIDE
from hitl_desktop.session import open_backend, open_session
from hitl_desktop.settings import read_settings
from hitl_desktop.store.tenant_store import StoreThread, TenantStore
from hitl_desktop.tenancy import TenantContext, TenantNames
from tests.faults.desk_model import DUE, OPEN, ModelDecision, ModelGate, Place
from tests.faults.ledger import faults, ledger
from tests.faults.lives import settings_of
from tests.faults.proxy import Fault, Harm, Proxy, Way
from tests.gates import decision, gate_request
from tests.servers import Server

TENANTS = ("acme-corp", "widgets-inc")
_NOBODY = f"{socket.gethostname()} 99999999 gone"
_SHOWN = {
    Place.HELD: {OutboxState.QUEUED},
    Place.QUEUED: {OutboxState.QUEUED},
    Place.SENT: {OutboxState.UNKNOWN, OutboxState.SENDING},
    Place.CONFLICT: {OutboxState.CONFLICT},
    Place.EXPIRED: {OutboxState.EXPIRED},
}
index = st.integers(min_value=0, max_value=10**6)


class Reviewer(RuleBasedStateMachine):
    """One reviewer with two tenants, whose network is a proxy."""

    server: Server
    home: Path
    runs = itertools.count()

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.server.run("FLUSHALL")
        self.server.run("SCRIPT", "LOAD", DECIDE.text)
        self.proxy = Proxy(self.server.port)
        self.do(self.proxy.start())
        self.tenant = TENANTS[0]
        self.is_offline = False
        self.gates: list[ModelGate] = []
        self.decisions: list[ModelDecision] = []
        self.left: list[AsyncExitStack] = []
        home = self.home / f"run-{next(self.runs)}"
        home.mkdir()
        self.environment = settings_of(home, self.server, self.proxy.url)
        self.do(self.open())

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    async def open(self) -> None:
        self.stack = AsyncExitStack()
        backend = await self.stack.enter_async_context(open_backend(read_settings(self.environment)))
        self.session = await self.stack.enter_async_context(open_session(backend, self.tenant, live=False))

    @property
    def disk(self) -> StoreThread:
        return self.session._disk

    @property
    def mine(self) -> list[ModelDecision]:
        """The decisions of the tenant on screen, in their order."""
        return [one for one in self.decisions if one.gate.tenant == self.tenant]

    def due(self) -> list[ModelDecision]:
        return [one for one in self.mine if one.place in DUE]

    # --- what others do -----------------------------------------------------------------------------------------------

    @rule(tenant=st.sampled_from(TENANTS), overdue=st.booleans())
    def arrive(self, tenant: str, *, overdue: bool) -> None:
        request = gate_request("A gate", expires_in=-1 if overdue else None)

        async def post() -> None:
            async with connect(self.server.url) as connection:
                with TenantContext.tenant_scope(tenant):
                    gates = Gates(connection, TenantNames(tenant))
                    await gates.request(request)
                    self.gates.append(ModelGate(tenant, request, await gates.get(request.request_id), overdue))

        self.do(post())

    @precondition(lambda self: any(gate.can_be_decided for gate in self.gates))
    @rule(place=index)
    def somebody_else_decides(self, place: int) -> None:
        gate = self.undecided(place)

        async def decide() -> None:
            async with connect(self.server.url) as connection:
                with TenantContext.tenant_scope(gate.tenant):
                    gates = Gates(connection, TenantNames(gate.tenant))
                    await gates.decide(decision(gate.seen, reviewer="other@example.org"), gate.seen)

        self.do(decide())
        gate.decided_by = "other"

    @precondition(lambda self: any(gate.can_be_decided for gate in self.gates))
    @rule(place=index)
    def expire(self, place: int) -> None:
        gate = self.undecided(place)
        prefix = f"tenant:{gate.tenant}:asdlc"
        self.server.run("HSET", f"{prefix}:gate_request:{gate.request.request_id}", "status", "expired")
        self.server.run("ZREM", f"{prefix}:pending_gates", gate.request.request_id)
        gate.decided_by = "time"

    def undecided(self, place: int) -> ModelGate:
        gates = [gate for gate in self.gates if gate.can_be_decided]
        return gates[place % len(gates)]

    # --- what the reviewer does ---------------------------------------------------------------------------------------

    @precondition(lambda self: any(gate.tenant == self.tenant for gate in self.gates))
    @rule(place=index, hold=st.booleans())
    def decide(self, place: int, *, hold: bool) -> None:
        gates = [gate for gate in self.gates if gate.tenant == self.tenant]
        gate = gates[place % len(gates)]
        time_to_undo = timedelta(hours=1) if hold else timedelta(0)
        queued = self.session.outbox.queue(gate.seen, Verdict.REJECTED, reason="No", hold=time_to_undo)
        if any(one.gate is gate and one.place in OPEN for one in self.mine):
            with pytest.raises(AlreadyQueuedError):
                self.do(queued)
        else:
            place_of_row = Place.HELD if hold else Place.QUEUED
            self.decisions.append(ModelDecision(self.do(queued).decision_id, gate, place_of_row))

    @precondition(lambda self: self.mine)
    @rule(place=index)
    def undo(self, place: int) -> None:
        one = self.mine[place % len(self.mine)]
        if one.place in {Place.SENT, Place.DELIVERED}:
            with pytest.raises(NotWithdrawableError):
                self.do(self.session.outbox.withdraw(one.decision_id))
        else:
            self.do(self.session.outbox.withdraw(one.decision_id))
            self.decisions.remove(one)

    @rule()
    def send_without_waiting(self) -> None:
        self.do(self.session.outbox.release())
        for one in self.mine:
            one.place = Place.QUEUED if one.place is Place.HELD else one.place

    @rule()
    def deliver(self) -> None:
        if self.is_offline:
            with pytest.raises(Unavailable):
                self.do(self.session.outbox.deliver())
        else:
            self.do(self.session.outbox.deliver())
            for one in self.due():
                one.deliver()

    @rule()
    def switch(self) -> None:
        self.do(self.stack.aclose())
        self.tenant = TENANTS[1 - TENANTS.index(self.tenant)]
        self.do(self.open())

    # --- what goes wrong ----------------------------------------------------------------------------------------------

    @rule()
    def go_offline_or_return(self) -> None:
        self.is_offline = self.proxy.refuses = not self.is_offline

        async def cut() -> None:
            self.proxy.cut()
            await asyncio.sleep(0)

        self.do(cut())
        # Connections that are kept may not have heard of it: a session that is open begins with fresh ones.
        self.do(self.stack.aclose())
        self.do(self.open())

    @precondition(lambda self: not self.is_offline and self.due())
    @rule()
    def lose_the_answer(self) -> None:
        self.proxy.arm(Fault(Harm.DEAF, Way.DOWN, len(b"+PONG\r\n") + 1))
        self.do(self.stack.aclose())
        self.do(self.open())
        with pytest.raises(Unavailable):
            self.do(self.session.outbox._outbound.deliver())
        self.proxy.fault = None
        for one in self.due():
            one.send()

    @rule(sending=st.sampled_from(["nothing", "claimed", "written"]))
    def crash(self, sending: str) -> None:
        if sending != "nothing":
            self.do(self.cut_off(is_written=sending == "written" and not self.is_offline))
        self.left.append(self.stack)
        self.do(self.open())
        self.do(self.disk(bury))

    async def cut_off(self, *, is_written: bool) -> None:
        """Claim what is due, let it be written or not, and hear nothing of it any more."""
        claimed = await self.disk(lambda store: store.outbox.claim(time.time(), 1_000))
        due = self.due()
        assert [one.entry.decision_id for one in claimed] == [one.decision_id for one in due]
        if is_written:
            together = [
                (one.entry.decision, one.entry.gate._replace(bundle=of.gate.seen.bundle))
                for one, of in zip(claimed, due, strict=True)
            ]
            await self.session._gates.deliver(together)
        for one in due:
            if is_written:
                one.send()
            one.place = Place.SENT

    # --- what must hold -----------------------------------------------------------------------------------------------

    @invariant()
    def the_outbox_is_as_the_model_says(self) -> None:
        rows = self.do(self.disk(lambda store: {row.decision_id: row for row in store.outbox.entries()}))
        expected = {one.decision_id: one for one in self.mine if one.place is not Place.DELIVERED}
        assert rows.keys() == expected.keys()
        for decision_id, one in expected.items():
            assert rows[decision_id].state in _SHOWN[one.place]
            if one.place is Place.CONFLICT:
                theirs = rows[decision_id].theirs
                assert theirs is not None
                assert theirs.decision_id == one.gate.decided_by or theirs.reviewer == "other@example.org"

    def teardown(self) -> None:
        try:
            self.finish()
        finally:
            for stack in (self.stack, *reversed(self.left)):
                self.do(stack.aclose())
            self.do(self.proxy.close())
            self.runner.close()

    def finish(self) -> None:
        """Go online, deliver everything of both tenants, and look at what the server has."""
        if self.is_offline:
            self.go_offline_or_return()
        for _ in TENANTS:
            self.send_without_waiting()
            self.deliver()
            self.the_outbox_is_as_the_model_says()
            rows = self.do(self.disk(lambda store: store.outbox.entries()))
            requests = [gate.request for gate in self.gates if gate.tenant == self.tenant]
            told = {one.decision_id: one.gate.request.request_id for one in self.mine}
            assert faults(ledger(self.server, requests, self.tenant), told, rows) == []
            self.switch()


def bury(store: TenantStore) -> None:
    """Let the sender of what is being sent be a process that has ended."""
    store._connection.execute("UPDATE outbox SET sender = ? WHERE state = 'sending'", (_NOBODY,))


def test_days_of_a_reviewer(valkey: Server, home: Path, *, full: bool) -> None:
    machine = type("Reviewer", (Reviewer,), {"server": valkey, "home": home})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=400 if full else 15,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
