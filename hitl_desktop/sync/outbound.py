"""Outbound: the outbox's rows to the server, each exactly once. A thin loop; what a row may become is the store's."""

import asyncio
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from random import Random

from hitl_desktop.domain.decision import Decided
from hitl_desktop.domain.gate import Gate
from hitl_desktop.domain.outbox import Cause, OutboxEntry, OutboxState
from hitl_desktop.services.errors import (
    AlreadyDecided,
    EvidenceChanged,
    Interrupted,
    Malformed,
    NotFound,
    Overdue,
    Refused,
    ServiceError,
    TakesNoWrites,
    Unavailable,
)
from hitl_desktop.services.gates import Gates, Standing
from hitl_desktop.services.health import Health
from hitl_desktop.store.errors import StoreError
from hitl_desktop.store.outbox import Claimed, Outcome
from hitl_desktop.store.tenant_store import StoreThread, TenantStore
from hitl_desktop.sync.schedule import backoff

TOGETHER = 100
"""Decisions in one sending: few enough that packing them does not hold a frame."""
_LANES = 2
_SHOWN_SENDING = 20
_LOOK_EVERY = 1.0
_SHOWN_FOR = 600.0

Follower = Callable[[Sequence[OutboxEntry], Sequence[str]], None]


class Outbound:
    """Delivers one tenant's outbox as long as `run` runs, and mirrors its rows for whoever follows."""

    def __init__(self, disk: StoreThread, gates: Gates, health: Health, follower: Follower) -> None:
        self._disk = disk
        self._gates = gates
        self._health = health
        self._follower = follower
        self._entries: dict[str, OutboxEntry] = {}
        self._waiting: dict[str, asyncio.Future[OutboxEntry]] = {}
        self._wake = asyncio.Event()
        self._seen = -1
        self._doubted = False
        self._turn = 0
        self._history_id = ""
        self.problem = ""

    @property
    def entries(self) -> tuple[OutboxEntry, ...]:
        """The rows as they were last seen: all that are not delivered, and what was delivered lately."""
        return tuple(self._entries.values())

    def wake(self) -> None:
        """Look at the outbox now."""
        self._wake.set()

    def doubt(self) -> None:
        """Verify soon: the server was away, and may have lost something."""
        self._doubted = True
        self._wake.set()

    async def reload(self) -> None:
        """Read the rows from the disk.

        Raises:
            StoreError: they cannot be read.
        """
        found = await self._disk(lambda store: (store.version(), store.outbox.entries(time.time() - _SHOWN_FOR)))
        self._seen, rows = found
        there = {entry.decision_id: entry for entry in rows}
        gone = [name for name in self._entries if name not in there]
        self._mirror([entry for name, entry in there.items() if self._entries.get(name) != entry], gone)

    async def run(self) -> None:
        """Deliver until cancelled; a server that is away is tried again, more and more seldom."""
        pauses = backoff(Random())  # noqa: S311 - spreads retries, guards nothing
        await self._disk(lambda store: store.outbox.retry())
        while True:
            try:
                await self.reload()
                self.doubt()
                while True:
                    if self._doubted or self._turn != self._health.turn:
                        await self.verify()
                    if await self._deliver_all():
                        pauses = backoff(Random())  # noqa: S311 - as above
                    self.problem = ""
                    await self._until_due()
            except (Unavailable, Refused) as error:  # wait and try again: away, or its administrator may mend it
                self.problem = str(error)
            except (ServiceError, StoreError) as error:  # wait and try again, and say so meanwhile
                self.problem = str(error)
            self._wake.clear()
            await self._woken(next(pauses))

    async def deliver(self, only: str | None = None) -> bool:
        """Send rows that are due, or the one named if it is, as many as go together; return whether there were any.

        Raises:
            ServiceError: they could not be sent (they stay queued), or the answer was lost (they are unknown).
            StoreError: the disk.
        """
        # What was written may be lost by the time it is settled: it belongs to the history in which it was sent.
        history_id = self._history_id
        claimed = await self._disk(lambda store: store.outbox.claim(time.time(), TOGETHER, only))
        if not claimed:
            return False
        if len(claimed) < _SHOWN_SENDING:
            self._mirror([one.entry for one in claimed], state=OutboxState.SENDING)
        try:
            answers = await self._gates.deliver([(one.entry.decision, _whole(one)) for one in claimed])
        except Interrupted as error:
            await self._settle([_unknown(one, str(error)) for one in claimed])
            raise
        except Unavailable as error:
            await self._unsent(claimed, str(error))
            raise
        except asyncio.CancelledError:
            await self._settle([_unknown(one) for one in claimed])
            raise
        except ServiceError as error:
            await self._settle([await self._judge(one, error) for one in claimed])
            raise
        outcomes = [await self._judge(one, answer) for one, answer in zip(claimed, answers, strict=True)]
        await self._settle(outcomes, history_id)
        if again := [outcome for outcome in outcomes if outcome.state.is_open]:
            raise Unavailable(again[0].problem)
        return True

    async def _deliver_all(self) -> bool:
        """Send all that is due, one part while the server works on another; return whether there was any."""

        async def lane() -> bool:
            sent = False
            while await self.deliver():
                sent = True
            return sent

        if not await self.deliver():
            return False
        results = await asyncio.gather(*(lane() for _ in range(_LANES)), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return True

    async def verify(self) -> None:
        """Look whether the server still has what was once confirmed; what it has not is queued again.

        It is asked only where its data have another history since: it was started anew, or a replica took its place.

        Raises:
            ServiceError: the server cannot be asked.
            StoreError: the disk.
        """
        self._doubted, self._turn = False, self._health.turn
        # Where the server does not tell its history, every connection counts as another one.
        history_id = await self._health.history_id() or f"unknown-{uuid.uuid4()}"
        self._history_id = history_id
        while claimed := await self._disk(lambda store: store.outbox.delivered_under_another(history_id, TOGETHER)):
            standings = await self._gates.standing([(one.entry.decision, one.entry.gate) for one in claimed])
            lost = [
                one.entry.decision_id
                for one, standing in zip(claimed, standings, strict=True)
                if standing in {Standing.PENDING, Standing.DECIDED}
            ]
            kept = [one.entry.decision_id for one in claimed]
            await self._disk(partial(_confirm, kept=kept, lost=lost, history_id=history_id))
        await self.reload()

    async def settled(self, decision_id: str) -> OutboxEntry:
        """Wait until a row is delivered, or waits for an answer, and return it as it is then."""
        entry = self._entries.get(decision_id)
        if entry is not None and not entry.state.is_open:
            return entry
        future = self._waiting.setdefault(decision_id, asyncio.get_running_loop().create_future())
        return await asyncio.shield(future)

    async def drained(self) -> None:
        """Wait until nothing is on its way any more."""
        while open_rows := [entry for entry in self._entries.values() if entry.state.is_open]:
            await self.settled(open_rows[0].decision_id)

    def note(self, entry: OutboxEntry) -> None:
        """Take in a row that was just added, and send it when it is due."""
        self._mirror([entry])
        self.wake()

    def forget(self, decision_id: str) -> None:
        """Take in that a row was taken back."""
        self._mirror([], [decision_id])

    async def _until_due(self) -> None:
        """Return when a row is due, or in doubt; meanwhile, take in what another process has added or changed."""
        while not self._doubted and self._turn == self._health.turn:
            due, version = await self._disk(lambda store: (store.outbox.next_due(), store.version()))
            if version != self._seen:
                await self.reload()
            left = _LOOK_EVERY if due is None else min(due - time.time(), _LOOK_EVERY)
            if left <= 0:
                return
            self._wake.clear()
            await self._woken(left)

    async def _woken(self, within: float) -> None:
        try:
            async with asyncio.timeout(within):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _judge(self, one: Claimed, answer: Decided | ServiceError) -> Outcome:
        """Return what an answer makes of the row."""
        name = one.entry.decision_id
        if isinstance(answer, Decided):
            return Outcome(name, OutboxState.DELIVERED)
        if isinstance(answer, Interrupted):
            return Outcome(name, OutboxState.UNKNOWN, problem=str(answer))
        if isinstance(answer, (Unavailable, TakesNoWrites)):
            return Outcome(name, OutboxState.QUEUED, problem=str(answer))
        # What was sent before may have been written, and its gate have gone on since.
        if one.entry.attempts and not isinstance(answer, Refused) and await self._was_written(one):
            return Outcome(name, OutboxState.DELIVERED)
        state, cause = _conflict(answer)
        theirs = answer.decided if isinstance(answer, AlreadyDecided) else None
        return Outcome(name, state, cause, str(answer), theirs)

    async def _was_written(self, one: Claimed) -> bool:
        return (await self._gates.standing([(one.entry.decision, one.entry.gate)]))[0] is Standing.WRITTEN

    async def _settle(self, outcomes: Sequence[Outcome], history_id: str = "") -> None:
        await self._disk(lambda store: store.outbox.settle(outcomes, time.time(), history_id))
        changed = []
        for outcome in outcomes:
            entry = self._entries.get(outcome.decision_id)
            if entry is not None:
                changed.append(_settled(entry, outcome))
        self._mirror(changed)

    async def _unsent(self, claimed: Sequence[Claimed], problem: str) -> None:
        names = [one.entry.decision_id for one in claimed]
        await self._disk(lambda store: store.outbox.unsent(names, problem))
        await self.reload()

    def _mirror(
        self, entries: Iterable[OutboxEntry], gone: Sequence[str] = (), *, state: OutboxState | None = None
    ) -> None:
        changed = [entry if state is None else _in_state(entry, state) for entry in entries]
        left = [entry.request_id for name in gone if (entry := self._entries.pop(name, None)) is not None]
        for name in gone:
            if (future := self._waiting.pop(name, None)) is not None:
                future.cancel()
        for entry in changed:
            self._entries[entry.decision_id] = entry
            if not entry.state.is_open and (future := self._waiting.pop(entry.decision_id, None)) is not None:
                future.set_result(entry)
        if changed or left:
            self._follower(changed, left)


def _whole(one: Claimed) -> Gate:
    gate = one.entry.gate
    return gate._replace(bundle=gate.bundle.with_fields(one.fields))


def _confirm(store: TenantStore, kept: Sequence[str], lost: Sequence[str], history_id: str) -> None:
    store.outbox.confirm(kept, history_id)
    store.outbox.forgotten(lost)


def _unknown(one: Claimed, problem: str = "") -> Outcome:
    return Outcome(one.entry.decision_id, OutboxState.UNKNOWN, problem=problem)


def _conflict(answer: ServiceError) -> tuple[OutboxState, Cause]:
    """Return the state and cause of a row that the server did not take."""
    match answer:
        case AlreadyDecided():
            return OutboxState.CONFLICT, Cause.DECIDED
        case Overdue():
            return OutboxState.EXPIRED, Cause.OVERDUE
        case EvidenceChanged():
            return OutboxState.CONFLICT, Cause.CHANGED
        case NotFound():
            return OutboxState.CONFLICT, Cause.GONE
        case Malformed():
            return OutboxState.REFUSED, Cause.DAMAGED
    return OutboxState.REFUSED, Cause.REFUSED


def error_of(entry: OutboxEntry) -> ServiceError:
    """Return why a row that waits for an answer was not delivered, as the error it stands for."""
    match entry.cause:
        case Cause.DECIDED if entry.theirs is not None:
            return AlreadyDecided(entry.theirs)
        case Cause.OVERDUE:
            return Overdue()
        case Cause.CHANGED:
            return EvidenceChanged()
        case Cause.GONE:
            return NotFound(entry.problem)
        case Cause.DAMAGED:
            return Malformed(entry.problem)
    return Refused(entry.problem)


def _settled(entry: OutboxEntry, outcome: Outcome) -> OutboxEntry:
    return replace(
        entry, state=outcome.state, cause=outcome.cause, problem=outcome.problem, theirs=outcome.theirs, held_until=None
    )


def _in_state(entry: OutboxEntry, state: OutboxState) -> OutboxEntry:
    return replace(entry, state=state, attempts=entry.attempts + 1)
