"""The outbox's rows: one committed row a decision, its states, its claims, and every way out."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import apsw
import pytest

from hitl_desktop.domain.decision import Decided
from hitl_desktop.domain.gate import Gate
from hitl_desktop.domain.outbox import (
    AlreadyQueuedError,
    Cause,
    NotWithdrawableError,
    OutboxEntry,
    OutboxState,
)
from hitl_desktop.store.outbox import DELIVERED_KEPT, LEASE, Outbox, Outcome
from hitl_desktop.store.outbox_rows import CONTENTS, pack
from tests.environments import key_file
from tests.stores import add, entry, gate, opened, settings

NOW = 1_800_000_000.0


@pytest.fixture
def outbox(connection: apsw.Connection) -> Outbox:
    return Outbox(connection)


def put(outbox: Outbox, about: Gate | None = None, **changes: object) -> OutboxEntry:
    about = about or gate()
    one = entry(about, **changes)  # type: ignore[arg-type]  # passed on
    outbox.add(one, about.bundle.fields)
    return one


def state(outbox: Outbox, one: OutboxEntry) -> OutboxState | None:
    found = outbox.find(one.decision_id)
    return None if found is None else found.state


def claimed(outbox: Outbox, now: float = NOW) -> list[str]:
    return [one.entry.decision_id for one in outbox.claim(now, 100)]


def settle(
    outbox: Outbox, one: OutboxEntry, to: OutboxState, cause: Cause = Cause.NONE, *, history_id: str = "history"
) -> None:
    outbox.settle([Outcome(one.decision_id, to, cause)], NOW, history_id)


def test_a_row_comes_back_as_it_was_added(outbox: Outbox) -> None:
    about = gate("Retry “with” jitter ⇄")
    one = entry(about, reason="Because\n…", conditions=("one", "two"), feedback="More", tags=("tests",))
    outbox.add(one, about.bundle.fields | {b"raw": b"\xff\x00"})
    assert outbox.find(one.decision_id) == one
    assert outbox.fields(one.decision_id) == about.bundle.fields | {b"raw": b"\xff\x00"}
    assert outbox.entries() == [one]
    assert outbox.find("another") is None
    assert outbox.fields("another") == {}


def test_one_decision_a_gate_is_on_its_way(outbox: Outbox) -> None:
    about = gate()
    first = put(outbox, about)
    with pytest.raises(AlreadyQueuedError, match="still queued") as refused:
        put(outbox, about)
    assert refused.value.entry == first
    claimed(outbox)
    with pytest.raises(AlreadyQueuedError, match="still sending"):
        put(outbox, about)
    settle(outbox, first, OutboxState.CONFLICT, Cause.CHANGED)
    second = put(outbox, about)
    assert [one.decision_id for one in outbox.entries()] == [first.decision_id, second.decision_id]


def test_rows_are_claimed_in_their_order_and_once(outbox: Outbox) -> None:
    rows = [put(outbox) for _ in range(5)]
    first = [one.entry.decision_id for one in outbox.claim(NOW, 3)]
    assert first + claimed(outbox) == [one.decision_id for one in rows]
    assert claimed(outbox) == []
    assert {one.attempts for one in outbox.entries()} == {1}


def test_a_held_row_is_not_claimed_before_its_time(outbox: Outbox) -> None:
    held, due = put(outbox, hold=60), put(outbox)
    assert held.held_until is not None
    assert claimed(outbox, time.time()) == [due.decision_id]
    assert outbox.claim(time.time(), 1, held.decision_id) == []
    settle(outbox, due, OutboxState.DELIVERED)
    assert outbox.next_due() == pytest.approx(held.held_until.timestamp(), abs=1)
    outbox.withdraw(held.decision_id)
    assert outbox.next_due() is None


def test_a_hold_can_be_ended(outbox: Outbox) -> None:
    first, second = put(outbox, hold=60), put(outbox, hold=60)
    outbox.release(second.decision_id)
    assert claimed(outbox, time.time()) == [second.decision_id]
    outbox.release()
    assert claimed(outbox, time.time()) == [first.decision_id]


def test_what_was_sent_cannot_be_taken_back(outbox: Outbox) -> None:
    one = put(outbox)
    claimed(outbox)
    for reached in (OutboxState.SENDING, OutboxState.UNKNOWN, OutboxState.DELIVERED):
        if reached is not OutboxState.SENDING:
            settle(outbox, one, reached)
        with pytest.raises(NotWithdrawableError):
            outbox.withdraw(one.decision_id)
        outbox.close(one.decision_id)
        assert state(outbox, one) is reached
    with pytest.raises(NotWithdrawableError):
        outbox.withdraw("no such decision")


@pytest.mark.parametrize("answer", [OutboxState.CONFLICT, OutboxState.EXPIRED, OutboxState.REFUSED])
def test_what_could_not_be_delivered_waits_for_an_answer(outbox: Outbox, answer: OutboxState) -> None:
    ways = [put(outbox) for _ in range(3)]
    claimed(outbox)
    for one in ways:
        settle(outbox, one, answer, Cause.GONE)
    outbox.withdraw(ways[0].decision_id)
    outbox.close(ways[1].decision_id)
    assert outbox.retry(ways[2].decision_id) == 1
    assert [state(outbox, one) for one in ways] == [None, None, OutboxState.QUEUED]
    again = outbox.find(ways[2].decision_id)
    assert again is not None
    assert (again.cause, again.problem, again.theirs) == (Cause.NONE, "", None)


def test_only_refused_rows_are_tried_again_by_themselves(outbox: Outbox) -> None:
    refused, conflict = put(outbox), put(outbox)
    claimed(outbox)
    settle(outbox, refused, OutboxState.REFUSED, Cause.REFUSED)
    settle(outbox, conflict, OutboxState.CONFLICT, Cause.CHANGED)
    assert outbox.retry() == 1
    assert (state(outbox, refused), state(outbox, conflict)) == (OutboxState.QUEUED, OutboxState.CONFLICT)
    assert outbox.retry("no such decision") == 0


def test_a_tenant_that_is_allowed_again_gets_back_what_it_was_refused_for_that_alone(outbox: Outbox) -> None:
    stranded = put(outbox)
    assert outbox.refuse_queued(Cause.NOT_ALLOWED, "Not on the list.") == 1
    refused = put(outbox)
    claimed(outbox)
    settle(outbox, refused, OutboxState.REFUSED, Cause.REFUSED)
    assert outbox.readmit() == 1
    assert (state(outbox, stranded), state(outbox, refused)) == (OutboxState.QUEUED, OutboxState.REFUSED)
    found = outbox.find(stranded.decision_id)
    assert found is not None
    assert (found.cause, found.problem) == (Cause.NONE, "")
    assert outbox.readmit() == 0


def test_what_another_decision_was_faster_than_says_so_once_its_tenant_is_allowed_again(outbox: Outbox) -> None:
    about = gate()
    first = put(outbox, about)
    outbox.refuse_queued(Cause.NOT_ALLOWED, "Not on the list.")
    second = put(outbox, about)
    for again in (outbox.readmit, outbox.readmit, outbox.retry):
        assert again() == 0
        found = outbox.find(first.decision_id)
        assert found is not None
        assert (found.state, found.cause) == (OutboxState.REFUSED, Cause.OVERTAKEN)
        assert "Another decision of yours about this gate was on its way" in found.problem
        assert found.can_be_withdrawn
    outbox.withdraw(second.decision_id)
    assert outbox.retry() == 0  # nobody has asked for it
    assert outbox.retry(first.decision_id) == 1
    assert state(outbox, first) is OutboxState.QUEUED


def test_of_two_that_waited_for_their_tenant_the_later_counts(outbox: Outbox) -> None:
    about, other = gate(), put(outbox)
    first = put(outbox, about)
    outbox.refuse_queued(Cause.NOT_ALLOWED, "Not on the list.")
    second = put(outbox, about)
    outbox.refuse_queued(Cause.NOT_ALLOWED, "Not on the list.")
    assert outbox.readmit() == 2
    assert [state(outbox, one) for one in (other, second)] == [OutboxState.QUEUED] * 2
    found = outbox.find(first.decision_id)
    assert found is not None
    assert (found.state, found.cause) == (OutboxState.REFUSED, Cause.OVERTAKEN)


def test_a_refused_login_is_noted_on_what_is_queued_alone_and_once(outbox: Outbox) -> None:
    sent, unknown = put(outbox), put(outbox)
    claimed(outbox)
    settle(outbox, sent, OutboxState.CONFLICT, Cause.GONE)
    settle(outbox, unknown, OutboxState.UNKNOWN)
    queued = put(outbox)

    def told() -> list[tuple[Cause, str]]:
        return [(one.cause, one.problem) for one in outbox.entries()]

    plain = told()
    assert not outbox.note_login("")
    assert outbox.note_login("Wrong password.")
    assert not outbox.note_login("Wrong password.")
    assert told() == [*plain[:2], (Cause.CREDENTIALS, "Wrong password.")]
    assert outbox.note_login("The keyring is locked.")
    assert told() == [*plain[:2], (Cause.CREDENTIALS, "The keyring is locked.")]
    assert outbox.note_login("")
    assert told() == plain
    assert claimed(outbox) == [unknown.decision_id, queued.decision_id]


def test_a_refused_login_changes_nothing_about_what_may_have_been_written(outbox: Outbox) -> None:
    one = put(outbox)
    claimed(outbox)
    settle(outbox, one, OutboxState.UNKNOWN)
    claimed(outbox)
    settle(outbox, one, OutboxState.QUEUED, Cause.CREDENTIALS)
    found = outbox.find(one.decision_id)
    assert found is not None
    assert (found.state, found.cause, found.can_be_withdrawn) == (OutboxState.UNKNOWN, Cause.NONE, False)


def test_a_retry_never_puts_two_of_a_gate_on_their_way(outbox: Outbox) -> None:
    about = gate()
    first = put(outbox, about)
    claimed(outbox)
    settle(outbox, first, OutboxState.REFUSED, Cause.REFUSED)
    second = put(outbox, about)
    assert outbox.retry() == 0
    assert (state(outbox, first), state(outbox, second)) == (OutboxState.REFUSED, OutboxState.QUEUED)


def test_who_was_faster_is_kept(outbox: Outbox) -> None:
    one = put(outbox)
    theirs = Decided(one.request_id, "rejected", "d", "other@example.org", "No", ("c",), one.decision.decided_at)
    claimed(outbox)
    outbox.settle([Outcome(one.decision_id, OutboxState.CONFLICT, Cause.DECIDED, "told", theirs)], NOW)
    found = outbox.find(one.decision_id)
    assert found is not None
    assert (found.theirs, found.problem, found.cause) == (theirs, "told", Cause.DECIDED)


def test_a_row_that_was_not_sent_can_be_undone_again(outbox: Outbox) -> None:
    one = put(outbox)
    claimed(outbox)
    outbox.settle([Outcome(one.decision_id, OutboxState.QUEUED, problem="away")], NOW)
    found = outbox.find(one.decision_id)
    assert found is not None
    assert (found.state, found.attempts, found.problem) == (OutboxState.QUEUED, 0, "away")
    outbox.withdraw(one.decision_id)


def test_a_row_that_may_have_been_sent_before_stays_unknown(outbox: Outbox) -> None:
    one = put(outbox)
    claimed(outbox)
    settle(outbox, one, OutboxState.UNKNOWN)
    claimed(outbox)
    outbox.settle([Outcome(one.decision_id, OutboxState.QUEUED, problem="away")], NOW)
    assert state(outbox, one) is OutboxState.UNKNOWN


def test_a_sender_that_does_not_answer_loses_its_row_after_the_lease(outbox: Outbox) -> None:
    one = put(outbox)
    claimed(outbox)
    assert claimed(outbox, NOW + LEASE - 0.1) == []
    assert outbox.next_due() == NOW + LEASE
    assert claimed(outbox, NOW + LEASE) == [one.decision_id]


def test_a_sender_that_has_ended_loses_its_row_at_once(connection: apsw.Connection, outbox: Outbox) -> None:
    one = put(outbox)
    claimed(outbox)
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    host = os.uname().nodename
    connection.execute("UPDATE outbox SET sender = ?", (f"{host} {int(gone.stdout)} 0",))
    assert claimed(outbox) == [one.decision_id]


@pytest.mark.parametrize("sender", ["elsewhere 1 0", f"{os.uname().nodename} {os.getppid()} 0"])
def test_a_sender_that_lives_or_cannot_be_asked_keeps_its_row(
    connection: apsw.Connection, outbox: Outbox, sender: str
) -> None:
    put(outbox)
    claimed(outbox)
    connection.execute("UPDATE outbox SET sender = ?", (sender,))
    assert claimed(outbox) == []


def test_delivered_rows_are_kept_for_thirty_days(outbox: Outbox) -> None:
    one, other = put(outbox), put(outbox)
    claimed(outbox)
    settle(outbox, one, OutboxState.DELIVERED)
    assert DELIVERED_KEPT == 30 * 24 * 3600
    assert [row.decision_id for row in outbox.entries()] == [other.decision_id]
    assert {row.decision_id for row in outbox.entries(NOW)} == {one.decision_id, other.decision_id}
    outbox.forget_old(NOW + DELIVERED_KEPT - 1)
    assert state(outbox, one) is OutboxState.DELIVERED
    outbox.forget_old(NOW + DELIVERED_KEPT + 1)
    assert state(outbox, one) is None
    assert state(outbox, other) is OutboxState.SENDING


def test_what_a_row_is_about_goes_with_it(connection: apsw.Connection, outbox: Outbox) -> None:
    delivered, answered, taken_back, stays = (put(outbox) for _ in range(4))
    outbox.withdraw(taken_back.decision_id)
    claimed(outbox)
    settle(outbox, delivered, OutboxState.DELIVERED)
    settle(outbox, answered, OutboxState.CONFLICT, Cause.DECIDED)
    outbox.close(answered.decision_id)
    outbox.forget_old(NOW + DELIVERED_KEPT + 1)
    left = connection.execute("SELECT decision FROM outbox_contents").fetchall()
    assert left == [(pack(stays.decision),)]


def test_what_another_run_of_the_server_confirmed_is_looked_at_again(outbox: Outbox) -> None:
    one, other = put(outbox), put(outbox)
    claimed(outbox)
    for row in (one, other):
        settle(outbox, row, OutboxState.DELIVERED, history_id="first")
    assert outbox.delivered_under_another("first") == []
    assert outbox.delivered_under_another("second") == [one.decision_id, other.decision_id]
    outbox.confirm([one.decision_id, other.decision_id], "second")
    outbox.forgotten([other.decision_id])
    assert outbox.delivered_under_another("second") == []
    assert claimed(outbox) == [other.decision_id]


def test_what_was_forgotten_gives_way_to_a_newer_decision(outbox: Outbox) -> None:
    about = gate()
    one = put(outbox, about)
    claimed(outbox)
    settle(outbox, one, OutboxState.DELIVERED)
    put(outbox, about)
    outbox.forgotten([one.decision_id])
    assert state(outbox, one) is OutboxState.DELIVERED


def test_a_row_that_cannot_be_read_costs_no_other(connection: apsw.Connection, outbox: Outbox) -> None:
    rows = [put(outbox) for _ in range(6)]
    broken = {
        "decision": b"\x91" * 100_000,
        "gate": b"\xc1",
        "fields": b"\x81\xc1",
        "request_id": "another gate",
        "cause": "no cause",
    }
    for one, (column, value) in zip(rows, broken.items(), strict=False):
        table = "outbox_contents" if column in CONTENTS else "outbox"
        of_it = "seq = (SELECT seq FROM outbox WHERE decision_id = ?)"
        statement = f"UPDATE {table} SET {column} = ? WHERE {of_it}"  # noqa: S608 - names of this test's
        connection.execute(statement, (value, one.decision_id))
    assert outbox.unreadable() == 4
    assert claimed(outbox) == [rows[5].decision_id]
    assert claimed(outbox) == []
    assert outbox.next_due() == NOW + LEASE
    # Those of which enough is left are put to the reviewer.
    assert [row.decision_id for row in outbox.entries()] == [rows[place].decision_id for place in (2, 4, 5)]
    assert outbox.find(rows[2].decision_id).cause is Cause.DAMAGED  # type: ignore[union-attr]  # it is there
    assert connection.execute("SELECT count(*) FROM outbox").fetchone() == (6,)
    put(outbox, gate(request_id=rows[0].request_id))


def test_two_processes_share_the_rows(home_of_two: tuple[Outbox, Outbox]) -> None:
    ours, theirs = home_of_two
    rows = [put(ours if number % 2 else theirs) for number in range(20)]
    taken = []
    for number in range(20):
        taken += [one.entry.decision_id for one in (ours if number % 3 else theirs).claim(NOW, 1)]
    assert sorted(taken) == sorted(one.decision_id for one in rows)


@pytest.fixture
def home_of_two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Outbox, Outbox]]:
    folder = tmp_path_factory.mktemp("two")
    wanted = settings(folder, key_file=key_file(folder))
    with opened(wanted) as first, opened(wanted) as second:
        version = first.version()
        add(second, "seen by both")
        assert first.version() != version
        second.outbox.withdraw(second.outbox.entries()[0].decision_id)
        yield first.outbox, second.outbox
