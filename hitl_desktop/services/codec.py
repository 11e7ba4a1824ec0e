"""The wire's records as domain values. One bad record costs only itself: it becomes a quarantined one."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from hitl_desktop.domain.event import Event
from hitl_desktop.domain.evidence import EvidenceBundle, EvidenceItem
from hitl_desktop.domain.gate import Gate, GateStatus, Quarantined
from hitl_desktop.domain.time import parse_time

_ITEMS = msgspec.json.Decoder(tuple[EvidenceItem, ...])
_TEXTS = msgspec.json.Decoder(tuple[str, ...])
_OBJECT = msgspec.json.Decoder(dict[str, Any])
_STATUSES = {status.value.encode(): status for status in GateStatus}
_REQUIRED = (b"request_id", b"task_id", b"session_id", b"gate_type", b"status", b"evidence_bundle_id", b"requested_at")
_RAW_SHOWN = 2_000


class _Bad(Exception):  # noqa: N818 - never leaves this module
    """Why a record cannot be read."""


def decode_gate(key: str, request_id: str, reply: Sequence[Any]) -> Gate | Quarantined:
    """Return the gate in one entry of the script `read_gates`, or its record quarantined with the reason.

    Args:
        key: the gate's key, which names a quarantined record.
        request_id: the id under which it was asked for.
        reply: gate, bundle and the names left out, as the script packs them.
    """
    gate, bundle, left_out = reply
    try:
        return _gate(request_id, _fields(gate, "gate"), _fields(bundle, "evidence bundle"), left_out)
    except _Bad as bad:
        return Quarantined(key, str(bad), _shown(gate))


def decode_event(
    key: str, entry_id: bytes, fields: Mapping[bytes, bytes], tenant_id: str | None
) -> Event | Quarantined | None:
    """Return one entry of the event stream; None for the initial entry (wire.md, faults, 1).

    An entry that lacks the tenant of its stream, or names another, is quarantined and never processed.
    """
    if b"_init" in fields and b"event_type" not in fields:
        return None
    place = f"{key} {entry_id.decode()}"
    try:
        event = Event(
            entry_id=entry_id.decode(),
            event_type=_text(fields, b"event_type"),
            session_id=_text(fields, b"session_id"),
            task_id=_text(fields, b"task_id", default=""),
            tenant_id=_text(fields, b"tenant_id", default=""),
            timestamp=_text(fields, b"timestamp", default=""),
            metadata=_OBJECT.decode(fields.get(b"metadata") or b"{}"),
        )
    except (_Bad, msgspec.MsgspecError, UnicodeDecodeError) as error:
        return Quarantined(place, f"the event cannot be read: {error}", _shown(fields))
    if tenant_id is not None and event.tenant_id != tenant_id:
        reason = (
            "the event names no tenant" if not event.tenant_id else "the event names another tenant than its stream"
        )
        return Quarantined(place, reason, _shown(fields))
    return event


def decode_object(text: bytes) -> Mapping[str, Any] | None:
    """Return the JSON object in `text`; None if it is none."""
    try:
        return _OBJECT.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def decode_texts(text: bytes) -> tuple[str, ...]:
    """Return the JSON list of texts in `text`; nothing if it is none."""
    try:
        return _TEXTS.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ()


def _gate(
    request_id: str, gate: Mapping[bytes, bytes], bundle: Mapping[bytes, bytes], left_out: Sequence[bytes]
) -> Gate:
    for name in _REQUIRED:
        if not gate.get(name):
            raise _Bad(f"the gate has no {name.decode()}")
    if (status := _STATUSES.get(gate[b"status"])) is None:
        raise _Bad(f"the status {_readable(gate[b'status'])!r} is not one of {', '.join(GateStatus)}")
    if _text(gate, b"request_id") != request_id:
        raise _Bad("the gate's request_id is not the one it is filed under")
    expires_text = _text(gate, b"expires_at", default="")
    return Gate(
        request_id=request_id,
        task_id=_text(gate, b"task_id"),
        session_id=_text(gate, b"session_id"),
        gate_type=_text(gate, b"gate_type"),
        status=status,
        evidence_bundle_id=_text(gate, b"evidence_bundle_id"),
        requested_by=_text(gate, b"requested_by", default=""),
        requested_at=_time(gate, b"requested_at"),
        bundle=_bundle(bundle, left_out),
        expires_at=_time(gate, b"expires_at") if expires_text else None,
        expires_text=expires_text,
        decision_id=_text(gate, b"decision_id", default=""),
        reviewer=_text(gate, b"reviewer", default=""),
        reason=_text(gate, b"reason", default=""),
        conditions=decode_texts(gate.get(b"conditions") or b"[]"),
        decided_at=_time(gate, b"decided_at") if gate.get(b"decided_at") else None,
    )


def _bundle(fields: Mapping[bytes, bytes], left_out: Sequence[bytes]) -> EvidenceBundle:
    items: tuple[EvidenceItem, ...] | None = None
    if not left_out:
        try:
            items = _ITEMS.decode(fields.get(b"items") or b"[]")
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise _Bad(f"the evidence items are not as agreed: {error}") from None
    return EvidenceBundle(
        bundle_id=_text(fields, b"bundle_id"),
        task_id=_text(fields, b"task_id", default=""),
        gate_type=_text(fields, b"gate_type", default=""),
        git_sha=_text(fields, b"git_sha", default=""),
        summary=_text(fields, b"summary", default="") if b"summary" not in left_out else _readable(fields[b"summary"]),
        created_at=_time(fields, b"created_at") if fields.get(b"created_at") else None,
        items=items,
        fields=fields,
    )


def _fields(reply: Any, what: str) -> dict[bytes, bytes]:
    if reply is False or reply is None:
        raise _Bad(f"the {what} does not exist")
    if isinstance(reply, bytes):
        raise _Bad(f"the {what} cannot be read: {_readable(reply)}")
    return dict(zip(reply[::2], reply[1::2], strict=True))


def _text(fields: Mapping[bytes, bytes], name: bytes, default: str | None = None) -> str:
    value = fields.get(name)
    if value is None or (value == b"" and default is None):
        if default is None:
            raise _Bad(f"there is no {name.decode()}")
        return default
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise _Bad(f"{name.decode()} is not UTF-8 text") from None


def _time(fields: Mapping[bytes, bytes], name: bytes) -> datetime:
    text = _text(fields, name)
    try:
        return parse_time(text)
    except (ValueError, OverflowError):
        raise _Bad(f"{name.decode()} is {text[:80]!r}, which is no time") from None


def _readable(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _shown(reply: Any) -> str:
    """Return what there is of a record, for the eye: one `name: value` a line, cut to a page."""
    if isinstance(reply, bytes):
        return _readable(reply)[:_RAW_SHOWN]
    if isinstance(reply, Mapping):
        pairs = iter(reply.items())
    elif isinstance(reply, (list, tuple)):
        pairs = zip(reply[::2], reply[1::2], strict=False)
    else:
        return ""
    return "\n".join(f"{_readable(name)}: {_readable(value)}" for name, value in pairs)[:_RAW_SHOWN]
