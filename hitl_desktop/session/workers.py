"""What works behind an open session: the cache first, then both directions, and the evidence for later."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from hitl_desktop.services.errors import ServiceError
from hitl_desktop.session.backend import Backend
from hitl_desktop.store.errors import StoreError
from hitl_desktop.store.tenant_store import StoreThread, TenantStore
from hitl_desktop.sync.book import GateBook
from hitl_desktop.sync.evidence import EvidenceReader
from hitl_desktop.sync.inbound import Inbound
from hitl_desktop.sync.monitor import Connectivity, Monitor, Phase
from hitl_desktop.sync.outbound import Outbound
from hitl_desktop.sync.recorder import Recorder

_CANCEL_AGAIN = 0.5
_PREFETCH_EVERY = 5.0
_AWAY = "You work offline: decisions wait in the outbox, and nothing is sent or read until you go online again."
_log = logging.getLogger(__name__)


class Workers:
    """The tasks of one session; `run` ends them all with it."""

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
        self._recorder = Recorder(disk, book)
        self._switched = asyncio.Event()

    async def run(self) -> None:
        """Load what is kept, then work until cancelled; while the reviewer works offline, only the disk is used."""
        unfollow = self._backend.on_switch(lambda _offline: self._switched.set())
        recording = None
        try:
            await self._load()
            recording = asyncio.create_task(self._recorder.run())
            while True:
                self._switched.clear()
                if self._backend.is_offline:
                    self._monitor.tell(Connectivity(Phase.AWAY, _AWAY))
                    await self._switched.wait()
                else:
                    await self._while_online()
        finally:
            unfollow()
            if recording is not None:
                await end(recording)
            await self._recorder.flush()

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
            await self._recorder.load()
            await self._outbound.reload()
            await self._disk(_forget_old)
        except StoreError as error:  # go on: what is kept cannot be shown, what the server has can
            self._recorder.problem = str(error)

    async def _while_online(self) -> None:
        self._monitor.tell(Connectivity(Phase.CONNECTING))
        works: tuple[Coroutine[Any, Any, None], ...] = (self._inbound.run(), self._outbound.run(), self._prefetch())
        tasks = [asyncio.create_task(work) for work in works]
        for task in tasks:
            task.add_done_callback(report)
        try:
            await self._switched.wait()
        finally:
            for task in tasks:
                await end(task)

    async def _prefetch(self) -> None:
        """Keep the evidence of what waits, now and whenever more has come."""
        seen: set[str] = set()
        while True:
            await self._monitor.reached(Phase.ONLINE)
            if seen != self._book.pending_ids:
                seen = set(self._book.pending_ids)
                try:
                    await self._prefetch_once()
                except (ServiceError, StoreError):  # wait and try again: it is only for later
                    seen = set()
            await asyncio.sleep(_PREFETCH_EVERY)

    async def _prefetch_once(self) -> None:
        await self._disk(lambda store: store.remember("listed", "1"))
        gates = [gate for name in tuple(self._book.pending_ids) if (gate := self._book.gates.get(name)) is not None]
        limit = self._backend.settings.offline_bytes
        await self._reader.prefetch(gates, limit, self._monitor.show_kept)


def _forget_old(store: TenantStore) -> None:
    import time

    store.outbox.forget_old(time.time())
    store.gates.forget_old()
    store.drafts.forget_old()


async def end(task: "asyncio.Task[Any]") -> None:
    """Cancel a task and wait until it has ended."""
    # Until Python 3.12, a cancellation that meets the end of a wait is lost: it is sent again until the task has ended.
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=_CANCEL_AGAIN)


def report(task: "asyncio.Task[Any]") -> None:
    """Log why a task of a session ended that should not have."""
    if not task.cancelled() and (error := task.exception()):
        _log.error("A session's work ended unexpectedly", exc_info=error)
