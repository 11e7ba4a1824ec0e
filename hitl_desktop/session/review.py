"""ReviewSession: one reviewer in one tenant. `open_session` builds and closes all below it."""

import asyncio
import contextvars
import logging
import traceback
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random

from hitl_desktop.domain.decision import Decided, Decision, Severity, Verdict
from hitl_desktop.domain.gate import Gate, GateKind, Record
from hitl_desktop.services.adoption import Adoption
from hitl_desktop.services.connection import Connection, connect
from hitl_desktop.services.encoding import GateRequest
from hitl_desktop.services.errors import EvidenceChanged, Interrupted, Unavailable
from hitl_desktop.services.events import Events
from hitl_desktop.services.evidence import Evidence, find_evidence
from hitl_desktop.services.gates import Gates
from hitl_desktop.services.health import Health
from hitl_desktop.services.history import History
from hitl_desktop.services.knowledge import KnowledgeHit, KnowledgeStore
from hitl_desktop.session.backend import Backend
from hitl_desktop.sync.book import GateBook
from hitl_desktop.sync.collector import collector_freed
from hitl_desktop.sync.inbound import Inbound
from hitl_desktop.sync.monitor import Monitor
from hitl_desktop.sync.schedule import backoff
from hitl_desktop.tenancy import TenantContext, TenantNames
from hitl_desktop.tenancy.audit import TenantRecord

_SENDINGS = 4
_CANCEL_AGAIN = 0.5
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OpenGate:
    """A gate as a reviewer reads it: whole, with what was found for each piece of evidence."""

    gate: Gate
    evidence: tuple[Evidence, ...]


class ReviewSession:
    """What a reviewer can do in one tenant. Below it, no call takes a tenant.

    `context` is the context in which its calls must run: code that starts from elsewhere, such as a Qt callback, runs
    them there, or they are refused.
    """

    def __init__(self, backend: Backend, names: TenantNames, connection: Connection, stream: Connection) -> None:
        self.tenant_id = names.tenant_id
        self.reviewer = backend.settings.reviewer
        self.address = backend.place
        self.context = contextvars.copy_context()
        self.book = GateBook(names.gate_request)
        self.monitor = Monitor()
        self._backend = backend
        self._names = names
        self._connection = connection
        self._gates = Gates(connection, names)
        self._events = Events(stream, names)
        self.health = Health(connection, names)
        self.adoption = Adoption(connection, names)
        self._history = History(connection, names)
        self._inbound = Inbound(self._gates, self._events, self._history, self.book, self.monitor, backend.recover)

    async def run(self) -> None:
        """Keep the book equal to the server until cancelled."""
        try:
            await self._inbound.run()
        except asyncio.CancelledError as ended:
            # What its frames hold is the tenant's; without this it would stay until the collector comes round.
            traceback.clear_frames(ended.__traceback__)

    async def refresh(self) -> None:
        """Look at the server now.

        Raises:
            ServiceError: it cannot be read.
        """
        await self._inbound.refresh()

    async def pending(self) -> list[Record]:
        """Return all gates that wait, with their whole bundles, as the server has them now.

        Raises:
            ServiceError: they cannot be read; single bad records are returned quarantined.
        """
        request_ids = await self._gates.pending_ids()
        return [record async for page in self._gates.read_all(request_ids, whole=True) for record in page]

    async def count_pending(self) -> int:
        """Return how many gates wait.

        Raises:
            ServiceError: they cannot be counted.
        """
        return await self._gates.count_pending()

    async def open_gate(self, request_id: str) -> OpenGate:
        """Return one gate as the server has it now, with its evidence.

        Raises:
            NotFound: there is no such gate.
            ServiceError: it cannot be read.
        """
        gate = await self._gates.get(request_id)
        folder = self._backend.settings.evidence_folder(self.tenant_id)
        rendered = gate.kind is GateKind.CODE
        items = gate.bundle.items or ()
        return OpenGate(
            gate, tuple([await asyncio.to_thread(find_evidence, item, folder, rendered=rendered) for item in items])
        )

    async def decide(
        self,
        gate: Gate,
        verdict: Verdict,
        *,
        reason: str = "",
        conditions: Sequence[str] = (),
        feedback: str = "",
        severity: Severity | None = None,
        tags: Sequence[str] = (),
        evidence_digest: str | None = None,
    ) -> Decided:
        """Decide about `gate` as it was read: the only way in for decisions.

        Sent once; after a lost connection the same decision_id is sent again, which cannot double it.

        Args:
            gate: the whole gate as the reviewer saw it.
            verdict: approved or rejected.
            reason: why; required to reject.
            conditions: what an approval depends on.
            feedback: more for the agent.
            severity: how much it weighs.
            tags: what it concerns.
            evidence_digest: the digest that the reviewer vouches for; None takes that of `gate`.

        Raises:
            ReasonRequiredError: it rejects without a reason.
            Conflict: the gate cannot be decided this way any more.
            Interrupted: it may have been written; the message has the decision_id to ask for.
            ServiceError: nothing was written.
        """
        digest = await asyncio.to_thread(lambda: gate.bundle.digest)
        if evidence_digest is not None and evidence_digest != digest:
            raise EvidenceChanged
        decision = Decision(
            decision_id=str(uuid.uuid4()),
            request_id=gate.request_id,
            bundle_id=gate.evidence_bundle_id,
            evidence_digest=digest,
            verdict=verdict,
            reviewer=self.reviewer,
            decided_at=datetime.now(UTC),
            reason=reason.strip(),
            conditions=tuple(conditions),
            feedback=feedback,
            severity=severity,
            tags=tuple(tags),
        )
        return await self._send(decision, gate)

    async def _send(self, decision: Decision, gate: Gate) -> Decided:
        pauses = backoff(Random())  # noqa: S311 - spreads retries, guards nothing
        sent = False
        for _ in range(_SENDINGS):
            try:
                return await self._gates.decide(decision, gate)
            except Interrupted:  # ask again by its id: it may have been written
                sent = True
            except Unavailable:
                if not sent:
                    raise
            await asyncio.sleep(next(pauses))
        raise Interrupted(
            f"The connection was lost while deciding, so it is unknown whether decision {decision.decision_id} was "
            "written; look at the gate again before you decide once more."
        )

    async def outcome(self, gate: Gate) -> Decided:
        """Return how `gate`, which is no longer pending, was decided, from its hash or its task's decision log.

        Raises:
            ServiceError: the log cannot be read.
        """
        return await self._gates.outcome(gate)

    async def request(self, request: GateRequest) -> bool:
        """Ask a human, as an agent does; return whether it was written, False if that request_id exists.

        Raises:
            ServiceError: it was not written, or (Interrupted) may have been.
        """
        return await self._gates.request(request)

    async def record(self, entry: TenantRecord) -> None:
        """Write to the tenant's audit stream that the reviewer came or left.

        Raises:
            ServiceError: it was not written, or (Interrupted) may have been.
        """
        await self._history.record(entry)

    async def expire(self, gate: Gate) -> None:
        """End `gate`, whose time has run out.

        Raises:
            Conflict: it was decided in time, or its time has not run out.
            ServiceError: nothing was written.
        """
        await self._gates.expire(gate)

    async def next_events(self, cursor: str, block_ms: int) -> str:
        """Wait for something to happen behind `cursor` and return the cursor behind it.

        Raises:
            ServiceError: the stream cannot be read.
        """
        return (await self._events.after(cursor, block_ms))[0]

    async def returned(self) -> None:
        """Wait until the server can be reached again."""
        pauses = backoff(Random())  # noqa: S311 - spreads retries, guards nothing
        while True:
            try:
                await self._backend.recover()
                await self._gates.count_pending()
            except Unavailable:
                await asyncio.sleep(next(pauses))
            else:
                return

    async def newest_event(self) -> str:
        """Return the cursor behind the newest event.

        Raises:
            ServiceError: the stream cannot be read.
        """
        return await self._events.newest()

    async def knowledge(self) -> KnowledgeStore:
        """Return this tenant's knowledge store.

        Raises:
            NotFound: there is none here.
            ServiceError: it cannot be reached.
        """
        bases = (self._backend.settings.documents_collection, "asdlc_specs")
        return KnowledgeStore(await self._backend.chroma(), self._names, bases)

    async def search(self, text: str) -> tuple[KnowledgeHit, ...]:
        """Return the tenant's documents that hold every word of `text`.

        Raises:
            NotFound: there is no knowledge store here.
            ServiceError: it cannot be reached.
        """
        return await (await self.knowledge()).search(text)


