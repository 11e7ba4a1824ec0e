"""Rows in an order.

Rows lie in the memory as they came. To look at 100,000 of them in any other order takes several times as long, so
sorting begins with the rows as they came, and a merge looks at the fresh ones alone.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, MutableSequence
from functools import partial
from operator import attrgetter
from typing import Any

from hitl_desktop.viewmodels.rows import Order, Row

_MANY = 4
"""From one fresh row for so many on, sorting all is cheaper than looking for their places."""


_by_waiting = attrgetter("requested")
_KEYS: dict[Order, Callable[[Row], Any]] = {
    Order.WAITING: _by_waiting,
    Order.NEWEST: attrgetter("newest"),
    Order.EXPIRY: attrgetter("expires", "requested"),
    Order.TYPE: attrgetter("type_rank", "requested"),
}
_FIRST_KEYS: dict[Order, Callable[[Row], Any]] = {
    Order.EXPIRY: attrgetter("expires"),
    Order.TYPE: attrgetter("type_rank"),
}


class Ranked:
    """Rows in an order; `rows` come in any."""

    def __init__(self, rows: Iterable[Row] = (), order: Order = Order.WAITING) -> None:
        self.order = order
        self.rows = _arranged(rows, order)
        self._key = _KEYS[order]
        self._ranks: MutableSequence[Any] | None = None
        """The ranks of all rows, side by side; None if they are not known at present."""

    def __len__(self) -> int:
        return len(self.rows)

    def only(self, some: list[Row]) -> "Ranked":
        """Return `some` of these rows, in the same order."""
        if len(some) < len(self.rows):
            return Ranked(some, self.order)
        every = Ranked(order=self.order)
        every.rows = self.rows.copy()
        return every

    def rank(self, row: Row) -> Any:
        """Return what `row` is sorted by."""
        return self._key(row)

    def place_of(self, row: Row) -> int:
        """Return where `row` stands; -1 if it does not."""
        rank = self._key(row)
        first = bisect_left(self.rows, rank, key=self._key)
        try:
            return self.rows.index(row, first, bisect_right(self.rows, rank, first, key=self._key))
        except ValueError:
            return -1

    def place_for(self, row: Row) -> int:
        """Return where `row` belongs: behind all of its rank."""
        return bisect_right(self.rows, self._key(row), key=self._key)

    def insert(self, place: int, row: Row) -> None:
        """Put `row` in, at the place for it."""
        self.rows.insert(place, row)
        self._ranks = None

    def remove(self, place: int) -> None:
        """Take out the row at `place`."""
        del self.rows[place]
        self._ranks = None

    def settle(self, first: int) -> None:
        """Take the rows from `first` on, which were put at the end, to the places for them."""
        fresh = _arranged(self.rows[first:], self.order)
        if len(fresh) * _MANY > first:
            self.rows = _arranged(self.rows, self.order)
            self._ranks = None
            return
        ranks = self._ranks if self._ranks is not None else self._ranks_of(self.rows[:first])
        ranks.extend(self._ranks_of(fresh))
        self._ranks = ranks
        # From the end on, each stretch between the places of two fresh rows moves up by as many as are before it.
        upto = first
        for left in range(len(fresh), 0, -1):
            row = fresh[left - 1]
            rank = self._key(row)
            place = bisect_right(ranks, rank, 0, upto)
            self.rows[place + left : upto + left] = self.rows[place:upto]
            ranks[place + left : upto + left] = ranks[place:upto]
            self.rows[place + left - 1] = row
            ranks[place + left - 1] = rank
            upto = place

    def _ranks_of(self, rows: list[Row]) -> MutableSequence[Any]:
        ranks = map(self._key, rows)
        return list(ranks) if self.order in _FIRST_KEYS else array("d", ranks)


def _arranged(rows: Iterable[Row], order: Order) -> list[Row]:
    """Return `rows` sorted by `order`; a sort by two ranks sorts each lot of the same first rank by the second."""
    first_key = _FIRST_KEYS.get(order)
    if first_key is None:
        return sorted(rows, key=_KEYS[order])
    lots: defaultdict[Any, tuple[list[Row], list[float]]] = defaultdict(lambda: ([], []))
    for row in rows:
        lot, ranks = lots[first_key(row)]
        lot.append(row)
        ranks.append(row.requested)
    found: list[Row] = []
    for first_rank in sorted(lots):
        lot, ranks = lots[first_rank]
        # A sort asks for each row's key once, in the order of the rows: these were read when the row was at hand.
        lot.sort(key=partial(next, iter(ranks)))
        found += lot
    return found
