"""ReviewSession: one reviewer in one tenant. `open_session` builds and closes all below it."""

import asyncio
import contextvars
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext, suppress
from datetime import timedelta
from random import Random
from typing import Unpack

from hitl_desktop.domain.decision import Decided, Draft, Verdict
from hitl_desktop.domain.gate import Gate, Record
from hitl_desktop.domain.outbox import OutboxEntry
from hitl_desktop.services.adoption import Adoption
from hitl_desktop.services.connection import Connection, connect
from hitl_desktop.services.encoding import GateRequest
from hitl_desktop.services.errors import LoginRefused, ServiceError, Unavailable
from hitl_desktop.services.events import Events
from hitl_desktop.services.gates import Gates
from hitl_desktop.services.health import Health
from hitl_desktop.services.history import History
from hitl_desktop.services.knowledge import KnowledgeResults, KnowledgeStore
from hitl_desktop.session.backend import Backend
from hitl_desktop.session.library import Library, open_library
from hitl_desktop.session.outbox import OutboxDesk, Words
from hitl_desktop.session.workers import Workers
from hitl_desktop.store.errors import StoreError
from hitl_desktop.store.evidence import Found
from hitl_desktop.store.tenant_store import StoreThread, open_store
from hitl_desktop.sync.book import GateBook
from hitl_desktop.sync.collector import collector_freed
from hitl_desktop.sync.evidence import EvidenceReader, OpenGate, opened_from
from hitl_desktop.sync.inbound import Inbound
from hitl_desktop.sync.monitor import Monitor, Phase
from hitl_desktop.sync.outbound import Outbound
from hitl_desktop.sync.schedule import backoff
from hitl_desktop.tenancy import TenantContext, TenantNames
from hitl_desktop.tenancy.audit import TenantRecord


