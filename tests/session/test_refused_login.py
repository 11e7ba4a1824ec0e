"""A login that the server refuses is no verdict about a decision: it waits, says why, and goes out after a good one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hitl_desktop.domain.decision import Verdict
from hitl_desktop.domain.outbox import Cause, OutboxEntry, OutboxState
from hitl_desktop.services.encoding import GateRequest
from hitl_desktop.services.errors import LoginRefused
from hitl_desktop.session import ReviewSession, open_backend, open_session
from hitl_desktop.settings import Settings, read_settings
from hitl_desktop.sync.monitor import Phase
from tests import keyrings
from tests.environments import keeping
from tests.gates import TENANT, ask, gate_request, written
from tests.servers import Server
from tests.waiting import until


@pytest.fixture(autouse=True)
def ring() -> Iterator[keyrings.Asked]:
    backend = keyrings.Asked()
    with keyrings.used(backend):
        yield backend


@pytest.fixture
def settings(home: Path, valkey: Server) -> Settings:
    return read_settings(keeping(home, valkey.url))


@pytest.fixture
async def request_(valkey: Server) -> GateRequest:
    """A gate on a server where the tenant's user is logged in."""
    request = gate_request("Retry with jitter")
    await ask(valkey.url, TENANT, request)
    keyrings.log_in(TENANT, valkey.url, keyrings.make_users(valkey, TENANT)[TENANT])
    return request


def change_password(server: Server) -> None:
    server.run("ACL", "SETUSER", f"{TENANT}-reviewer", "resetpass", ">another")
    server.run("CLIENT", "KILL", "USER", f"{TENANT}-reviewer")


async def queued(session: ReviewSession, request: GateRequest) -> OutboxEntry:
    gate = (await session.open_gate(request.request_id)).gate
    return await session.outbox.queue(gate, Verdict.APPROVED)


async def test_it_waits_over_restarts_and_goes_out_after_a_good_login(
    valkey: Server, settings: Settings, request_: GateRequest
) -> None:
    async with open_backend(settings) as backend:
        async with open_session(backend, TENANT) as session:
            await session.monitor.reached(Phase.ONLINE)
            await session.open_gate(request_.request_id)
            change_password(valkey)
            await session.monitor.reached(Phase.REFUSED)
            entry = await queued(session, request_)  # from what is kept: what is listed stays readable

            def cause() -> Cause:
                return session.book.decisions[request_.request_id].cause

            await until(lambda: cause() is Cause.CREDENTIALS, "the screen knows why it waits")
        async with open_session(backend, TENANT) as session:
            await session.monitor.reached(Phase.REFUSED)
            (found,) = await session.outbox.entries()
            assert (found.decision_id, found.state, found.cause) == (
                entry.decision_id,
                OutboxState.QUEUED,
                Cause.CREDENTIALS,
            )
            assert f"tenants login {TENANT}" in found.problem
            assert found.can_be_withdrawn
            assert written(valkey, TENANT, request_).is_pending
            keyrings.log_in(TENANT, valkey.url, "another")
            await until(lambda: not written(valkey, TENANT, request_).is_pending, "it is sent by itself")
            await until(lambda: cause() is Cause.NONE, "nothing is wrong any more")
    assert len(written(valkey, TENANT, request_).events) == 1


async def test_a_refusal_that_meets_the_sending_itself_leaves_it_queued(
    valkey: Server, settings: Settings, request_: GateRequest
) -> None:
    async with open_backend(settings) as backend, open_session(backend, TENANT, live=False) as session:
        entry = await queued(session, request_)
        change_password(valkey)
        with pytest.raises(LoginRefused):
            await session.outbox._outbound.deliver()
        found = await session.outbox.find(entry.decision_id)
        assert (found.state, found.cause, found.attempts) == (OutboxState.QUEUED, Cause.CREDENTIALS, 0)
        keyrings.log_in(TENANT, valkey.url, "another")
        await session.sync()
        found = await session.outbox.find(entry.decision_id)
        assert (found.state, found.cause, found.problem) == (OutboxState.DELIVERED, Cause.NONE, "")


async def test_one_that_can_still_be_undone_is_plainly_queued_again_after_a_good_login(
    valkey: Server, settings: Settings, request_: GateRequest
) -> None:
    async with open_backend(settings) as backend, open_session(backend, TENANT, live=False) as session:
        entry = await queued(session, request_)
        await session._disk(lambda store: store._connection.execute("UPDATE outbox SET held_until = 4000000000"))
        change_password(valkey)
        with pytest.raises(LoginRefused):
            await session.outbox.deliver()
        assert (await session.outbox.find(entry.decision_id)).cause is Cause.CREDENTIALS
        keyrings.log_in(TENANT, valkey.url, "another")
        await session.outbox.deliver()
        found = await session.outbox.find(entry.decision_id)
        assert (found.state, found.cause, found.problem) == (OutboxState.QUEUED, Cause.NONE, "")


async def test_who_waits_for_the_answer_is_told_and_no_row_stays(
    valkey: Server, settings: Settings, request_: GateRequest
) -> None:
    async with open_backend(settings) as backend, open_session(backend, TENANT, live=False) as session:
        gate = (await session.open_gate(request_.request_id)).gate
        change_password(valkey)
        with pytest.raises(LoginRefused, match="tenants login"):
            await session.decide(gate, Verdict.APPROVED)
        assert await session.outbox.entries() == ()
