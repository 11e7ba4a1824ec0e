"""What a session keeps on this machine: evidence by its worth, and everything anew after damage."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitl_desktop.domain.decision import Verdict
from hitl_desktop.domain.gate import GateStatus
from hitl_desktop.domain.outbox import OutboxState
from hitl_desktop.services.encoding import GateRequest
from hitl_desktop.services.errors import NotFound, Unavailable
from hitl_desktop.session import ReviewSession, open_backend, open_session
from hitl_desktop.settings import Settings
from hitl_desktop.store.errors import StoreFullError
from hitl_desktop.store.gates import GateCache
from hitl_desktop.store.outbox import Outbox
from hitl_desktop.sync.evidence import wanted_order
from hitl_desktop.sync.monitor import Phase
from tests.environments import key_file
from tests.gates import TENANT, ask, gate_request, item, written
from tests.servers import Server
from tests.stores import NAMES, database, gate, opened
from tests.waiting import until

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture
def wanted(valkey: Server, home: Path) -> Settings:
    return Settings(
        state_dir=home / "state",
        named_reviewer="rev@example.org",
        redis_url=valkey.url,
        multi_tenancy=True,
        default_tenant=TENANT,
        key_file=key_file(home),
        offline_megabytes=1,
    )


@asynccontextmanager
async def session(wanted: Settings, *, live: bool = False, offline: bool = False) -> AsyncIterator[ReviewSession]:
    async with open_backend(wanted) as backend:
        backend.work_offline(offline=offline)
        async with open_session(backend, live=live) as opened_session:
            yield opened_session


def large(summary: str, *, age: int, expires_in: float | None = None) -> GateRequest:
    request = gate_request(summary, expires_in=expires_in)
    items = [item("artifact", "a.py", summary * (240_000 // len(summary))), item("test_result", "t", "ok")]
    bundle = {**request.bundle, "items": json.dumps(items)}
    return replace(request, requested_at=request.requested_at - timedelta(hours=age), bundle=bundle)


async def test_the_newest_and_the_soonest_to_expire_are_kept_up_to_the_limit(valkey: Server, wanted: Settings) -> None:
    requests = {
        "newest": large("newest", age=0),
        "older": large("older", age=5),
        "oldest": large("oldest", age=90),
        "soonest": large("soonest", age=80, expires_in=600),
        "sooner": large("sooner", age=70, expires_in=1200),
        "old": large("old", age=60),
    }
    await ask(valkey.url, TENANT, *requests.values())
    async with session(wanted) as online:
        await online.sync()
        assert online.monitor.kept == (6, 6)
    kept = []
    async with session(wanted, offline=True) as offline:
        for name, request in requests.items():
            try:
                assert (await offline.open_gate(request.request_id)).is_kept
                kept.append(name)
            except Unavailable as error:
                assert "not kept on this machine" in str(error)  # noqa: PT017 - some are, some are not
        with pytest.raises(NotFound):
            await offline.open_gate("no such gate")
    assert kept == ["newest", "older", "soonest", "sooner"]


async def test_what_a_queued_decision_refers_to_stays_whatever_comes(valkey: Server, wanted: Settings) -> None:
    first = large("first", age=90)
    await ask(valkey.url, TENANT, first)
    async with session(wanted) as online:
        await online.sync()
        gate_read = (await online.open_gate(first.request_id)).gate
        await online.outbox.queue(gate_read, Verdict.APPROVED)
        await ask(valkey.url, TENANT, *(large(f"newer {number}", age=0) for number in range(6)))
        await online._workers.catch_up()
    async with session(wanted, offline=True) as offline:
        assert (await offline.open_gate(first.request_id)).is_kept


GATES = st.lists(
    st.builds(
        lambda age, expires, status: gate(
            requested_at=NOW - timedelta(minutes=age),
            expires_at=None if expires is None else NOW + timedelta(minutes=expires),
            status=status,
        ),
        st.integers(0, 1000),
        st.none() | st.integers(-500, 500),
        st.sampled_from(GateStatus),
    ),
    max_size=12,
)


@given(gates=GATES)
def test_the_order_in_which_evidence_is_wanted(gates: list) -> None:  # type: ignore[type-arg]  # of gates
    order = wanted_order(gates, NOW)
    known = {one.request_id: one for one in gates}
    waiting = {name for name, one in known.items() if one.status is GateStatus.PENDING}
    assert set(order) == waiting
    assert len(order) == len(waiting)
    overdue = [known[name].is_overdue(NOW) for name in order]
    assert overdue == sorted(overdue)
    decidable = [known[name] for name in order if not known[name].is_overdue(NOW)]
    if decidable:
        soonest = min((one.expires_at for one in decidable if one.expires_at), default=None)
        newest = max(one.requested_at for one in decidable)
        assert soonest is None or decidable[0].expires_at == soonest
        assert newest in {one.requested_at for one in decidable[:2]}


def test_the_order_holds_for_more_than_are_sorted_at_a_time() -> None:
    made = gate(requested_at=NOW, expires_at=None)
    gates = [
        made._replace(request_id=str(minute), requested_at=NOW - timedelta(minutes=minute))
        for minute in (place * 7_919 % 12_000 for place in range(12_000))
    ]
    assert wanted_order(gates, NOW) == [str(minute) for minute in range(12_000)]
    last = made._replace(request_id="first", requested_at=NOW - timedelta(days=99), expires_at=NOW + timedelta(days=1))
    assert wanted_order([*gates, last], NOW)[:3] == ["first", "0", "1"]


async def test_a_store_that_was_damaged_is_filled_anew_while_one_works(valkey: Server, wanted: Settings) -> None:
    requests = [gate_request(f"Gate {number}") for number in range(30)]
    await ask(valkey.url, TENANT, *requests)
    async with session(wanted, live=True) as online:
        await online.monitor.reached(Phase.ONLINE)
        await until(lambda: online.monitor.kept == (30, 30), "all evidence is kept")
        await online._workers._recorder.flush()
        gate_read = (await online.open_gate(requests[0].request_id)).gate
        await online.outbox.queue(gate_read, Verdict.REJECTED, reason="No", hold=timedelta(hours=1))
        # Every page but the first and those that hold decisions is another process's mischief.
        checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)"
        await online._disk(lambda store: store._connection.execute(checkpoint).fetchall())
        await online._disk(lambda store: store._connection.execute("PRAGMA shrink_memory"))
        path = database(wanted)
        content = bytearray(path.read_bytes())
        for page in range(6, len(content) // 4096):
            content[page * 4096 + 99] ^= 0xFF
        with path.open("r+b") as file:
            file.write(content)
        await online._disk(lambda store: [store.evidence.find(request.request_id) for request in requests])
        assert "moved aside" in online.problems[0]
        await ask(valkey.url, TENANT, gate_request("One more"))
        await until(lambda: online.monitor.kept == (31, 31), "all evidence is kept again")
        await until(lambda: not online._workers._recorder._noted, "the list is kept again")
    with opened(wanted) as store:
        assert len([one for page in GateCache(store._connection).pages(100) for one in page]) == 31
        assert len(store.evidence.bundle_ids()) == 31


async def test_a_full_disk_at_the_start_ends_no_delivery(
    valkey: Server, wanted: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = gate_request("Retry")
    await ask(valkey.url, TENANT, request)
    async with session(wanted) as online:
        await online.sync()
        await online.outbox.queue((await online.open_gate(request.request_id)).gate, Verdict.APPROVED)
    refusals = iter([StoreFullError("The disk is full.")])
    retry = Outbox.retry

    def is_full(outbox: Outbox, decision_id: str | None = None) -> int:
        if (error := next(refusals, None)) is not None:
            raise error
        return retry(outbox, decision_id)

    monkeypatch.setattr(Outbox, "retry", is_full)
    async with session(wanted, live=True):
        await until(lambda: written(valkey, TENANT, request).events, "it is delivered")


async def test_a_list_that_cannot_be_kept_is_told_and_kept_later(
    valkey: Server, wanted: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_full(*_: object) -> None:
        raise StoreFullError("The disk is full.")

    await ask(valkey.url, TENANT, gate_request("Retry"))
    async with session(wanted, live=True) as online:
        with monkeypatch.context() as patched:
            patched.setattr(GateCache, "put", is_full)
            await until(lambda: "The disk is full." in online.problems, "the reviewer is told")
            assert len(online.book.pending_ids) == 1
        await ask(valkey.url, TENANT, gate_request("Schema"))
        await until(lambda: len(online.book.pending_ids) == 2, "both are listed")
        await until(lambda: online.problems == (), "it is kept")
    with opened(wanted) as store:
        assert len(next(store.gates.pages(10))) == 2


async def test_without_a_key_the_session_says_so_and_keeps_nothing(valkey: Server, wanted: Settings) -> None:
    await ask(valkey.url, TENANT, gate_request("Retry"))
    async with session(replace(wanted, key_file=None), live=True) as online:
        await online.monitor.reached(Phase.ONLINE)
        await until(lambda: online.problems, "the reviewer is told")
        assert "only work online" in online.problems[0]
    assert not database(wanted).exists()
    assert not list(wanted.stores_dir.glob(f"{NAMES.file_stem}*.db*"))


async def test_a_delivery_that_is_cut_short_before_it_sends_leaves_its_rows_due(
    valkey: Server, wanted: Settings
) -> None:
    request = gate_request("Retry")
    await ask(valkey.url, TENANT, request)
    async with session(wanted) as online:
        await online.sync()
        queued = await online.outbox.queue((await online.open_gate(request.request_id)).gate, Verdict.APPROVED)
        delivering = asyncio.create_task(online.outbox._outbound.deliver())
        # One turn of the loop: the row is being claimed in the store's thread, and nothing can have been sent.
        await asyncio.sleep(0)
        delivering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await delivering
        row = await online.outbox.find(queued.decision_id)
        assert (row.state, row.attempts) == (OutboxState.QUEUED, 0)
        await online.outbox.withdraw(queued.decision_id)
