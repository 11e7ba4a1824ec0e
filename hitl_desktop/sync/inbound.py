"""Inbound: what the server has, into the book. A thin loop over plain bookkeeping."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from random import Random

from hitl_desktop.domain.decision import Decided
from hitl_desktop.domain.event import Event, EventType
from hitl_desktop.domain.gate import Gate, GateStatus, Quarantined, Record
from hitl_desktop.domain.outbox import OutboxEntry
from hitl_desktop.domain.time import parse_time
from hitl_desktop.services.errors import ServiceError, Unavailable
from hitl_desktop.services.events import Events
from hitl_desktop.services.gates import PAGE, Gates
from hitl_desktop.services.history import History
from hitl_desktop.sync.book import Clash, GateBook
from hitl_desktop.sync.cancelling import ended
from hitl_desktop.sync.collector import collector_held
from hitl_desktop.sync.monitor import Connectivity, Monitor, Phase
from hitl_desktop.sync.restarts import Restarts
from hitl_desktop.sync.schedule import RECONCILE_EVERY, backoff

_DECIDING = frozenset({EventType.GATE_APPROVED, EventType.GATE_REJECTED})
_IN_FLIGHT = 4
"""Pages asked for at a time: enough for the server to have work while the window takes in rows and paints."""
_APPLIED = 100
_BURST = 20
_GATHERED_FOR = 0.05


class Inbound:
    """Keeps one tenant's book equal to the server, through lost connections, as long as `run` runs."""

    def __init__(
        self,
        gates: Gates,
        events: Events,
        history: History,
        book: GateBook,
        monitor: Monitor,
        recover: Callable[[], Awaitable[None]],
    ) -> None:
        self._gates = gates
        self._events = events
        self._history = history
        self._book = book
        self._monitor = monitor
        self._recover = recover
        self._restarts = Restarts()
        self._writing = asyncio.Lock()
        self._retry_now = asyncio.Event()
        self._pauses = backoff(Random())  # noqa: S311 - spreads retries, guards nothing

    async def refresh(self) -> None:
        """Look at the server now: connect if it is away, else compare the whole pending set.

        Raises:
            ServiceError: it cannot be read.
        """
        if self._monitor.now.phase is Phase.ONLINE:
            await self._reconcile()
        else:
            self._retry_now.set()

    async def load(self) -> None:
        """Take in once what the server has.

        Raises:
            ServiceError: it cannot be read.
        """
        await self._recover()
        await self._load()

    async def run(self) -> None:
        """Load, then follow the events, until cancelled. `recover` is called before each connection."""
        while True:
            try:
                await self._recover()
                await self._follow()
            except Unavailable as error:  # wait and try again: the server is away
                self._monitor.tell(Connectivity(Phase.OFFLINE, str(error)))
            except ServiceError as error:  # wait and try again: its administrator may mend it
                self._monitor.tell(Connectivity(Phase.REFUSED, str(error)))
            await self._pause(next(self._pauses))

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._retry_now.wait()
        except TimeoutError:
            pass
        self._retry_now.clear()

    async def _follow(self) -> None:
        # The cursor is taken first: whatever happens during the load is read again from there.
        cursor = await self._events.newest()
        await self._load()
        self._pauses = backoff(Random())  # noqa: S311 - as above
        self._monitor.tell(Connectivity(Phase.ONLINE))
        self._book.put((entry.key, entry) for entry in await self._events.foreign())
        clock = asyncio.get_running_loop().time
        due = clock() + RECONCILE_EVERY
        while True:
            cursor, entries = await self._events.after(cursor)
            self._monitor.hear()
            for start in range(0, len(entries), _APPLIED):
                await self._apply(entries[start : start + _APPLIED])
                await asyncio.sleep(0)  # a frame may be painted
            if len(entries) > _BURST:
                # What is left of it is cheaper to read in a few large pieces than as it trickles in.
                await asyncio.sleep(_GATHERED_FOR)
            self._book.report(missed_restarts=self._restarts.missed(clock()))
            if clock() >= due:
                await self._reconcile()
                due = clock() + RECONCILE_EVERY

    async def _load(self) -> None:
        async with self._writing:
            pending = await self._gates.pending_ids()
            known = set(self._book.pending_ids)
            self._monitor.tell(Connectivity(Phase.LOADING, loaded=0, total=len(pending)))
            with collector_held():
                # What is decided and on its way is not read: the reviewer has just seen it, and will be told of it.
                on_their_way = {name: entry.gate for name in pending if (entry := self._on_its_way(name))}
                unlisted = [(name, gate) for name, gate in on_their_way.items() if name not in self._book.gates]
                for start in range(0, len(unlisted), PAGE):
                    self._book.put(unlisted[start : start + PAGE], bulk=True)
                    await asyncio.sleep(0)  # a frame may be painted
                loaded = len(on_their_way)
                async for records in self._pages([name for name in pending if name not in on_their_way]):
                    self._book.put(records, bulk=True)
                    loaded += len(records)
                    self._monitor.tell(Connectivity(Phase.LOADING, loaded=loaded, total=len(pending)))
                await self._load_decided()
            await self._read_again(known.difference(pending))
            self._book.drop_quarantined_gates(but=pending)

    def _on_its_way(self, request_id: str) -> OutboxEntry | None:
        """Return the row of the outbox whose decision about a gate is on its way, if there is one."""
        entry = self._book.decisions.get(request_id)
        return entry if entry is not None and entry.state.is_open else None

    async def _load_decided(self) -> None:
        decided = {entry.request_id: entry for entry in await self._history.recent()}
        known = self._book.gates
        missing = [name for name in decided if name not in known or known[name].status is GateStatus.PENDING]
        async for records in self._pages(missing):
            # A decided gate whose records are gone is history, not damage: it is left out.
            kept = ((name, _completed(record, decided[name])) for name, record in records if isinstance(record, Gate))
            self._book.put(kept, bulk=True)

    async def _reconcile(self) -> None:
        async with self._writing:
            await self._read_changed()

    async def _read_changed(self) -> None:
        pending = set(await self._gates.pending_ids())
        # A gate may have changed since it was decided on, which no event tells.
        conflicts = {name for name, entry in self._book.decisions.items() if entry.state.needs_answer}
        await self._read_again((pending ^ self._book.pending_ids) | (pending & conflicts))
        self._book.drop_quarantined_gates(but=pending)

    async def _read_again(self, request_ids: Iterable[str]) -> None:
        async for records in self._pages(sorted(request_ids)):
            self._book.put(records)

    async def _apply(self, entries: Sequence[Event | Quarantined]) -> None:
        async with self._writing:
            broken = [(entry.key, entry) for entry in entries if isinstance(entry, Quarantined)]
            events = [entry for entry in entries if isinstance(entry, Event)]
            request_ids = dict.fromkeys(event.request_id for event in events if event.request_id)
            clashes = tuple(clash for event in events if (clash := self._clash(event)))
            now = asyncio.get_running_loop().time()
            for event in events:
                self._restarts.note(event, now)
            deciding = {name: event for event in events if event.event_type in _DECIDING and (name := event.request_id)}
            echoes = {name: entry for name, event in deciding.items() if (entry := self._echoed(name, event))}
            self._book.put(self._outdated(echoes))
            async for records in self._pages([name for name in request_ids if name not in echoes]):
                self._book.put((name, _announced(record, deciding.get(name))) for name, record in records)
            if broken or clashes:
                self._book.put(broken, clashes=clashes)

    def _echoed(self, request_id: str, event: Event) -> OutboxEntry | None:
        """Return the row of the outbox whose delivery the event tells of, if its gate is known."""
        entry = self._book.decisions.get(request_id)
        if entry is None or event.metadata.get("decision_id") != entry.decision_id:
            return None
        return entry if request_id in self._book.gates else None

    def _outdated(self, echoes: Mapping[str, OutboxEntry]) -> Iterator[tuple[str, Gate]]:
        """Yield the gates as decided of which the book says something else, as what was read meanwhile may do.

        While a decision is on its way, its answer tells the book of it.
        """
        for request_id, entry in echoes.items():
            gate = self._book.gates[request_id]
            if not entry.state.is_open and gate.decision_id != entry.decision_id:
                yield request_id, entry.decided(gate)

    def _clash(self, event: Event) -> Clash | None:
        known = self._book.gates.get(event.request_id or "")
        if known is None or not known.decision_id or event.event_type not in _DECIDING:
            return None
        theirs = event.metadata.get("decision_id")
        if theirs == known.decision_id:
            return None
        verdict = event.event_type.removeprefix("gate_")
        reviewer = event.metadata.get("reviewer") or "the orchestrator"
        return Clash(known.request_id, known.summary, known.status, f"{verdict} by {reviewer}")

    async def _pages(self, request_ids: Sequence[str]) -> AsyncIterator[list[tuple[str, Record]]]:
        """Yield the records named; the next page is asked for while this one is taken in."""
        waiting = deque(request_ids[start : start + PAGE] for start in range(0, len(request_ids), PAGE))
        asked: deque[tuple[Sequence[str], asyncio.Task[list[Record]]]] = deque()
        try:
            while waiting or asked:
                while waiting and len(asked) < _IN_FLIGHT:
                    page = waiting.popleft()
                    asked.append((page, asyncio.create_task(self._gates.read(page))))
                page, task = asked.popleft()
                records = await task
                if rest := page[len(records) :]:
                    waiting.appendleft(rest)
                yield list(zip(page, records, strict=False))
        finally:
            # They use the connection, which may be closed as soon as this returns.
            await ended([task for _, task in asked])


def _announced(record: Record, event: Event | None) -> Record:
    """Return `record` with what only the event tells of an orchestrator's own decision."""
    if event is None or not isinstance(record, Gate):
        return record
    reviewer, reason = (str(event.metadata.get(name) or "") for name in ("reviewer", "reason"))
    status = event.event_type.removeprefix("gate_")
    decided = Decided(record.request_id, status, reviewer=reviewer, reason=reason, decided_at=_moment(event.timestamp))
    return _completed(record, decided)


def _moment(text: str) -> datetime | None:
    try:
        return parse_time(text)
    except (ValueError, OverflowError):
        return None


def _completed(gate: Gate, decided: Decided) -> Gate:
    """Return `gate` with what only the audit stream tells of an orchestrator's own decision."""
    if gate.reviewer or gate.status != decided.status:
        return gate
    return gate._replace(reviewer=decided.reviewer, reason=decided.reason, decided_at=decided.decided_at)
