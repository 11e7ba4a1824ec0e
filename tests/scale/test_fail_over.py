"""A reviewer's session while the master is killed or swallowed and its replica takes its place."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from hitl_desktop.domain.decision import Verdict
from hitl_desktop.domain.outbox import OutboxEntry, OutboxState
from hitl_desktop.services import connection
from hitl_desktop.services.errors import Unavailable
from hitl_desktop.sync.monitor import Phase
from tests.gates import gate_request
from tests.scale.fleets import FAIL_OVER, Cluster, Watched, cut_off, paused
from tests.scale.reviewing import NAMES, ask, delivered, is_written_once, read, replicated, reviewing, written
from tests.servers import Server
from tests.waiting import until

Fleet = Cluster | Watched


@contextlib.asynccontextmanager
async def failed_over(fleet: Fleet) -> AsyncIterator[Server]:
    """Kill the master; yield the server that takes its place, which it has done afterwards."""
    master, replica = fleet.master, fleet.replica
    master.kill()
    yield replica
    await until(lambda: fleet.has_promoted(replica), "the replica has been promoted", within=FAIL_OVER)


async def test_reading_deciding_and_live_events_go_on_with_the_promoted_replica(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is acknowledged must be on the replica, however slow this machine is.
    monkeypatch.setattr(connection, "_REPLICATED_WITHIN_MS", 4_000)
    requests, after = [gate_request(f"Gate {number}") for number in range(40)], gate_request("After")
    await ask(fleet, *requests)
    # In a cluster, the only place that is named is the one that will be killed.
    async with reviewing(fleet.one_url) as session:
        await session.monitor.reached(Phase.ONLINE)
        gates = [await read(session, request) for request in requests]

        async def decide() -> list[OutboxEntry]:
            return [await session.outbox.queue(gate, Verdict.APPROVED) for gate in gates]

        deciding = asyncio.create_task(decide())
        await until(lambda: session.book.decision_counts[OutboxState.DELIVERED], "one is acknowledged")
        async with failed_over(fleet) as promoted:
            await session.monitor.reached(Phase.OFFLINE)
            entries = await deciding
        for entry in entries:
            await delivered(session, entry)
        for request, entry in zip(requests, entries, strict=True):
            assert is_written_once(promoted, request, entry.decision_id)
        await session.monitor.reached(Phase.ONLINE)
        await ask(fleet, after)
        await until(lambda: session.book.pending_ids == {after.request_id}, "the new gate has come by itself")
        again = await session.decide(await read(session, after), Verdict.APPROVED)
        assert is_written_once(promoted, after, again.decision_id)
        await until(lambda: not session.book.pending_ids, "the echo has come back")


async def test_a_decision_is_acknowledged_once_a_replica_has_it(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_REPLICATED_WITHIN_MS", 4_000)
    request = gate_request("Retry")
    await ask(fleet, request)
    master, replica = fleet.master, fleet.replica
    await replicated(master)
    async with reviewing(fleet.url, live=False) as session:
        gate = await read(session, request)
        cursor = await session.newest_event()
        with paused(replica):
            deciding = asyncio.create_task(session.decide(gate, Verdict.APPROVED))
            await until(lambda: master.run("INFO", "clients")["blocked_clients"] == 1, "it is waited for the replica")
            assert written(master, request).gate["status"] == "approved"
            assert not deciding.done()
        decided = await deciding
        async with failed_over(fleet):
            pass
        assert is_written_once(replica, request, decided.decision_id)
        # A cursor belongs to the server that gave it: nothing says that the promoted one will ever reach it.
        with pytest.raises(Unavailable, match="read anew"):
            await session.next_events(cursor, 10)
        assert await session.next_events("0-0", 10) == await session.newest_event()


async def test_what_the_promoted_replica_has_not_is_delivered_again(fleet: Fleet) -> None:
    lost, after = gate_request("Lost"), gate_request("After")
    await ask(fleet, lost)
    master, replica = fleet.master, fleet.replica
    await replicated(master)
    async with reviewing(fleet.url) as session:
        await session.monitor.reached(Phase.ONLINE)
        gate = await read(session, lost)
        cut_off(replica)
        await until(lambda: master.run("INFO", "replication")["connected_slaves"] == 0, "the replica is cut off")
        # The cursor of the stream is then in the future of the promoted replica.
        master.run("XADD", NAMES.events, "99999999999999-0", "_init", "true", "metadata", '{"request_id": ""}')
        decided = await session.decide(gate, Verdict.APPROVED)
        assert is_written_once(master, lost, decided.decision_id)
        await until(lambda: not session.book.pending_ids, "the echo has come back")
        async with failed_over(fleet):
            pass
        await until(
            lambda: written(replica, lost).gate["status"] == "approved", "it is delivered again", within=FAIL_OVER
        )
        assert is_written_once(replica, lost, decided.decision_id)
        await session.monitor.reached(Phase.ONLINE)
        await ask(fleet, after)
        await until(lambda: after.request_id in session.book.pending_ids, "the new gate has come by itself")
        await until(lambda: lost.request_id not in session.book.pending_ids, "the echo has come back once more")


async def test_a_master_that_is_only_swallowed_is_left_behind(
    watched: Watched, request: pytest.FixtureRequest, *, full: bool
) -> None:
    await left_behind(watched)
    if full:
        await left_behind(request.getfixturevalue("cluster"))


async def left_behind(fleet: Fleet) -> None:
    """Swallow the master, and let a reviewer decide meanwhile."""
    request, after = gate_request("Meanwhile"), gate_request("After")
    await ask(fleet, request)
    master, replica = fleet.master, fleet.replica
    await replicated(master)
    async with reviewing(fleet.url) as session:
        await session.monitor.reached(Phase.ONLINE)
        gate = await read(session, request)
        with paused(master):
            queued = await session.outbox.queue(gate, Verdict.APPROVED)
            await until(lambda: fleet.has_promoted(replica), "the replica has been promoted", within=FAIL_OVER)
            await delivered(session, queued)
        assert is_written_once(replica, request, queued.decision_id)
        async with asyncio.timeout(FAIL_OVER):
            await session.monitor.reached(Phase.ONLINE)
        await ask(fleet, after)
        await until(lambda: after.request_id in session.book.pending_ids, "the new gate has come by itself")
        await until(lambda: request.request_id not in session.book.pending_ids, "the echo has come back")
