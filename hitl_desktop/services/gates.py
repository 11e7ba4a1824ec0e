"""One tenant's gates in Redis: read, request, decide, expire."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any

import msgpack

from hitl_desktop.domain.decision import Decided, Decision
from hitl_desktop.domain.event import EventType
from hitl_desktop.domain.gate import Gate, Record
from hitl_desktop.domain.time import epoch, format_time
from hitl_desktop.services import scripts
from hitl_desktop.services.codec import BUNDLE_FIELDS, GATE_FIELDS, decode_gates
from hitl_desktop.services.connection import Connection, understood
from hitl_desktop.services.encoding import GateRequest, decision_record, gate_event, request_record
from hitl_desktop.services.errors import (
    AlreadyDecided,
    Conflict,
    EvidenceChanged,
    Interrupted,
    Malformed,
    NotFound,
    Overdue,
    ServiceError,
)
from hitl_desktop.services.history import decided_in, decider
from hitl_desktop.tenancy import TenantNames, require_tenant

PAGE = 100
"""Gates in one reply: few enough for it to fit into a socket's buffer, or the server waits for us to read it."""
LISTED_FIELD = 16 * 1024
REPLY_BUDGET = 512 * 1024
_WHOLE = 512 * 1024 * 1024
_IDS = 20_000
_MOST = 10_000_000


class Standing(StrEnum):
    """Where a decision stands on the server: written, or its gate is pending, decided otherwise, or gone."""

    WRITTEN = "written"
    PENDING = "pending"
    DECIDED = "decided"
    GONE = "gone"


