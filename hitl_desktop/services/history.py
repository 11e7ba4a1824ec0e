"""What was decided, from the audit stream and the decision logs."""

from collections.abc import Mapping
from datetime import datetime

import msgpack

from hitl_desktop.domain.decision import Decided
from hitl_desktop.domain.gate import Gate
from hitl_desktop.domain.time import parse_time
from hitl_desktop.services import scripts
from hitl_desktop.services.codec import decode_object, decode_texts
from hitl_desktop.services.connection import Connection, understood
from hitl_desktop.tenancy import TenantNames, require_tenant
from hitl_desktop.tenancy.audit import TenantRecord

DECIDED_SHOWN = 1_000
"""How many of the newest decisions are shown as decided (wire.md, A decision)."""
_PAGE = 1_000
_PAGES = 10


class History:
    """The decisions of the tenant that `names` was made for, and the reviewers' coming and leaving."""

    def __init__(self, connection: Connection, names: TenantNames) -> None:
        self._connection = connection
        self._names = names

    async def recent(self) -> tuple[Decided, ...]:
        """Return the newest decisions, newest first, one for each gate; entries that cannot be read are passed over.

        Raises:
            ServiceError: the audit stream cannot be read.
        """
        require_tenant(self._names.tenant_id)
        found: dict[str, Decided] = {}
        newest = "+"
        for _ in range(_PAGES):
            entries = await self._connection.read("XREVRANGE", self._names.audit, newest, "-", "COUNT", _PAGE)
            with understood(self._connection.address):
                for _entry_id, fields in entries:
                    if fields.get(b"event") == b"gate_decision":
                        decided = _decided(fields)
                        found.setdefault(decided.request_id, decided)
                if len(entries) < _PAGE or len(found) >= DECIDED_SHOWN:
                    break
                newest = f"({entries[-1][0].decode()}"
        return tuple(found.values())[:DECIDED_SHOWN]

    async def record(self, entry: TenantRecord) -> None:
        """Write to the audit stream that a reviewer came or left. It is not repeated: a lost reply leaves it unknown.

        Raises:
            ServiceError: it was not written, or (Interrupted) may have been.
        """
        require_tenant(self._names.tenant_id)
        flat = [part for pair in entry.stream_fields().items() for part in pair]
        packed = msgpack.packb(flat, use_bin_type=False)
        await self._connection.write(scripts.AUDIT, [self._names.audit], [packed])


async def decider(connection: Connection, names: TenantNames, gate: Gate) -> Decided | None:
    """Return who decided `gate` according to its task's decision log; None if the log does not say.

    Raises:
        ServiceError: the log cannot be read.
    """
    require_tenant(names.tenant_id)
    entries = await connection.read("LRANGE", names.decision_log(gate.task_id), -_PAGE, -1)
    with understood(connection.address):
        for text in reversed(entries):
            entry = decode_object(text) or {}
            if entry.get("event") == "gate_decision" and entry.get("request_id") == gate.request_id:
                return _decided({str(name).encode(): str(value).encode() for name, value in entry.items()})
    return None


def decided_in(request_id: str, fields: Mapping[bytes, bytes]) -> Decided:
    """Return how a gate was decided, from its hash."""
    return Decided(
        request_id=request_id,
        status=_text(fields, b"status"),
        decision_id=_text(fields, b"decision_id"),
        reviewer=_text(fields, b"reviewer"),
        reason=_text(fields, b"reason"),
        conditions=decode_texts(fields.get(b"conditions") or b"[]"),
        decided_at=_moment(fields, b"decided_at"),
    )


def _decided(fields: Mapping[bytes, bytes]) -> Decided:
    approved = _text(fields, b"approved").lower() == "true"
    return Decided(
        request_id=_text(fields, b"request_id"),
        status="approved" if approved else "rejected",
        decision_id=_text(fields, b"decision_id"),
        reviewer=_text(fields, b"reviewer"),
        reason=_text(fields, b"reason"),
        decided_at=_moment(fields, b"timestamp"),
    )


def _text(fields: Mapping[bytes, bytes], name: bytes) -> str:
    return fields.get(name, b"").decode("utf-8", "replace")


def _moment(fields: Mapping[bytes, bytes], name: bytes) -> datetime | None:
    try:
        return parse_time(_text(fields, name))
    except (ValueError, OverflowError):
        return None
