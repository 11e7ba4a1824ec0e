"""Outbound: the outbox's rows to the server, each exactly once. A thin loop; what a row may become is the store's."""

import asyncio
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from random import Random

from hitl_desktop.domain.gate import Gate
from hitl_desktop.domain.outbox import Cause, OutboxEntry, OutboxState
from hitl_desktop.services.errors import (
    AlreadyDecided,
    Interrupted,
    LoginRefused,
    Refused,
    ServiceError,
    TakesNoWrites,
    Unavailable,
)
from hitl_desktop.services.gates import Gates, Standing
from hitl_desktop.services.health import Health
from hitl_desktop.store.errors import StoreError
from hitl_desktop.store.outbox import Outcome
from hitl_desktop.store.outbox_rows import Claimed
from hitl_desktop.store.tenant_store import StoreThread, TenantStore
from hitl_desktop.sync.collector import collector_held
from hitl_desktop.sync.outcomes import conflict, queued, settled_as, unknown
from hitl_desktop.sync.schedule import backoff

TOGETHER = 100
"""Decisions in one sending: few enough that packing them does not hold a frame."""
_CLAIMED = 200
"""Decisions claimed in one step of the disk, which waits for it: much longer than for the server."""
_LANES = 4
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
        self._seen: tuple[str, int] | None = None
        self._history_id = ""
        self._turn = 0
        self._is_verified = False
        self.problem = ""
        self.calm = asyncio.Event()
        """Set unless much is being delivered; what can wait leaves the processor and the disk to that."""
        self.calm.set()

    @property
    def entries(self) -> tuple[OutboxEntry, ...]:
        """The rows as they were last seen: all that are not delivered, and what was delivered lately."""
        return tuple(self._entries.values())

    def wake(self) -> None:
        """Look at the outbox now."""
        self._wake.set()

    def verify_soon(self) -> None:
        """Look whether the server still has what it confirmed: it was away, and may have been started anew."""
        self._is_verified = False
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

    async def _catch_up(self, version: tuple[str, int]) -> None:
        """Read the rows anew, if they are others than those that were seen; our own changes are mirrored as made."""
        if version != self._seen:
            await self.reload()

    async def run(self) -> None:
        """Deliver until cancelled; a server that is away is tried again, more and more seldom."""
        pauses = backoff(Random())  # noqa: S311 - spreads retries, guards nothing
        is_begun = False
        while True:
            try:
                if not is_begun:
                    if await self._disk(lambda store: store.outbox.retry()):
                        self._seen = None
                    is_begun = True
                await self._catch_up(await self._disk(lambda store: store.version()))
                await self.verify()
                while self._is_sure:
                    if await self._deliver_all():
                        pauses = backoff(Random())  # noqa: S311 - as above
                    self.problem = ""
                    await self._until_due()
                continue
            except (Unavailable, Refused) as error:  # wait and try again: away, or its administrator may mend it
                self.problem = str(error)
            except (ServiceError, StoreError) as error:  # wait and try again, and say so meanwhile
                self.problem = str(error)
            self._seen = None  # what the disk says counts, whatever went wrong
            self._wake.clear()
            await self._woken(next(pauses))

    async def deliver(self, only: str | None = None) -> bool:
        """Send rows that are due, or the one named if it is, as many as go together; return whether there were any.

        Raises:
            ServiceError: they could not be sent (they stay queued), or the answer was lost (they are unknown).
            StoreError: the disk.
        """
        claimed = await self._claim(only)
        if claimed:
            await self._send(claimed)
        return bool(claimed)

    async def _deliver_all(self) -> bool:
        """Send what is due, from a few parts at a time where it is much; return whether there was any."""

        async def lane(claimed: Sequence[Claimed]) -> None:
            while claimed:
                claimed = await self._send(claimed, more=_CLAIMED if len(claimed) == _CLAIMED else 0)

        async def another() -> None:
            await lane(await self._claim())

        first = await self._claim()
        if len(first) < _CLAIMED:
            await lane(first)
            return bool(first)
        self.calm.clear()
        try:
            with collector_held():
                lanes = [lane(first), *(another() for _ in range(_LANES - 1))]
                results = await asyncio.gather(*lanes, return_exceptions=True)
        finally:
            self.calm.set()
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return True

    async def _send(self, claimed: Sequence[Claimed], more: int = 0) -> Sequence[Claimed]:
        """Send rows that were claimed, enter what became of them, and claim at most `more` in the same step."""
        if len(claimed) < _SHOWN_SENDING:
            self._mirror([one.entry for one in claimed], state=OutboxState.SENDING)
        # Of the history that is known before the sending: what a later one has is verified once more.
        history_id = self._history_id
        outcomes: list[Outcome] = []
        try:
            while part := claimed[len(outcomes) : len(outcomes) + TOGETHER]:
                answers = await self._gates.deliver([(one.entry.decision, _whole(one)) for one in part])
                outcomes += [await self._judge(one, answer) for one, answer in zip(part, answers, strict=True)]
                if again := [outcome for outcome in outcomes[-len(part) :] if outcome.state.is_open]:
                    raise Unavailable(again[0].problem)
        except asyncio.CancelledError:
            left = claimed[len(outcomes) :]
            outcomes += [*map(unknown, left[:TOGETHER]), *map(queued, left[TOGETHER:])]
            await self._settle(outcomes, history_id)
            raise
        except ServiceError as error:
            left = claimed[len(outcomes) :]
            outcomes += [await self._judge(one, error) for one in left[:TOGETHER]]
            # Of what was not sent, nothing is unknown.
            problem = "" if isinstance(error, Interrupted) else str(error)
            outcomes += [queued(one, problem) for one in left[TOGETHER:]]
            await self._settle(outcomes, history_id)
            raise
        return await self._settle(outcomes, history_id, more)

    async def verify(self) -> None:
        """Look whether the server still has what was once confirmed; what it has not is queued again.

        It is asked only where its data have another history since: it was started anew, or a replica took its place.

        Raises:
            ServiceError: the server cannot be asked.
            StoreError: the disk.
        """
        self._is_verified, self._turn = True, self._health.turn
        try:
            # Where the server does not tell its history, every connection counts as another one.
            self._history_id = history_id = await self._health.history_id() or f"unknown-{uuid.uuid4()}"
            names = await self._disk(lambda store: store.outbox.delivered_under_another(history_id))
            for start in range(0, len(names), TOGETHER):
                await self._verify(names[start : start + TOGETHER], history_id)
            if names:
                await self.reload()
            await self._note_login("")
        except LoginRefused as error:
            self._is_verified = False
            await self._note_login(str(error))
            raise
        except BaseException:
            self._is_verified = False
            raise

    async def _note_login(self, problem: str) -> None:
        if await self._disk(lambda store: store.outbox.note_login(problem)):
            await self.reload()

    async def _verify(self, names: Sequence[str], history_id: str) -> None:
        entries = await self._disk(lambda store: [one for name in names if (one := store.outbox.find(name))])
        standings = await self._gates.standing([(entry.decision, entry.gate) for entry in entries])
        has = {
            entry.decision_id: standing is Standing.WRITTEN for entry, standing in zip(entries, standings, strict=True)
        }
        kept, lost = ([name for name, is_kept in has.items() if is_kept is wanted] for wanted in (True, False))
        await self._disk(partial(_confirm, kept=kept, lost=lost, history_id=history_id))

    @property
    def _is_sure(self) -> bool:
        """Whether the server is still the one that was looked through, and was not away since."""
        return self._is_verified and self._turn == self._health.turn

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
        """Return when a row is due or the server must be looked through; meanwhile, take in what others change."""
        while self._is_sure:
            due, version = await self._disk(_looked_at)
            await self._catch_up(version)
            left = _LOOK_EVERY if due is None else min(due - time.time(), _LOOK_EVERY)
            if left <= 0 or not self._is_sure:
                return
            self._wake.clear()
            await self._woken(left)

    async def _woken(self, within: float) -> None:
        try:
            async with asyncio.timeout(within):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _judge(self, one: Claimed, answer: ServiceError | None) -> Outcome:
        """Return what an answer makes of the row."""
        name = one.entry.decision_id
        if answer is None:
            return Outcome(name, OutboxState.DELIVERED)
        if isinstance(answer, Interrupted):
            return unknown(one, str(answer))
        if isinstance(answer, (Unavailable, TakesNoWrites)):
            return queued(one, str(answer))
        if one.entry.attempts and (sent_before := await self._sent_before(one, answer)) is not None:
            return sent_before
        if isinstance(answer, LoginRefused):  # nothing was asked about the decision, which goes out after a login
            return queued(one, str(answer))._replace(cause=Cause.CREDENTIALS)
        state, cause = conflict(answer)
        theirs = answer.decided if isinstance(answer, AlreadyDecided) else None
        return Outcome(name, state, cause, str(answer), theirs)

    async def _sent_before(self, one: Claimed, answer: ServiceError) -> Outcome | None:
        """Return what became of earlier sendings of a row that is not taken now; None if none of them wrote it."""
        if isinstance(answer, Refused):
            return unknown(one, f"Whether it was written is unknown until the server tells. {answer}")
        try:
            standings = await self._gates.standing([(one.entry.decision, one.entry.gate)])
        except ServiceError as error:
            return unknown(one, f"Whether it was written is unknown until the server tells. {error}")
        # It may have been written, and its gate have gone on since.
        return Outcome(one.entry.decision_id, OutboxState.DELIVERED) if standings == [Standing.WRITTEN] else None

    async def _claim(self, only: str | None = None) -> Sequence[Claimed]:
        return await self._done(lambda store: store.outbox.claim(time.time(), _CLAIMED, only, self._entries))

    async def _settle(self, outcomes: Sequence[Outcome], history_id: str, more: int = 0) -> Sequence[Claimed]:
        """Enter what became of rows, and claim at most `more` in the same step."""
        known = [(entry, outcome) for outcome in outcomes if (entry := self._entries.get(outcome.decision_id))]
        changed = [settled_as(entry, outcome) for entry, outcome in known]
        try:
            claimed = await self._done(
                lambda store: store.outbox.settle(outcomes, time.time(), history_id, more, self._entries)
            )
        except asyncio.CancelledError:
            self._mirror(changed)
            raise
        if any(outcome.state is OutboxState.QUEUED for outcome in outcomes):
            await self.reload()
        else:
            self._mirror(changed)
        return claimed

    async def _done(self, work: Callable[[TenantStore], Sequence[Claimed]]) -> Sequence[Claimed]:
        """Do `work` on the disk to its end, and return what it claimed; if cancelled meanwhile, that is put back.

        The store's thread goes on all the same: what it claims would be nobody's to send until its lease runs out.
        """
        working = asyncio.ensure_future(self._disk(work))
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            self._seen = None
            with suppress(StoreError):  # drop: what was not claimed need not be put back
                if claimed := await working:
                    await self._settle([queued(one) for one in claimed], self._history_id)
            raise

    def _mirror(
        self, entries: Iterable[OutboxEntry], gone: Sequence[str] = (), *, state: OutboxState | None = None
    ) -> None:
        changed = [entry if state is None else _in_state(entry, state) for entry in entries]
        left = [entry.request_id for name in gone if (entry := self._entries.pop(name, None)) is not None]
        # A gate may have more than one decision: an answered conflict, and the one made upon it.
        changed += [entry for entry in self._entries.values() if entry.request_id in left] if left else []
        for name in gone:
            if (future := self._waiting.pop(name, None)) is not None:
                future.cancel()
        for entry in changed:
            self._entries[entry.decision_id] = entry
            if not entry.state.is_open and (future := self._waiting.pop(entry.decision_id, None)) is not None:
                future.set_result(entry)
        if changed or left:
            self._follower(changed, left)


def _looked_at(store: TenantStore) -> tuple[float | None, tuple[str, int]]:
    store.outbox.take_up(time.time())
    return store.outbox.next_due(), store.version()


def _whole(one: Claimed) -> Gate:
    gate = one.entry.gate
    return gate._replace(bundle=gate.bundle._replace(fields=one.fields))


def _confirm(store: TenantStore, kept: Sequence[str], lost: Sequence[str], history_id: str) -> None:
    store.outbox.confirm(kept, history_id)
    store.outbox.forgotten(lost)


def _in_state(entry: OutboxEntry, state: OutboxState) -> OutboxEntry:
    return entry._replace(state=state, attempts=entry.attempts + 1)
