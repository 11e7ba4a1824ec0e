"""The way out for decisions: each is a committed row of the outbox before anybody hears of it."""

import asyncio
import socket
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TypedDict, Unpack

from hitl_desktop.domain.decision import Decided, Decision, Severity, Verdict
from hitl_desktop.domain.gate import Gate
from hitl_desktop.domain.outbox import Cause, NotWithdrawableError, OutboxEntry, OutboxState
from hitl_desktop.services.errors import EvidenceChanged, Interrupted, LoginRefused, NotFound, ServiceError, Unavailable
from hitl_desktop.store.database import storable
from hitl_desktop.store.outbox_rows import entry_of
from hitl_desktop.store.tenant_store import StoreThread
from hitl_desktop.sync.outbound import Outbound
from hitl_desktop.sync.outcomes import error_of
from hitl_desktop.sync.schedule import backoff

_SENDINGS = 4
_ELSEWHERE = 20.0
_LOOK_EVERY = 0.05
_HELD = 15.0
"""Seconds until a row is due within which it is waited for: longer than one may be held, or another process's lease."""


class Words(TypedDict, total=False):
    """What a decision says beside its verdict.

    `reason` says why and is required to reject, `conditions` what an approval depends on, `feedback` more for the
    agent, `severity` how much it weighs, `tags` what it concerns. `evidence_digest` is the digest that the reviewer
    vouches for; without it, that of the gate as read.
    """

    reason: str
    conditions: Sequence[str]
    feedback: str
    severity: Severity | None
    tags: Sequence[str]
    evidence_digest: str | None


