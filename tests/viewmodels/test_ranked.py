"""Rows in an order, against sorting them all: however they come, each stands where a plain sort puts it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitl_desktop.domain.evidence import EvidenceBundle
from hitl_desktop.domain.gate import Gate, GateStatus
from hitl_desktop.viewmodels.ranked import Ranked
from hitl_desktop.viewmodels.rows import Order, Row

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
BUNDLE = EvidenceBundle("b", "", (), {})


def row(minute: int, gate_type: str, left: int | None) -> Row:
    expires = None if left is None else NOW + timedelta(minutes=left)
    asked = NOW - timedelta(minutes=minute)
    return Row(Gate("r", "t", "s", gate_type, GateStatus.PENDING, "b", "a", asked, BUNDLE, expires))


rows = st.builds(row, st.integers(0, 9), st.sampled_from(["code", "design", "odd"]), st.sampled_from([None, 5, 60]))
# A few rows among many: these are merged, where a few among few are sorted anew.
loads = st.lists(st.lists(rows, max_size=4), min_size=1, max_size=4)


def ranks(ranked: Ranked) -> list[Any]:
    return [ranked.rank(each) for each in ranked.rows]


@given(st.lists(rows, min_size=40, max_size=60), loads, st.sampled_from(Order))
def test_rows_that_come_in_several_loads_stand_as_if_all_were_sorted(
    known: list[Row], fresh: list[list[Row]], order: Order
) -> None:
    ranked = Ranked(known, order)
    for load in fresh:
        first = len(ranked)
        ranked.rows.extend(load)
        ranked.settle(first)
        assert ranks(ranked) == sorted(ranks(ranked))
        assert [ranked.place_of(each) for each in ranked.rows] == list(range(len(ranked)))
    came = [*known, *(each for load in fresh for each in load)]
    assert sorted(map(id, ranked.rows)) == sorted(map(id, came))


@given(st.lists(rows, min_size=40, max_size=60), st.lists(rows, min_size=1, max_size=4), st.sampled_from(Order))
def test_a_load_finds_its_places_also_after_rows_came_and_went_alone(
    known: list[Row], fresh: list[Row], order: Order
) -> None:
    ranked = Ranked(known, order)
    for each in fresh[1:]:
        ranked.insert(ranked.place_for(each), each)
        ranked.rows.append(fresh[0])
        ranked.settle(len(ranked) - 1)
        ranked.remove(ranked.place_of(fresh[0]))
        ranked.remove(0)
        assert ranks(ranked) == sorted(ranks(ranked))
    assert len(ranked) == len(known)


@given(st.lists(rows, min_size=1, max_size=60), st.sampled_from(Order), st.sampled_from([1, 2, 3, 9]))
def test_some_of_the_rows_keep_their_order(known: list[Row], order: Order, every: int) -> None:
    ranked, some = Ranked(known, order), known[::every]
    picked = ranked.only(some)
    assert ranks(picked) == sorted(ranks(picked))
    assert sorted(map(id, picked.rows)) == sorted(map(id, some))


@pytest.mark.parametrize("order", [Order.WAITING, Order.TYPE, Order.EXPIRY])
def test_of_one_rank_what_waits_longest_is_first(order: Order) -> None:
    some = [row(minute, "code", 5) for minute in (3, 7, 1, 9)]
    assert [each.requested for each in Ranked(some, order).rows] == sorted(each.requested for each in some)


def test_a_row_that_is_not_there_has_no_place() -> None:
    assert Ranked([row(1, "code", None)]).place_of(row(1, "code", None)) == -1