class Gates:
    """The gates of the tenant that `names` was made for."""

    def __init__(self, connection: Connection, names: TenantNames) -> None:
        self._connection = connection
        self._names = names

    async def pending_ids(self) -> tuple[str, ...]:
        """Return the ids of all gates that wait, soonest to expire first, as one moment had them.

        Raises:
            ServiceError: the pending set cannot be read.
        """
        require_tenant(self._names.tenant_id)
        key = self._names.pending_gates
        count = await self.count_pending()
        # Ranks shift when a gate leaves, so the slices are read as one transaction; each stays under 1 MiB.
        slices = [("ZRANGE", key, start, start + _IDS - 1) for start in range(0, count + _IDS, _IDS)]
        replies = await self._connection.read_together(slices)
        found: list[str] = []
        for reply in replies:
            with understood(self._connection.address):
                found += [member.decode("utf-8", "replace") for member in reply]
            await asyncio.sleep(0)  # others have their turn: there may be a hundred thousand
        return tuple(found)

    async def count_pending(self) -> int:
        """Return how many gates wait.

        Raises:
            ServiceError: the pending set cannot be read.
        """
        require_tenant(self._names.tenant_id)
        count = await self._connection.read("ZCARD", self._names.pending_gates)
        with understood(self._connection.address):
            if not 0 <= int(count) <= _MOST:
                raise ValueError(f"{count} gates cannot wait")
            return int(count)

    async def read(self, request_ids: Sequence[str], *, whole: bool = False) -> list[Record]:
        """Return the gates named, with their bundles; at most as many as one reply holds, but at least one.

        Args:
            request_ids: at most `PAGE` ids.
            whole: also read fields over `LISTED_FIELD` bytes, which a list leaves out.

        Raises:
            ServiceError: nothing can be read; a single bad record is returned quarantined instead.
        """
        require_tenant(self._names.tenant_id)
        prefix = self._names.gate_request("")
        keys = [prefix + request_id for request_id in request_ids]
        limit = _WHOLE if whole else LISTED_FIELD
        arguments: list[str | int] = [
            limit,
            REPLY_BUDGET,
            self._names.evidence_bundle(""),
            int(whole),
            len(GATE_FIELDS),
        ]
        names = (*GATE_FIELDS, *BUNDLE_FIELDS)
        packed = await self._connection.run(scripts.READ_GATES, keys, [*arguments, *names])
        with understood(self._connection.address):
            records = decode_gates(keys, request_ids, packed)
        if request_ids and not records:
            raise Malformed(f"The server at {self._connection.address} was asked for gates and told of none.")
        return records

    async def read_all(self, request_ids: Sequence[str], *, whole: bool = False) -> AsyncIterator[list[Record]]:
        """Yield the gates named, in their order, page by page.

        Raises:
            ServiceError: as for `read`.
        """
        require_tenant(self._names.tenant_id)
        start = 0
        while start < len(request_ids):
            page = await self.read(request_ids[start : start + PAGE], whole=whole)
            start += len(page)
            yield page

    async def get(self, request_id: str) -> Gate:
        """Return one gate with its whole bundle.

        Raises:
            NotFound: there is no such gate.
            Malformed: its record cannot be read.
            ServiceError: as for `read`.
        """
        record = (await self.read([request_id], whole=True))[0]
        if isinstance(record, Gate):
            return record
        if record.reason == "the gate does not exist":
            raise NotFound(f"There is no gate {request_id!r} here; list the gates to see which there are.")
        raise Malformed(f"Gate {request_id!r} cannot be decided because its record is damaged: {record.reason}.")

    async def decide(self, decision: Decision, gate: Gate) -> Decided:
        """Write `decision` about `gate`, as it was on the reviewer's screen, in one atomic step.

        The same decision_id sent again returns the first result and writes nothing.

        Raises:
            AlreadyDecided: someone else decided first; the error says who, what and when.
            Overdue: its time has run out, by the server's clock.
            EvidenceChanged: the bundle or the deadline is not what `gate` shows.
            NotFound: the gate is gone.
            Interrupted: the connection was lost after sending; send the same decision again to learn what happened.
            ServiceError: Unavailable, Refused or Malformed; nothing was written.
        """
        require_tenant(self._names.tenant_id)
        ask = decision_record(decision, gate, self._names.tenant_id)
        return await self._judge(decision, gate, *await self._write(scripts.DECIDE, self._keys(gate), ask))

    async def _judge(self, decision: Decision, gate: Gate, outcome: str, fields: Mapping[bytes, bytes]) -> Decided:
        if outcome in {"written", "repeated"}:
            decided = Decided.by(decision) if outcome == "written" else decided_in(decision.request_id, fields)
            if decided.status != decision.verdict:
                raise AlreadyDecided(decided)
            return decided
        if outcome == "decided":
            raise await self._conflict(gate, fields)
        raise _refusal(outcome)

    async def deliver(self, together: Sequence[tuple[Decision, Gate]]) -> list[ServiceError | None]:
        """Write several decisions, sent as one; return for each what `decide` would raise, None where it is written.

        Each is a step of its own: one that conflicts costs no other. Gates need their bundles' fields.

        Raises:
            Unavailable: nothing was sent.
            Interrupted: the connection was lost after sending; send the same decisions again to learn what happened.
        """
        require_tenant(self._names.tenant_id)
        calls = [
            (self._keys(gate), [_packed(decision_record(decision, gate, self._names.tenant_id))])
            for decision, gate in together
        ]
        replies = await self._connection.write_together(scripts.DECIDE, calls)
        return [
            None if reply == _WRITTEN else await self._judged(decision, gate, reply)
            for (decision, gate), reply in zip(together, replies, strict=True)
        ]

    async def _judged(self, decision: Decision, gate: Gate, reply: Any) -> ServiceError | None:
        if isinstance(reply, ServiceError):
            return reply
        try:
            await self._judge(decision, gate, *self._outcome(reply))
        except ServiceError as error:
            return error
        return None

    async def standing(self, together: Sequence[tuple[Decision, Gate]]) -> list[Standing]:
        """Return where each decision stands on the server, which may have lost what it once wrote.

        Raises:
            ServiceError: it cannot be asked.
        """
        require_tenant(self._names.tenant_id)
        commands = [
            ("HMGET", self._names.gate_request(gate.request_id), "decision_id", "status") for _, gate in together
        ]
        found = await self._connection.read_together(commands)
        standings = []
        with understood(self._connection.address):
            pairs = [(decision_id, status) for decision_id, status in found]
            asked = list(zip(together, pairs, strict=True))
        for (decision, gate), (decision_id, status) in asked:
            if decision_id == decision.decision_id.encode() or await self._is_logged(decision, gate):
                standings.append(Standing.WRITTEN)
            elif status is None:
                standings.append(Standing.GONE)
            else:
                standings.append(Standing.PENDING if status == b"pending" else Standing.DECIDED)
        return standings

    async def _is_logged(self, decision: Decision, gate: Gate) -> bool:
        entries = await self._connection.read("LRANGE", self._names.decision_log(gate.task_id), 0, -1)
        with understood(self._connection.address):
            return any(decision.decision_id.encode() in entry for entry in entries)

    async def outcome(self, gate: Gate) -> Decided:
        """Return how `gate`, which is no longer pending, was decided.

        Raises:
            ServiceError: its task's decision log, which knows an orchestrator's own decisions, cannot be read.
        """
        require_tenant(self._names.tenant_id)
        known = Decided(
            request_id=gate.request_id,
            status=gate.status,
            decision_id=gate.decision_id,
            reviewer=gate.reviewer,
            reason=gate.reason,
            conditions=gate.conditions,
            decided_at=gate.decided_at,
        )
        return await self._with_decider(gate, known)

    async def expire(self, gate: Gate) -> None:
        """End `gate`, whose time has run out: set it expired, take it off the pending set, publish gate_expired.

        Raises:
            AlreadyDecided: it was decided in time.
            Conflict: its time has not run out by the server's clock, or its deadline changed.
            NotFound: the gate is gone.
            ServiceError: as for `decide`.
        """
        require_tenant(self._names.tenant_id)
        if gate.expires_at is None:
            raise Conflict("This gate has no deadline, so it does not expire.")
        metadata = {"request_id": gate.request_id}
        event = gate_event(EventType.GATE_EXPIRED, gate, self._names.tenant_id, metadata, format_time(gate.expires_at))
        ask = {
            "request_id": gate.request_id,
            "expires_text": gate.expires_text,
            "expires_epoch": epoch(gate.expires_at),
            "event": event,
        }
        keys = [self._names.gate_request(gate.request_id), self._names.pending_gates, self._names.events]
        outcome, fields = await self._write(scripts.EXPIRE, keys, ask)
        if outcome == "decided" and fields.get(b"status") != b"expired":
            raise await self._conflict(gate, fields)
        if outcome == "early":
            raise Conflict("This gate's time has not run out by the server's clock.")
        if outcome in _REFUSALS:
            raise _refusal(outcome)

    async def request(self, request: GateRequest) -> bool:
        """Ask for a decision, exactly as the orchestrator does, in one atomic step.

        Returns:
            Whether it was written; False if a gate of that request_id exists, which is left as it is.

        Raises:
            Interrupted: the connection was lost after sending; sending the same request again is safe.
            ServiceError: Unavailable, Refused or Malformed; nothing was written.
        """
        require_tenant(self._names.tenant_id)
        ask = request_record(request, self._names.tenant_id)
        bundle_key = self._names.evidence_bundle(request.bundle["bundle_id"])
        keys = self._key_list(request.request_id, bundle_key, request.task_id)
        outcome, _ = await self._write(scripts.REQUEST, keys, ask)
        return outcome == "written"

    def _keys(self, gate: Gate) -> list[str]:
        return self._key_list(gate.request_id, self._names.evidence_bundle(gate.evidence_bundle_id), gate.task_id)

    def _key_list(self, request_id: str, bundle_key: str, task_id: str) -> list[str]:
        names = self._names
        log = names.decision_log(task_id)
        return [names.gate_request(request_id), bundle_key, names.pending_gates, log, names.audit, names.events]

    async def _write(
        self, script: scripts.Script, keys: Sequence[str], ask: Mapping[str, Any]
    ) -> tuple[str, dict[bytes, bytes]]:
        return self._outcome(await self._connection.write(script, keys, [_packed(ask)]))

    def _outcome(self, reply: Sequence[Any]) -> tuple[str, dict[bytes, bytes]]:
        """Return what a script that writes replied: a word, and a gate's fields where it tells them.

        Raises:
            Interrupted: it cannot be read, so what was sent may have been done.
        """
        with understood(self._connection.address, else_=Interrupted):
            outcome, *rest = reply
            flat = rest[0] if rest else []
            word = _WORDS[outcome]
            if not all(isinstance(part, bytes) for part in flat):
                raise TypeError("a gate's fields are not text")
            return word, dict(zip(flat[::2], flat[1::2], strict=True))

    async def _conflict(self, gate: Gate, fields: Mapping[bytes, bytes]) -> Conflict:
        decided = decided_in(gate.request_id, fields)
        if decided.status == "expired":
            return Overdue()
        return AlreadyDecided(await self._with_decider(gate, decided))

    async def _with_decider(self, gate: Gate, decided: Decided) -> Decided:
        # An orchestrator's own decision leaves no reviewer in the hash (wire.md, A decision).
        if decided.reviewer or decided.status == "expired":
            return decided
        return await decider(self._connection, self._names, gate) or decided


def _packed(ask: Mapping[str, Any]) -> bytes:
    packed: bytes = msgpack.packb(ask, use_bin_type=False)
    return packed


def _gone() -> NotFound:
    return NotFound("This gate no longer exists on the server, so nothing was decided.")


_REFUSALS: Mapping[str, Callable[[], ServiceError]] = {
    "missing": _gone,
    "changed": EvidenceChanged,
    "overdue": Overdue,
}


_WRITTEN = [b"written"]
_WORDS = {word.encode(): word for word in ("written", "repeated", "decided", "exists", "early", *_REFUSALS)}
"""What the scripts that write may reply."""


def _refusal(outcome: str) -> ServiceError:
    if outcome not in _REFUSALS:
        return Interrupted(f"The server answered {outcome!r}, which is no answer to this, so what was done is unknown.")
    return _REFUSALS[outcome]()
