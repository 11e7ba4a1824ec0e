"""Files that can no longer be used: what a reviewer wrote comes out of them, and nothing twice."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import keyring
import pytest

from hitl_desktop.domain.decision import Draft
from hitl_desktop.domain.outbox import OutboxState, decisions
from hitl_desktop.settings import Settings
from hitl_desktop.store import database as databases
from hitl_desktop.store import rescue
from hitl_desktop.store.database import open_database
from hitl_desktop.store.evidence import Kept
from hitl_desktop.store.outbox import Outcome
from hitl_desktop.store.outbox_rows import pack
from hitl_desktop.store.schema import MIGRATIONS
from hitl_desktop.store.tenant_store import open_store
from tests.environments import key_file
from tests.stores import (
    NAMES,
    PAGE,
    add,
    bundle_fields,
    data_key,
    database,
    entry,
    flip,
    gate,
    moved,
    opened,
    settings,
    summaries,
)


def test_a_file_of_a_newer_version_gives_its_decisions(wanted: Settings) -> None:
    with opened(wanted) as store:
        add(store, "first", "second")
        store.drafts.keep({"request": Draft("half a sentence")})
        store._connection.pragma("user_version", len(MIGRATIONS) + 1)
    with opened(wanted) as store:
        assert "newer version" in store.notice
        assert "2 decisions" in store.notice
        assert summaries(store) == ["first", "second"]
        assert store.drafts.all() == {"request": Draft("half a sentence")}
    assert moved(wanted, "newer")


def test_what_can_be_read_of_a_damaged_outbox_is_saved(wanted: Settings) -> None:
    names = [f"decision {number}" for number in range(60)]
    with opened(wanted) as store:
        add(store, *names, size=1_000)
        store.drafts.keep({"request": Draft("half a sentence")})
        pages = store._connection.pragma("page_count")
    # What the rows are about lies in the file's middle; the schema in its first page.
    flip(database(wanted), int(pages) * PAGE // 3 + 7, int(pages) * PAGE // 2 + 7)
    with opened(wanted) as store:
        saved = summaries(store)
        assert 50 <= len(saved) < 60
        assert saved == [name for name in names if name in saved]
        assert f"the outbox has {decisions(len(saved))} from it" in store.notice
        assert store.drafts.all() == {"request": Draft("half a sentence")}
    with opened(wanted) as store:
        assert summaries(store) == saved
        assert store.notice == ""


async def test_damaged_evidence_of_a_decision_is_found_as_it_is_sent(wanted: Settings) -> None:
    names = [f"decision {number}" for number in range(60)]
    with opened(wanted) as store:
        add(store, *names, size=9_000)
        pages = store._connection.pragma("page_count")
    flip(database(wanted), int(pages) * PAGE // 3 + 7, int(pages) * PAGE // 2 + 7)
    async with open_store(wanted, NAMES) as disk:
        claimed = await disk(lambda store: store.outbox.claim(0.0, 100))
        assert 57 <= len(claimed) < 60
        assert disk.openings == 2
        assert f"the outbox has {decisions(len(claimed))} from it" in disk.notice


def test_decisions_whose_state_is_lost_are_saved_as_ones_that_may_have_been_sent(wanted: Settings) -> None:
    names = [f"decision {number}" for number in range(60)]
    with opened(wanted) as store:
        rows = add(store, *names)
        ((root,),) = store._connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'outbox'")
    flip(database(wanted), (int(root) - 1) * PAGE + 7)
    with opened(wanted) as store:
        saved = store.outbox.entries()
        assert [(one.decision, one.gate) for one in saved] == [(one.decision, one.gate) for one in rows]
        assert {(one.state, one.attempts) for one in saved} == {(OutboxState.UNKNOWN, 1)}
        assert not any(one.can_be_withdrawn for one in saved)
        assert len(store.outbox.claim(0.0, 100)) == 60


def test_a_damaged_file_of_the_first_version_is_read_as_well(wanted: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(wanted):
        pass
    path = database(wanted)
    path.unlink()
    rows, large = [entry() for _ in range(60)], pack({b"blob": b"x" * 2_000})
    with monkeypatch.context() as patched:
        patched.setattr(databases, "MIGRATIONS", MIGRATIONS[:1])
        with closing(open_database(path, data_key(wanted))) as connection:
            connection.executemany(
                "INSERT INTO outbox(decision_id, request_id, state, decision, gate, fields, device) "
                "VALUES (?, ?, 'queued', ?, ?, ?, 'here')",
                [(one.decision_id, one.request_id, pack(one.decision), pack(one.gate), large) for one in rows],
            )
            pages = int(connection.pragma("page_count"))
    flip(path, pages // 2 * PAGE + 7)
    with opened(wanted) as store:
        saved = store.outbox.entries()
        assert 50 <= len(saved) < 60
        assert {one.state for one in saved} == {OutboxState.QUEUED}
        assert f"the outbox has {decisions(len(saved))} from it" in store.notice


async def test_damage_far_from_the_outbox_is_found_as_it_is_met(wanted: Settings) -> None:
    with opened(wanted) as store:
        add(store, "on its way")
        for number in range(40):
            kept = Kept(bundle_fields(blob="x" * 9_000), "digest", {})
            store.evidence.put(f"request-{number}", "bundle", kept, "A title", ["text " * 1_000])
        pages = int(store._connection.pragma("page_count"))
    path = database(wanted)
    flip(path, *(page * PAGE + 7 for page in range(pages // 2, pages)))
    with opened(wanted) as store:
        assert store.notice == ""
    async with open_store(wanted, NAMES) as disk:
        assert (
            await disk(lambda store: [store.evidence.find(f"request-{number}") for number in range(40)]) == [None] * 40
        )
        assert disk.openings == 2
        assert "the outbox has 1 decision from it" in disk.notice
        assert await disk(summaries) == ["on its way"]
    assert moved(wanted, "damaged")


def test_a_key_that_comes_back_brings_its_decisions(home: Path) -> None:
    first, second = (settings(home / "state", key_file=key_file(home, name)) for name in ("first", "second"))
    with opened(first) as store:
        add(store, "under the first")
        delivered = add(store, "delivered")[0]
        store.outbox.settle([Outcome(delivered.decision_id, OutboxState.DELIVERED)], 0.0)
    with opened(second) as store:
        assert "HITL_KEY_FILE" in store.notice
        add(store, "under the second")
    with opened(first) as store:
        assert summaries(store) == ["under the first"]
        assert "The outbox has 1 decision again, from a file that had been moved aside" in store.notice
        add(store, "later")
    with opened(second) as store:
        assert summaries(store) == ["under the second"]
    with opened(first) as store:
        assert summaries(store) == ["under the first", "later"]


def test_a_keyring_that_comes_back_brings_its_decisions(home: Path, secret_service: str) -> None:
    wanted = settings(home / "state")
    with opened(wanted) as store:
        add(store, "under the first")
    where = NAMES.data_key_entry((wanted.stores_dir / "store-id").read_text().strip())
    first = keyring.get_password(*where)
    assert first is not None
    keyring.delete_password(*where)
    with opened(wanted) as store:
        assert "key of what was kept of this tenant is gone" in store.notice
        add(store, "under the second")
    second = keyring.get_password(*where)
    assert second is not None
    keyring.set_password(*where, first)
    with opened(wanted) as store:
        assert summaries(store) == ["under the first"]
        assert keyring.get_password(*where) == first
    keyring.set_password(*where, second)
    with opened(wanted) as store:
        assert summaries(store) == ["under the second"]


def test_what_was_answered_meanwhile_does_not_come_back(wanted: Settings) -> None:
    with opened(wanted) as store:
        add(store, "withdrawn later", "kept")
        store._connection.pragma("user_version", len(MIGRATIONS) + 1)
    with opened(wanted) as store:
        store.outbox.withdraw(store.outbox.entries()[0].decision_id)
    with opened(wanted) as store:
        assert summaries(store) == ["kept"]


def test_a_second_decision_about_the_same_gate_is_put_to_the_reviewer(wanted: Settings, home: Path) -> None:
    about = gate("Retry")
    old, new = entry(about, reason="Then"), entry(about, reason="Now")
    with opened(wanted) as store:
        store.outbox.add(old, about.bundle.fields)
    left = rescue.read_what_is_left(database(wanted), data_key(wanted))
    with opened(wanted) as store:
        store.outbox.withdraw(old.decision_id)
        store.outbox.add(new, about.bundle.fields)
        assert store.take_in(left) == 1
        rows = {one.decision.reason: one for one in store.outbox.entries()}
        assert rows["Now"].state is OutboxState.QUEUED
        assert rows["Then"].state is OutboxState.REFUSED
        assert "again since" in rows["Then"].problem
        assert store.take_in(left) == 0


def test_a_held_decision_stays_held_over_damage(wanted: Settings) -> None:
    about = gate("Retry")
    with opened(wanted) as store:
        store.outbox.add(entry(about, hold=600), about.bundle.fields)
        store._connection.pragma("user_version", len(MIGRATIONS) + 1)
    with opened(wanted) as store:
        held = store.outbox.entries()[0].held_until
    assert held is not None
    assert held - datetime.now(UTC) > timedelta(seconds=500)
