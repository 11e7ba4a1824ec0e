"""Keeps what the server told on this machine: every change of the book, gathered and written in the store's thread."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from hitl_desktop.domain.gate import Gate
from hitl_desktop.store.errors import StoreError
from hitl_desktop.store.tenant_store import StoreThread, TenantStore
from hitl_desktop.sync.book import Change, GateBook

CACHED_PAGE = 500
_GATHERED_FOR = 0.2
_WRITTEN_TOGETHER = 250


class Recorder:
    """Writes a book's changes as long as `run` runs, whenever `calm` returns.

    `problem` says why they cannot be kept; empty where they are.
    """

    def __init__(self, disk: StoreThread, book: GateBook, calm: Callable[[], Awaitable[None]]) -> None:
        self._disk = disk
        self._calm = calm
        self._book = book
        self._noted: deque[Change] = deque()
        self._changed = asyncio.Event()
        self._opening = 0
        self.begun = asyncio.Event()
        """Set once the first kept gates are in the book, or none are to come."""
        self.problem = ""

    async def load(self) -> None:
        """Put what is kept into the book, the first rows at once.

        Raises:
            StoreError: it cannot be read.
        """
        try:
            pages = await self._disk(lambda store: store.gates.pages(CACHED_PAGE) if store.is_durable else iter(()))
            self._opening = self._disk.openings
            while page := await self._disk(lambda _store: next(pages, None)):
                self._book.put(((gate.request_id, gate) for gate in page), bulk=True)
                self.begun.set()
        finally:
            self.begun.set()

    async def run(self) -> None:
        """Follow the book until cancelled."""
        self._book.follow(self.note, replay=False)
        try:
            while True:
                await self._changed.wait()
                await asyncio.sleep(_GATHERED_FOR)
                # Writing would take from what is under way; what is lost if that is cut short comes again.
                await self._calm()
                await self.flush()
        finally:
            self._book.unfollow(self.note)

    def note(self, change: Change) -> None:
        """Take note of a change."""
        if change.gates or change.gone:
            self._noted.append(change)
            self._changed.set()

    async def flush(self) -> None:
        """Write what was gathered. A full disk keeps nobody from reviewing: it is told, and tried again later."""
        self._changed.clear()
        while self._noted:
            taken = self._take()
            try:
                await self._disk(partial(_put, gates=taken.gates, gone=taken.gone))
            except StoreError as error:
                self.problem = str(error)
                self._noted.appendleft(taken)
                return
            self.problem = ""
            if self._disk.openings != self._opening:
                # Another file took the place of one that was damaged: it gets all that is known.
                self._opening = self._disk.openings
                self._noted = deque(Change((gate,)) for gate in self._book.gates.values())

    def _take(self) -> Change:
        """Take the oldest changes, as many as are written together, as one."""
        gates: dict[str, Gate] = {}
        gone: set[str] = set()
        while self._noted and len(gates) < _WRITTEN_TOGETHER:
            change = self._noted.popleft()
            for name in change.gone:  # also what came just before; what comes again after is written behind it
                gates.pop(name, None)
            gone.update(change.gone)
            gates.update((gate.request_id, gate) for gate in change.gates)
        return Change(tuple(gates.values()), gone=tuple(gone))


def _put(store: TenantStore, gates: Sequence[Gate], gone: Sequence[str]) -> None:
    if store.is_durable:
        store.gates.put(gates, gone)