class OutboxDesk:
    """What a reviewer can do with the outbox of one tenant."""

    def __init__(self, outbound: Outbound, disk: StoreThread, reviewer: str) -> None:
        self.reviewer = reviewer
        self._outbound = outbound
        self._disk = disk

    @property
    def problem(self) -> str:
        """Why nothing is delivered at present; empty where all is well."""
        return self._outbound.problem

    async def is_durable(self) -> bool:
        """Whether rows outlive this process: there is a key to encrypt them with.

        Raises:
            StoreError: the disk.
        """
        return await self._disk(lambda store: store.is_durable)

    async def queue(
        self, gate: Gate, verdict: Verdict, *, hold: timedelta = timedelta(0), **words: Unpack[Words]
    ) -> OutboxEntry:
        """Add a decision about `gate` as it was read; it is on the disk when this returns.

        Args:
            gate: the whole gate as the reviewer saw it.
            verdict: approved or rejected.
            hold: the time in which it can be undone before it is sent.
            **words: what it says.

        Raises:
            ReasonRequiredError: it rejects without a reason.
            AlreadyQueuedError: an earlier decision about the gate is still on its way.
            EvidenceChanged: the digest vouched for is not that of `gate`.
            StoreError: the disk; nothing was added.
        """
        digest = await asyncio.to_thread(lambda: gate.bundle.digest)
        if words.get("evidence_digest") not in {None, digest}:
            raise EvidenceChanged
        now = datetime.now(UTC)
        decision = Decision(
            decision_id=str(uuid.uuid4()),
            request_id=gate.request_id,
            bundle_id=gate.evidence_bundle_id,
            evidence_digest=digest,
            verdict=verdict,
            reviewer=storable(self.reviewer),
            decided_at=now,
            reason=storable(words.get("reason", "").strip()),
            conditions=tuple(map(storable, words.get("conditions", ()))),
            feedback=storable(words.get("feedback", "")),
            severity=words.get("severity"),
            tags=tuple(words.get("tags", ())),
        )
        entry = entry_of(decision, gate, socket.gethostname(), now + hold if hold else None)
        await self._disk(lambda store: store.outbox.add(entry, gate.bundle.fields))
        self._outbound.note(entry)
        return entry

    async def decide(self, gate: Gate, verdict: Verdict, **words: Unpack[Words]) -> Decided:
        """Add a decision and deliver it now; see `ReviewSession.decide`."""
        entry = await self.queue(gate, verdict, **words)
        name = entry.decision_id
        pauses = backoff(Random())  # noqa: S311 - spreads retries, guards nothing
        for _ in range(_SENDINGS):
            try:
                if not await self._outbound.deliver(name):
                    await self._delivered_elsewhere(name)
                break
            except Interrupted:  # ask again by its id: it may have been written
                await asyncio.sleep(next(pauses))
            except Unavailable:
                if await self._taken_back(name):
                    raise
                await asyncio.sleep(next(pauses))
            except ServiceError:
                break
        return await self._result(name)

    async def entries(self) -> tuple[OutboxEntry, ...]:
        """Return the rows as the disk has them now: all that are not delivered, and what was delivered lately.

        Raises:
            StoreError: they cannot be read.
        """
        await self._outbound.reload()
        return self._outbound.entries

    async def find(self, decision_id: str) -> OutboxEntry:
        """Return one row.

        Raises:
            NotFound: there is none.
            StoreError: it cannot be read.
        """
        found = await self._disk(lambda store: store.outbox.find(decision_id))
        if found is None:
            raise NotFound(f"There is no decision {decision_id!r} in the outbox; list it to see which there are.")
        return found

    async def fields(self, decision_id: str) -> dict[bytes, bytes]:
        """Return the fields of the bundle that a row's decision is about, as the reviewer saw them.

        Raises:
            StoreError: they cannot be read.
        """
        return await self._disk(lambda store: store.outbox.fields(decision_id))

    async def withdraw(self, decision_id: str) -> None:
        """Take a decision back that was not sent, or could not be delivered.

        Raises:
            NotWithdrawableError: it was sent.
            StoreError: the disk.
        """
        await self._disk(lambda store: store.outbox.withdraw(decision_id))
        self._outbound.forget(decision_id)

    async def release(self, decision_id: str | None = None) -> None:
        """End the time in which a decision, or every one, can be undone, and send it.

        Raises:
            StoreError: the disk.
        """
        await self._disk(lambda store: store.outbox.release(decision_id))
        self._outbound.wake()

    async def retry(self, decision_id: str | None = None) -> int:
        """Queue a row that could not be delivered again, or all that were refused; return how many.

        Raises:
            StoreError: the disk.
        """
        count = await self._disk(lambda store: store.outbox.retry(decision_id))
        await self._outbound.reload()
        self._outbound.wake()
        return count

    async def accept(self, decision_id: str) -> None:
        """Let the server's side stand: the row is answered, and goes.

        Raises:
            StoreError: the disk.
        """
        await self._disk(lambda store: store.outbox.close(decision_id))
        self._outbound.forget(decision_id)

    async def next_due(self) -> float | None:
        """Return when, in seconds since 1970, the next row is due to be sent; None if none is left to send.

        Raises:
            StoreError: the disk.
        """
        return await self._disk(lambda store: store.outbox.next_due())

    async def deliver(self) -> None:
        """Deliver all that is due or soon will be, and wait for what another process is sending.

        Raises:
            ServiceError: the server cannot be reached or refuses.
            StoreError: the disk.
        """
        await self._disk(lambda store: store.outbox.readmit())
        await self._outbound.verify()
        due: float | None = 0.0  # the first look takes up what ended senders have left, whenever that is due
        while due is not None and due - time.time() <= _HELD:
            await asyncio.sleep(max(0.0, due - time.time()))
            await self._outbound.deliver()
            due = await self.next_due()
        for entry in await self.entries():
            if entry.state.is_open:
                await self._delivered_elsewhere(entry.decision_id)

    async def _taken_back(self, decision_id: str) -> bool:
        """Take back a row that was never sent; return whether it could be."""
        try:
            await self.withdraw(decision_id)
        except NotWithdrawableError:
            return False
        return True

    async def _delivered_elsewhere(self, decision_id: str) -> None:
        """Wait until another process that has claimed the row has sent it, or send it once that one has ended."""
        looks = int(_ELSEWHERE / _LOOK_EVERY)
        for _ in range(looks):  # what another process writes is announced to nobody
            if (await self.find(decision_id)).state is not OutboxState.SENDING:
                return
            if await self._outbound.deliver(decision_id):
                return
            await asyncio.sleep(_LOOK_EVERY)

    async def _result(self, decision_id: str) -> Decided:
        entry = await self.find(decision_id)
        if entry.state is OutboxState.QUEUED and await self._taken_back(decision_id):
            if entry.cause is Cause.CREDENTIALS:
                raise LoginRefused(entry.problem)
            raise Unavailable(entry.problem or "The server cannot be reached; nothing was written.")
        if entry.state is OutboxState.DELIVERED:
            return Decided.by(entry.decision)
        if entry.state.needs_answer:
            error = error_of(entry)
            await self.accept(decision_id)
            raise error
        raise Interrupted(
            f"The connection was lost while deciding, so it is unknown whether decision {decision_id} was written; it "
            "stays in the outbox, and `hitl-desktop gates sync` asks the server."
        )
