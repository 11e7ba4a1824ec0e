"""The cached list of gates, what the reviewer has written and seen, and when each of them is forgotten."""

from contextlib import closing
from datetime import UTC, datetime, timedelta

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitl_desktop.domain.decision import FEEDBACK_TAGS, Draft, Severity
from hitl_desktop.domain.gate import Gate, GateStatus
from hitl_desktop.store.database import MEMORY, open_database
from hitl_desktop.store.drafts import DRAFT_KEPT, Drafts
from hitl_desktop.store.gates import DECIDED_KEPT, GateCache, listed
from tests.stores import gate

MOMENT = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def gates(connection: apsw.Connection) -> GateCache:
    return GateCache(connection)


@pytest.fixture
def drafts(connection: apsw.Connection) -> Drafts:
    return Drafts(connection)


def all_of(gates: GateCache, size: int = 2) -> list[str]:
    pages = list(gates.pages(size))
    assert all(0 < len(page) <= size for page in pages)
    return [one.request_id for page in pages for one in page]


def decided(name: str, minute: int) -> Gate:
    at = MOMENT + timedelta(minutes=minute)
    return gate(name, request_id=name, status=GateStatus.APPROVED, decided_at=at, reviewer="rev", decision_id="d")


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
MOMENTS = st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1)).map(  # noqa: DTZ001 - made aware in the next step
    lambda moment: moment.replace(tzinfo=UTC)
)


@given(
    changes=st.fixed_dictionaries(
        {
            "task_id": TEXTS,
            "session_id": TEXTS,
            "gate_type": TEXTS,
            "status": st.sampled_from(GateStatus),
            "requested_by": TEXTS,
            "requested_at": MOMENTS,
            "expires_at": st.none() | MOMENTS,
            "expires_text": TEXTS,
            "decision_id": TEXTS,
            "reviewer": TEXTS,
            "reason": TEXTS,
            "conditions": st.lists(TEXTS).map(tuple),
            "decided_at": st.none() | MOMENTS,
        }
    ),
    summary=TEXTS,
)
def test_a_gate_comes_back_as_it_was_listed(changes: dict[str, object], summary: str) -> None:
    with closing(open_database(MEMORY, bytes(32))) as connection:
        cache, one = GateCache(connection), gate(summary, request_id="request", **changes)
        cache.put([one])
        found = cache.find("request")
        assert found is not None
        before = listed(one)
        for kept, given_as in (
            (found.requested_at, before.requested_at),
            (found.expires_at, before.expires_at),
            (found.decided_at, before.decided_at),
        ):
            assert (kept is None) == (given_as is None)
            assert kept is None or given_as is None or abs(kept - given_as) < timedelta(milliseconds=1)
        same = before._replace(
            requested_at=found.requested_at, expires_at=found.expires_at, decided_at=found.decided_at
        )
        assert found == same


def test_what_waits_comes_first_longest_waiting_at_the_top(gates: GateCache) -> None:
    waiting = [gate(str(n), request_id=f"w{n}", requested_at=MOMENT - timedelta(minutes=n)) for n in range(3)]
    gates.put([decided("d1", 1), *waiting, decided("d5", 5)])
    assert all_of(gates) == ["w2", "w1", "w0", "d5", "d1"]
    gates.put([waiting[2]._replace(status=GateStatus.EXPIRED)], gone=["w1", "d5", "never there"])
    assert all_of(gates) == ["w0", "d1", "w2"]
    assert gates.find("w1") is None


def test_only_the_newest_decided_gates_are_kept(gates: GateCache) -> None:
    gates.put([*(decided(f"d{n}", n) for n in range(DECIDED_KEPT + 5)), gate("waits", request_id="waits")])
    gates.forget_old()
    kept = all_of(gates, 500)
    assert len(kept) == DECIDED_KEPT + 1
    assert kept[0] == "waits"
    assert f"d{DECIDED_KEPT + 4}" in kept
    assert "d4" not in kept


def test_a_row_that_cannot_be_read_costs_no_other(connection: apsw.Connection, gates: GateCache) -> None:
    gates.put([gate(str(n), request_id=f"g{n}", requested_at=MOMENT + timedelta(minutes=n)) for n in range(6)])
    for name, column, value in (
        ("g0", "requested_at", 1e300),
        ("g1", "conditions", "[" * 100_000),
        ("g2", "expires_at", float("inf")),
        ("g3", "status", "pending "),
    ):
        statement = f"UPDATE gates SET {column} = ? WHERE request_id = ?"  # noqa: S608 - a name of this test's
        connection.execute(statement, (value, name))
    assert all_of(gates) == ["g4", "g5"]
    assert gates.find("g0") is None


@given(
    reason=st.text(max_size=50),
    conditions=st.lists(st.text(max_size=10), max_size=3).map(tuple),
    severity=st.none() | st.sampled_from(Severity),
    tags=st.lists(st.sampled_from(FEEDBACK_TAGS), unique=True).map(tuple),
)
def test_a_draft_comes_back_as_it_was_written(
    reason: str, conditions: tuple[str, ...], severity: Severity | None, tags: tuple[str, ...]
) -> None:
    with closing(open_database(MEMORY, bytes(32))) as connection:
        drafts, draft = Drafts(connection), Draft(reason, conditions, severity, tags)
        drafts.keep({"request": draft})
        assert drafts.all() == ({} if draft == Draft() else {"request": draft})


def test_half_a_character_costs_no_draft(drafts: Drafts) -> None:
    drafts.keep({"request": Draft("before \ud83d after", ("\udc00",))})
    assert drafts.all() == {"request": Draft("before ? after", ("?",))}


def test_an_emptied_draft_is_forgotten(drafts: Drafts) -> None:
    drafts.keep({"one": Draft("words"), "two": Draft("words")})
    drafts.keep({"one": Draft()})
    assert list(drafts.all()) == ["two"]


def test_a_draft_that_cannot_be_read_costs_no_other(connection: apsw.Connection, drafts: Drafts) -> None:
    drafts.keep({"one": Draft("words"), "two": Draft("words"), "three": Draft("words")})
    connection.execute("UPDATE drafts SET body = ? WHERE request_id = 'one'", (b"\xc1",))
    connection.execute("UPDATE drafts SET body = ? WHERE request_id = 'two'", (b"\x91" * 100_000,))
    assert list(drafts.all()) == ["three"]


def test_a_draft_outlives_its_gate_for_a_while(gates: GateCache, drafts: Drafts) -> None:
    gates.put([gate("Retry", request_id="kept")])
    drafts.keep({"kept": Draft("words"), "gone": Draft("words")})
    now = datetime.now(UTC).timestamp()
    drafts.forget_old(now)
    assert set(drafts.all()) == {"kept", "gone"}
    drafts.forget_old(now + DRAFT_KEPT + 1)
    assert set(drafts.all()) == {"kept"}


def test_what_was_seen_is_kept_by_bundle_until_its_gate_goes(gates: GateCache, drafts: Drafts) -> None:
    gates.put([gate("Retry", request_id="kept")])
    for request_id, bundle_id, item in (("kept", "b1", 0), ("kept", "b1", 2), ("kept", "b1", 2), ("kept", "b2", 0)):
        drafts.mark_viewed(request_id, bundle_id, item)
    drafts.mark_viewed("gone", "b", 0)
    drafts.mark_viewed("drafted", "b", 0)
    drafts.keep({"drafted": Draft("words")})
    drafts.forget_marks()
    assert drafts.viewed() == {("kept", "b1"): {0, 2}, ("kept", "b2"): {0}, ("drafted", "b"): {0}}
