"""The gates of one tenant as the server last told them, and the changes as they come."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from hitl_desktop.domain.gate import Gate, GateStatus, Quarantined, Record
from hitl_desktop.domain.outbox import OutboxEntry, OutboxState


class Clash(NamedTuple):
    """Two decisions about one gate: the orchestrator's own way of deciding is not atomic (wire.md, faults, 3)."""

    request_id: str
    summary: str
    ours: str
    theirs: str


class Change(NamedTuple):
    """What came or went, once.

    `gates` are new or newer; `quarantined` likewise, by key; `gone` are the request ids and keys that left.
    `decisions` are the gates whose own decision in the outbox came, moved on, or (None) is no longer there.
    `missed_restarts` are tasks whose agents have not started again after a rejection. `bulk` marks the pages of a load,
    which may be shown a little later.
    """

    gates: tuple[Gate, ...] = ()
    quarantined: tuple[Quarantined, ...] = ()
    gone: tuple[str, ...] = ()
    clashes: tuple[Clash, ...] = ()
    missed_restarts: tuple[str, ...] = ()
    decisions: tuple[tuple[str, OutboxEntry | None], ...] = ()
    bulk: bool = False


class GateBook:
    """What the server last told. Only the inbound side writes it; rows never change from here."""

    def __init__(self, key_of: Callable[[str], str]) -> None:
        self._key_of = key_of
        self._gates: dict[str, Gate] = {}
        self._pending: set[str] = set()
        self._quarantined: dict[str, Quarantined] = {}
        self._decisions: dict[str, OutboxEntry] = {}
        self._states: Counter[OutboxState] = Counter()
        self._followers: list[Callable[[Change], None]] = []
        self.revision = 0
        """How often gates came, changed or went."""

    @property
    def decisions(self) -> Mapping[str, OutboxEntry]:
        """The reviewer's own decision about each gate, as far as the outbox has one."""
        return self._decisions

    @property
    def decision_counts(self) -> Mapping[OutboxState, int]:
        """How many of the reviewer's own decisions are in each state."""
        return self._states

    @property
    def gates(self) -> Mapping[str, Gate]:
        """Every gate known, by request id."""
        return self._gates

    @property
    def quarantined(self) -> Mapping[str, Quarantined]:
        """Every record that could not be read, by its key."""
        return self._quarantined

    def follow(self, follower: Callable[[Change], None], *, replay: bool = True) -> None:
        """Call `follower` with all there is, unless `replay` is False, and then with every change."""
        self._followers.append(follower)
        if not replay:
            return
        if self._gates or self._quarantined or self._decisions:
            gates, quarantined = tuple(self._gates.values()), tuple(self._quarantined.values())
            follower(Change(gates, quarantined, decisions=tuple(self._decisions.items()), bulk=True))

    def unfollow(self, follower: Callable[[Change], None]) -> None:
        """Call `follower` no more."""
        self._followers.remove(follower)

    @property
    def pending_ids(self) -> AbstractSet[str]:
        """The ids of the gates that wait, as far as is known."""
        return self._pending

    def put(
        self, records: Iterable[tuple[str, Record]], *, bulk: bool = False, clashes: tuple[Clash, ...] = ()
    ) -> None:
        """Enter records by their request ids; a gate and a quarantined record replace each other."""
        gates: list[Gate] = []
        quarantined: list[Quarantined] = []
        gone: list[str] = []
        for request_id, record in records:
            if isinstance(record, Gate):
                known = self._gates.get(request_id)
                self._gates[request_id] = record
                if known is not None and _is_same(known, record):
                    continue
                if record.status is GateStatus.PENDING:
                    self._pending.add(request_id)
                else:
                    self._pending.discard(request_id)
                gates.append(record)
                if self._quarantined and (healed := self._quarantined.pop(self._key_of(request_id), None)) is not None:
                    gone.append(healed.key)
            elif self._quarantined.get(record.key) != record:
                self._quarantined[record.key] = record
                quarantined.append(record)
                self._pending.discard(request_id)
                if self._gates.pop(request_id, None):
                    gone.append(request_id)
        self.revision += bool(gates or gone)
        if gates or quarantined or gone or clashes:
            self._tell(Change(tuple(gates), tuple(quarantined), tuple(gone), clashes, bulk=bulk))

    def show_decisions(self, entries: Iterable[OutboxEntry], gone: Iterable[str]) -> None:
        """Take in rows of the outbox, and the gates whose row is gone from it.

        A delivered row is the server's word, too: its gate is decided.
        """
        gates: list[Gate] = []
        names: dict[str, None] = {}
        for request_id in gone:
            if (left := self._decisions.pop(request_id, None)) is not None:
                self._states[left.state] -= 1
                names[request_id] = None
        for entry in entries:
            known = self._decisions.get(entry.request_id)
            if known is None or known.decision_id == entry.decision_id or not known.state.is_open:
                if known is not None:
                    self._states[known.state] -= 1
                self._states[entry.state] += 1
                self._decisions[entry.request_id] = entry
                names[entry.request_id] = None
                gate = self._gates.get(entry.request_id)
                if gate is not None and entry.state is OutboxState.DELIVERED and gate.status is GateStatus.PENDING:
                    self._gates[entry.request_id] = decided = entry.decided(gate)
                    self._pending.discard(entry.request_id)
                    gates.append(decided)
        self.revision += bool(gates)
        if names:
            self._tell(Change(tuple(gates), decisions=tuple((name, self._decisions.get(name)) for name in names)))

    def drop_quarantined_gates(self, *, but: Iterable[str]) -> None:
        """Take out the quarantined gates, except those whose request ids are in `but`. Quarantined events stay."""
        if not self._quarantined:
            return
        a_gate, kept = self._key_of(""), set(but)
        gone = [key for key in self._quarantined if key.startswith(a_gate) and key.removeprefix(a_gate) not in kept]
        for key in gone:
            del self._quarantined[key]
        if gone:
            self._tell(Change(gone=tuple(gone)))

    def report(self, *, missed_restarts: tuple[str, ...]) -> None:
        """Tell of tasks whose agents have not started again, if there are any."""
        if missed_restarts:
            self._tell(Change(missed_restarts=missed_restarts))

    def _tell(self, change: Change) -> None:
        for follower in self._followers:
            follower(change)


_BUNDLE = Gate._fields.index("bundle")


def _is_same(known: Gate, record: Gate) -> bool:
    """Whether the list has nothing new to show: what was cached has no evidence, and is the same gate all the same."""
    if known.bundle.items is not None:
        return known == record
    listed = slice(0, _BUNDLE), slice(_BUNDLE + 1, None)
    return known.bundle[:2] == record.bundle[:2] and all(known[part] == record[part] for part in listed)
