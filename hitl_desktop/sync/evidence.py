"""Whole gates with their evidence: from the server where it can be reached, else from what is kept on this machine."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import merge
from pathlib import Path

from hitl_desktop.domain.evidence import judge
from hitl_desktop.domain.gate import Gate, GateKind, GateStatus, Quarantined, Record
from hitl_desktop.services.codec import decode_bundle
from hitl_desktop.services.errors import NotFound, Unavailable
from hitl_desktop.services.evidence import Evidence, find_evidence, inline_evidence
from hitl_desktop.services.gates import Gates
from hitl_desktop.store.evidence import Found, Kept
from hitl_desktop.store.gates import listed
from hitl_desktop.store.tenant_store import StoreThread, TenantStore

_TOGETHER = 20
_PIECE = 5_000
_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class OpenGate:
    """A gate as a reviewer reads it: whole, with what was found for each piece of evidence.

    `is_kept` says that it is this machine's copy, as the server last told it.
    """

    gate: Gate
    evidence: tuple[Evidence, ...]
    is_kept: bool = False


class EvidenceReader:
    """Reads whole gates of one tenant and keeps what it has read. `folder` is where evidence lies by its path."""

    def __init__(self, gates: Gates, disk: StoreThread, folder: Path | None) -> None:
        self._gates = gates
        self._disk = disk
        self._folder = folder

    async def open(self, request_id: str) -> OpenGate:
        """Return the gate as the server has it now.

        Raises:
            NotFound: there is no such gate.
            ServiceError: it cannot be read.
        """
        return await self._found(await self._gates.get(request_id))

    async def open_kept(self, request_id: str, known: Gate | None = None) -> OpenGate:
        """Return the gate as it is kept on this machine; `known` is as it is listed, which is kept a little later.

        Raises:
            Unavailable: it is not kept.
            StoreError: the disk.
        """
        stored, kept = await self._disk(lambda store: (store.gates.find(request_id), store.evidence.find(request_id)))
        gate = known or stored
        if gate is None:
            raise NotFound(f"There is no gate {request_id!r} on this machine, and the server cannot be reached.")
        if kept is None or kept.fields.get(b"bundle_id", b"").decode("utf-8", "replace") != gate.evidence_bundle_id:
            raise Unavailable(
                "This gate's evidence is not kept on this machine, so it cannot be decided offline; it opens when the "
                "server is back."
            )
        return await asyncio.to_thread(_assembled, gate, kept)

    async def keep(self, found: OpenGate) -> None:
        """Keep a whole gate on this machine; in memory only, nothing is.

        Raises:
            StoreError: the disk is full.
        """
        await self._disk(lambda store: _keep(store, found))

    async def prefetch(self, gates: Sequence[Gate], limit: int, progress: Callable[[int, int], None]) -> None:
        """Keep the evidence of the pending ones among `gates`, most wanted first, up to `limit` bytes in all.

        Args:
            gates: as they are listed.
            limit: bytes; beyond it, what is wanted least goes, but nothing that a decision on its way refers to.
            progress: is called with how many are kept, of how many.

        Raises:
            ServiceError: the server.
            StoreError: the disk.
        """
        kept = await self._disk(lambda store: store.evidence.bundle_ids() if store.is_durable else None)
        # With a hundred thousand, each of these steps would hold the window for longer than a frame.
        lacking, total = await asyncio.to_thread(_lacking, gates, kept)
        missing = await asyncio.to_thread(wanted_order, lacking.values(), datetime.now(UTC))
        done = total - len(missing)
        progress(done, total)
        while missing:
            page = await self._gates.read(missing[:_TOGETHER], whole=True)
            for name, record in zip(missing, page, strict=False):
                done += 1
                if (
                    not isinstance(record, Quarantined)
                    and record.evidence_bundle_id == lacking[name].evidence_bundle_id
                ):
                    await self.keep(await self._found(record))
            del missing[: len(page)]
            progress(done, total)
            if await self._disk(lambda store: store.evidence.size()) > limit:
                await self._make_room(gates, limit)
                return

    async def _make_room(self, gates: Sequence[Gate], limit: int) -> None:
        wanted = await asyncio.to_thread(wanted_order, gates, datetime.now(UTC))
        await self._disk(lambda store: store.evidence.evict(limit, wanted))

    async def keep_listed(self, records: Sequence[Record], limit: int) -> None:
        """Keep gates that were read whole, and what their bundles carry, up to `limit` bytes in all.

        Raises:
            StoreError: the disk is full.
        """
        gates = [record for record in records if isinstance(record, Gate)]
        wanted = wanted_order(gates, datetime.now(UTC))
        kept = await self._disk(lambda store: _keep_list(store, gates))
        for gate in gates:
            if kept.get(gate.request_id) != gate.evidence_bundle_id:
                await self.keep(await self._found(gate))
        await self._disk(lambda store: store.evidence.evict(limit, wanted))

    async def listed_kept(self) -> list[Gate]:
        """Return the kept gates that wait, soonest to expire first; whole where their evidence is kept, too.

        Raises:
            StoreError: they cannot be read.
        """
        return await self._disk(_listed_kept)

    async def search(self, text: str) -> tuple[Found, ...]:
        """Return gates whose kept evidence holds every word of `text`.

        Raises:
            StoreError: the disk.
        """
        return await self._disk(lambda store: store.evidence.search(text))

    async def _found(self, gate: Gate) -> OpenGate:
        rendered = gate.kind is GateKind.CODE
        items = gate.bundle.items or ()
        found = [await asyncio.to_thread(find_evidence, item, self._folder, rendered=rendered) for item in items]
        return OpenGate(gate, tuple(found))


def wanted_order(gates: Iterable[Gate], now: datetime) -> list[str]:
    """Return the pending gates' ids, most wanted first: by turns the newest and the soonest to expire.

    Those whose time has run out, which can no longer be decided, come last.
    """
    waiting = [gate for gate in gates if gate.status is GateStatus.PENDING]
    pending = [gate for gate in waiting if not gate.is_overdue(now)]
    newest = _in_pieces(pending, lambda gate: gate.requested_at)[::-1]
    soonest = _in_pieces([gate for gate in pending if gate.expires_at], lambda gate: gate.expires_at or _NEVER)
    turns: dict[str, None] = {}
    for place, gate in enumerate(newest):
        if place < len(soonest):
            turns[soonest[place].request_id] = None
        turns[gate.request_id] = None
    turns.update(dict.fromkeys(gate.request_id for gate in waiting))
    return list(turns)


def _in_pieces(gates: Sequence[Gate], key: Callable[[Gate], datetime]) -> list[Gate]:
    """Return `gates` sorted by `key`: piece by piece, since a sort lets no other thread run until it is done."""
    pieces = (sorted(gates[first : first + _PIECE], key=key) for first in range(0, len(gates), _PIECE))
    return list(merge(*pieces, key=key))


def _lacking(gates: Iterable[Gate], kept: Mapping[str, str] | None) -> tuple[dict[str, Gate], int]:
    """Return those of the pending ones among `gates` whose bundle is not kept, and how many are pending."""
    pending = {gate.request_id: gate for gate in gates if gate.status is GateStatus.PENDING}
    if kept is None:
        return {}, len(pending)
    lacking = {name: gate for name, gate in pending.items() if kept.get(name) != gate.evidence_bundle_id}
    return lacking, len(pending)


def _keep_list(store: TenantStore, gates: Sequence[Gate]) -> dict[str, str]:
    """Keep the pending gates, those alone, and return which bundles are kept."""
    if not store.is_durable:
        return {gate.request_id: gate.evidence_bundle_id for gate in gates}
    there = {gate.request_id for gate in gates}
    gone = [gate.request_id for page in store.gates.pages(1_000) for gate in page if gate.status is GateStatus.PENDING]
    store.gates.put(map(listed, gates), [name for name in gone if name not in there])
    store.remember("listed", "1")
    return store.evidence.bundle_ids()


def _listed_kept(store: TenantStore) -> list[Gate]:
    found = []
    for page in store.gates.pages(1_000):
        for gate in page:
            if gate.status is GateStatus.PENDING:
                kept = store.evidence.find(gate.request_id)
                found.append(gate if kept is None else gate._replace(bundle=decode_bundle(kept.fields)))
    return sorted(found, key=lambda gate: gate.expires_at or _NEVER)


def opened_from(gate: Gate, fields: Mapping[bytes, bytes]) -> OpenGate:
    """Return `gate` with the bundle that `fields` make, and the evidence that the bundle itself carries."""
    bundle = decode_bundle(fields)
    return OpenGate(gate._replace(bundle=bundle), tuple(map(inline_evidence, bundle.items or ())), is_kept=True)


def _assembled(gate: Gate, kept: Kept) -> OpenGate:
    bundle = decode_bundle(kept.fields)
    evidence = []
    for position, item in enumerate(bundle.items or ()):
        content = kept.contents.get(position)
        if content is None:
            evidence.append(inline_evidence(item))
        else:
            evidence.append(Evidence(item, content, judge(item, content, rendered=gate.kind is GateKind.CODE)))
    return OpenGate(gate._replace(bundle=bundle), tuple(evidence), is_kept=True)


def _keep(store: TenantStore, found: OpenGate) -> None:
    if not store.is_durable:
        return
    gate = found.gate
    contents = {
        position: piece.content
        for position, piece in enumerate(found.evidence)
        if piece.content is not None and inline_evidence(piece.item).content is None
    }
    texts = [text for piece in found.evidence if (text := piece.text)]
    kept = Kept(gate.bundle.fields, gate.bundle.digest, contents)
    store.evidence.put(gate.request_id, gate.evidence_bundle_id, kept, gate.summary, [gate.summary, *texts])