class ReviewSession:
    """What a reviewer can do in one tenant. Below it, no call takes a tenant.

    `context` is the context in which its calls must run: code that starts from elsewhere, such as a Qt callback, runs
    them there, or they are refused.
    """

    def __init__(
        self,
        backend: Backend,
        names: TenantNames,
        connections: tuple[Connection, Connection],
        library: Library,
        disk: StoreThread,
    ) -> None:
        connection, stream = connections
        self.tenant_id = names.tenant_id
        self.reviewer = backend.settings.reviewer
        self.address = backend.place
        self.context = contextvars.copy_context()
        self.book = GateBook(names.gate_request)
        self.monitor = Monitor()
        self.adoption = Adoption(connection, names)
        self.health = Health(connection, names)
        self._backend = backend
        self._names = names
        self._library = library
        self._disk = disk
        self._gates = Gates(connection, names)
        self._events = Events(stream, names)
        self._history = History(connection, names)
        self._reader = EvidenceReader(self._gates, disk, backend.settings.evidence_folder(names.tenant_id))
        self._inbound = Inbound(self._gates, self._events, self._history, self.book, self.monitor, backend.recover)
        outbound = Outbound(disk, self._gates, self.health, self.book.show_decisions)
        self.outbox = OutboxDesk(outbound, disk, self.reviewer)
        self._workers = Workers(backend, disk, self._reader, self._inbound, outbound, self.book, self.monitor)

    def start(self) -> None:
        """Show what is kept on this machine, keep it equal to the server, and deliver the outbox, until `stop`."""
        self._workers.start()

    async def stop(self) -> None:
        """End all work."""
        await self._workers.stop()

    async def begun(self) -> None:
        """Wait until the first gates kept on this machine are in the book, if there are any."""
        await self._workers.begun()

    async def notice(self) -> str:
        """Return what the reviewer should know of what is kept on this machine; empty where all is well."""
        return await self._disk(lambda store: store.notice)

    @property
    def problems(self) -> tuple[str, ...]:
        """What the reviewer should know of what is kept here and, while online, delivered; no disk is asked."""
        online = self.monitor.now.phase is Phase.ONLINE
        told = (self._disk.notice, self._workers.problem, self.outbox.problem if online else "")
        return tuple(text for text in told if text)

    async def refresh(self) -> None:
        """Look at the server now.

        Raises:
            ServiceError: it cannot be read.
        """
        await self._inbound.refresh()

    async def pending(self) -> list[Record]:
        """Return all gates that wait, with their whole bundles, as the server has them now, and keep them here.

        Raises:
            ServiceError: they cannot be read; single bad records are returned quarantined.
        """
        request_ids = await self._gates.pending_ids()
        records = [record async for page in self._gates.read_all(request_ids, whole=True) for record in page]
        with suppress(StoreError):  # go on: what cannot be kept can be listed all the same
            await self._reader.keep_listed(records, self._backend.settings.offline_bytes)
        return records

    async def has_kept(self) -> bool:
        """Whether this machine has ever kept a list of this tenant's gates.

        Raises:
            StoreError: it cannot be read.
        """
        return await self._disk(lambda store: bool(store.fact("listed")))

    async def pending_kept(self) -> list[Gate]:
        """Return the gates that wait as they are kept on this machine; whole where their evidence is kept, too.

        Raises:
            StoreError: they cannot be read.
        """
        return await self._reader.listed_kept()

    async def drafts(self) -> dict[str, Draft]:
        """Return what is written about gates and not decided yet.

        Raises:
            StoreError: it cannot be read.
        """
        return await self._disk(lambda store: store.drafts.all())

    async def keep_drafts(self, drafts: Mapping[str, Draft]) -> None:
        """Keep what is written.

        Raises:
            StoreError: the disk is full.
        """
        await self._disk(lambda store: store.drafts.keep(drafts))

    async def viewed(self) -> dict[tuple[str, str], set[int]]:
        """Return which pieces of evidence were seen, by gate and bundle.

        Raises:
            StoreError: it cannot be read.
        """
        return await self._disk(lambda store: store.drafts.viewed())

    async def mark_viewed(self, gate: Gate, item: int) -> None:
        """Note that a piece of a gate's evidence was seen.

        Raises:
            StoreError: the disk is full.
        """
        await self._disk(lambda store: store.drafts.mark_viewed(gate.request_id, gate.evidence_bundle_id, item))

    async def count_pending(self) -> int:
        """Return how many gates wait.

        Raises:
            ServiceError: they cannot be counted.
        """
        return await self._gates.count_pending()

    async def open_gate(self, request_id: str, *, offline: bool = False) -> OpenGate:
        """Return one gate with its evidence: as the server has it now, else as it is kept on this machine.

        Args:
            request_id: the gate's id.
            offline: whether to leave the server alone.

        Raises:
            NotFound: there is no such gate.
            ServiceError: it cannot be read, and its evidence is not kept here.
            StoreError: the disk.
        """
        if offline or self._backend.is_offline or self.monitor.now.phase is Phase.OFFLINE:
            return await self._reader.open_kept(request_id, self.book.gates.get(request_id))
        try:
            found = await self._reader.open(request_id)
        except (Unavailable, LoginRefused) as error:
            try:
                return await self._reader.open_kept(request_id, self.book.gates.get(request_id))
            except (ServiceError, StoreError):  # what the server says is what counts
                raise error from None
        with suppress(StoreError):  # go on: what cannot be kept can be read all the same
            await self._reader.keep(found)
        return found

    async def decide(self, gate: Gate, verdict: Verdict, **words: Unpack[Words]) -> Decided:
        """Decide about `gate` as it was read, and wait until the server has it; `words` as for `outbox.queue`.

        Raises:
            ReasonRequiredError: it rejects without a reason.
            AlreadyQueuedError: an earlier decision about it is still on its way.
            Conflict: the gate cannot be decided this way any more.
            Interrupted: it may have been written; the message has the decision_id to ask for, and its row stays.
            ServiceError: nothing was written.
            StoreError: the disk.
        """
        self.outbox.reviewer = self.reviewer
        return await self.outbox.decide(gate, verdict, **words)

    async def submit(self, gate: Gate, verdict: Verdict, **words: Unpack[Words]) -> OutboxEntry | Decided:
        """Decide about `gate` and wait for no server: the decision is on the disk, and can be undone for a while.

        Where nothing may be kept on disk, it is sent and waited for, since it could not outlive this process.

        Raises:
            Errors as for `decide`.
        """
        if await self.outbox.is_durable():
            hold = timedelta(seconds=self._backend.settings.undo_seconds)
            return await self.outbox.queue(gate, verdict, hold=hold, **words)
        return await self.decide(gate, verdict, **words)

    async def as_decided(self, entry: OutboxEntry) -> OpenGate:
        """Return the gate with its evidence as they were when the reviewer decided.

        Raises:
            StoreError: they cannot be read.
        """
        return opened_from(entry.gate, await self.outbox.fields(entry.decision_id))

    async def sync(self) -> None:
        """Deliver all that is due, then take in what the server has.

        Raises:
            ServiceError: the server cannot be reached or refuses.
            StoreError: the disk.
        """
        await self.outbox.deliver()
        await self._workers.catch_up()

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
        return KnowledgeStore(await self._library.client(), self._names, bases)

    async def search(self, text: str) -> KnowledgeResults:
        """Return the tenant's documents that hold every word of `text`, then those that come near its meaning.

        Raises:
            NotFound: there is no knowledge store here.
            ServiceError: it cannot be reached, or the reviewer works offline; `search_kept` can be asked then.
        """
        if self._backend.is_offline:
            raise Unavailable("Working offline, the tenant's documents cannot be searched")
        return await (await self.knowledge()).search(text)

    async def search_kept(self, text: str) -> tuple[Found, ...]:
        """Return the gates whose evidence, as far as it is kept on this machine, holds every word of `text`.

        Raises:
            StoreError: it cannot be read.
        """
        return await self._reader.search(text)


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

        def away() -> bool:
            return backend.is_offline

        credentials = backend.credentials_for(names)
        connection = await stack.enter_async_context(connect(backend.redis_url, credentials, away, key=names.events))
        stream = await stack.enter_async_context(connect(backend.redis_url, credentials, away, key=names.events))
        library = await stack.enter_async_context(open_library(backend, names))
        disk = await stack.enter_async_context(open_store(backend.settings, names))
        session = ReviewSession(backend, names, (connection, stream), library, disk)
        if not live:
            yield session
            return
        session.start()
        try:
            yield session
        finally:
            await session.stop()
            collector_freed()
