"""What works behind an open session: the cache first, then both directions, and the evidence for later."""

import asyncio
import logging
import time
import traceback
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from hitl_desktop.domain.outbox import OutboxState
from hitl_desktop.services.connection import ANSWER_WITHIN
from hitl_desktop.services.errors import ServiceError
from hitl_desktop.session.backend import Backend
from hitl_desktop.store.errors import StoreError
from hitl_desktop.store.tenant_store import StoreThread, TenantStore
from hitl_desktop.sync.book import GateBook
from hitl_desktop.sync.cancelling import ended
from hitl_desktop.sync.evidence import EvidenceReader
from hitl_desktop.sync.inbound import Inbound
from hitl_desktop.sync.monitor import Connectivity, Monitor, Phase
from hitl_desktop.sync.outbound import Outbound
from hitl_desktop.sync.recorder import Recorder

_PREFETCH_EVERY = 1.0
_NOT_LOADING = tuple(phase for phase in Phase if phase is not Phase.LOADING)
_AWAY = "You work offline: decisions wait in the outbox, and nothing is sent or read until you go online again."
_log = logging.getLogger(__name__)

Work = Callable[[], Coroutine[Any, Any, None]]


class Workers:
    """The tasks of one session, from `start` to `stop`."""

    def __init__(
        self,
        backend: Backend,
        disk: StoreThread,
        reader: EvidenceReader,
        inbound: Inbound,
        outbound: Outbound,
        book: GateBook,
        monitor: Monitor,
    ) -> None:
        self._backend = backend
        self._disk = disk
        self._reader = reader
        self._inbound = inbound
        self._outbound = outbound
        self._book = book
        self._monitor = monitor
        self._recorder = Recorder(disk, book, self._calm)
        self._switched = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._unfollow: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Load what is kept, then work until `stop`; while the reviewer works offline, only the disk is used."""
        self._unfollow = self._backend.on_switch(lambda _offline: self._switched.set())
        self._monitor.follow(self._connected)
        self._spawn(self._work)

    async def begun(self) -> None:
        """Wait until the first gates kept on this machine are in the book, if there are any."""
        await self._recorder.begun.wait()

    async def stop(self) -> None:
        """End all work, and write what was gathered."""
        await self._last_sending()
        self._unfollow()
        self._monitor.unfollow(self._connected)
        while self._tasks:
            await ended(self._tasks)
        await self._recorder.flush()
        if self._monitor.now.phase is Phase.ONLINE and not self._recorder.problem:
            with suppress(StoreError):  # go on: it is only tidied
                await self._disk(lambda store: store.drafts.forget_marks())

    @property
    def problem(self) -> str:
        """Why what the server tells is not kept on this machine at present; empty where it is."""
        return self._recorder.problem

    async def _calm(self) -> None:
        """Wait until gates are neither loaded nor decisions delivered by the hundred."""
        await self._monitor.reached(*_NOT_LOADING)
        await self._outbound.calm.wait()

    def _connected(self, now: Connectivity) -> None:
        if now.phase is Phase.ONLINE:
            self._outbound.verify_soon()

    async def _last_sending(self) -> None:
        """What is in memory alone would end with it, so its last sending is waited for."""
        with suppress(StoreError, TimeoutError, asyncio.CancelledError):
            if not await self._disk(lambda store: store.is_durable):
                async with asyncio.timeout(ANSWER_WITHIN):
                    await self._outbound.drained()

    def _spawn(self, work: Work) -> "asyncio.Task[None]":
        task = asyncio.create_task(_let_go(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(_report)
        return task

    async def _work(self) -> None:
        await self._load()
        self._spawn(self._recorder.run)
        self._spawn(self._forget_old)
        while True:
            self._switched.clear()
            online: list[asyncio.Task[None]] = []
            if self._backend.is_offline:
                self._monitor.tell(Connectivity(Phase.AWAY, _AWAY))
            else:
                self._monitor.tell(Connectivity(Phase.CONNECTING))
                online = [self._spawn(work) for work in (self._inbound.run, self._outbound.run, self._prefetch)]
            await self._switched.wait()
            await ended(online)

    async def catch_up(self) -> None:
        """Take in once what the server has, and keep it.

        Raises:
            ServiceError: it cannot be read.
            StoreError: the disk.
        """
        self._book.follow(self._recorder.note, replay=False)
        await self._inbound.load()
        await self._recorder.flush()
        self._book.unfollow(self._recorder.note)
        await self._prefetch_once()

    async def _load(self) -> None:
        try:
            await self._disk(lambda store: store.outbox.readmit())
            # First what was decided here: no gate shows as waiting that is on its way already.
            await self._outbound.reload()
            await self._recorder.load()
        except StoreError as error:  # go on: what is kept cannot be shown, what the server has can
            self._recorder.problem = str(error)
        finally:
            self._recorder.begun.set()

    async def _forget_old(self) -> None:
        with suppress(StoreError):  # go on: it is only tidied, and again at the next start
            await self._disk(_forget_old)

    async def _prefetch(self) -> None:
        """Keep the evidence of what waits, now and whenever more has come."""
        seen = (0, 0)
        while True:
            await self._monitor.reached(Phase.ONLINE)
            now = (self._disk.openings, self._book.revision)
            # What was decided goes before what may be read later.
            if seen != now and not self._is_delivering():
                seen = now
                try:
                    await self._prefetch_once()
                except (ServiceError, StoreError):  # wait and try again: it is only for later
                    seen = (0, 0)
            await asyncio.sleep(_PREFETCH_EVERY)

    def _is_delivering(self) -> bool:
        """Whether decisions are on their way that are not held for the reviewer to undo."""
        counts, now = self._book.decision_counts, datetime.now(UTC)
        return any(counts.get(state) for state in OutboxState if state.is_open) and any(
            entry.state.is_open and (entry.held_until is None or entry.held_until <= now)
            for entry in self._book.decisions.values()
        )

    async def _prefetch_once(self) -> None:
        await self._disk(lambda store: store.remember("listed", "1"))
        limit = self._backend.settings.offline_bytes
        await self._reader.prefetch(tuple(self._book.gates.values()), limit, self._monitor.show_kept)


def _forget_old(store: TenantStore) -> None:
    store.outbox.forget_old(time.time())
    store.gates.forget_old()
    store.drafts.forget_old(time.time())


async def _let_go(work: Work) -> None:
    try:
        await work()
    except asyncio.CancelledError as end:
        # What its frames hold is the tenant's; without this it would stay until the collector comes round.
        traceback.clear_frames(end.__traceback__)


def _report(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()):
        _log.error("A session's work ended unexpectedly", exc_info=error)