async def _end(following: "asyncio.Task[None]") -> None:
    # Until Python 3.12, a cancellation that meets the end of a wait is lost: it is sent again until the task has ended.
    while not following.done():
        following.cancel()
        await asyncio.wait({following}, timeout=_CANCEL_AGAIN)


def _report(following: "asyncio.Task[None]") -> None:
    if not following.cancelled() and (error := following.exception()):
        _log.error("Following the server ended unexpectedly", exc_info=error)


@asynccontextmanager
async def open_session(
    backend: Backend, tenant_id: str | None = None, *, live: bool = True
) -> AsyncIterator[ReviewSession]:
    """Yield a session for `tenant_id`, or for the default tenant, bound to it in everything below.

    Args:
        backend: the servers.
        tenant_id: the tenant; None takes the default, or single-tenant mode where multi-tenancy is off.
        live: whether to follow the server and keep the book; without it, calls only read and write what they name.

    Raises:
        TenantNotAllowedError: the tenant is illegal or not on the allowlist.
        TenantNotSetError: none is named and there is no default.
    """
    config = backend.config
    chosen = config.choose(tenant_id)
    names = TenantNames(chosen, backend.settings.key_layout)
    scope = nullcontext() if chosen is None else TenantContext.tenant_scope(chosen, config.allowed_tenants)
    async with AsyncExitStack() as stack:
        stack.enter_context(scope)
        connection = await stack.enter_async_context(connect(backend.redis_url))
        stream = await stack.enter_async_context(connect(backend.redis_url))
        session = ReviewSession(backend, names, connection, stream)
        if not live:
            yield session
            return
        following = asyncio.create_task(session.run())
        following.add_done_callback(_report)
        try:
            yield session
        finally:
            await _end(following)
            collector_freed()
