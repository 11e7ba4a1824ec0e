"""The wire's records as domain values. One bad record costs only itself: it becomes a quarantined one."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgpack
import msgspec

from hitl_desktop.domain.event import Event
from hitl_desktop.domain.evidence import EvidenceBundle, EvidenceItem
from hitl_desktop.domain.gate import Gate, GateStatus, Quarantined
from hitl_desktop.domain.time import parse_time

_ITEMS = msgspec.json.Decoder(tuple[EvidenceItem, ...])
_TEXTS = msgspec.json.Decoder(tuple[str, ...])
_OBJECT = msgspec.json.Decoder(dict[str, Any])
_STATUSES = {status.value: status for status in GateStatus}
GATE_FIELDS = (
    "evidence_bundle_id",
    "request_id",
    "task_id",
    "session_id",
    "gate_type",
    "status",
    "requested_at",
    "requested_by",
    "expires_at",
    "decision_id",
    "reviewer",
    "reason",
    "conditions",
    "decided_at",
)
"""The fields of a gate's hash that are read, in this order; the first seven are required."""
BUNDLE_FIELDS = ("bundle_id", "summary", "items")
"""The fields of a bundle's hash that are shown, in this order."""
_RAW_SHOWN = 2_000


class _Bad(Exception):  # noqa: N818 - never leaves this module
    """Why a record cannot be read."""


def decode_gates(keys: Sequence[str], request_ids: Sequence[str], packed: bytes) -> list[Gate | Quarantined]:
    """Return the gates in one reply of the script `read_gates`, each bad record quarantined with its reason.

    Args:
        keys: the gates' keys, which name quarantined records.
        request_ids: the ids under which they were asked for, in the same order; the reply may hold fewer.
        packed: the reply.
    """
    try:
        entries, is_clean = msgpack.unpackb(packed, strict_map_key=False), True
    except UnicodeDecodeError:
        # One byte that is not UTF-8 must cost no other record: it becomes a surrogate, and its record is found below.
        entries, is_clean = msgpack.unpackb(packed, strict_map_key=False, unicode_errors="surrogateescape"), False
    return [
        _decode(key, name, entry, is_clean=is_clean)
        for key, name, entry in zip(keys, request_ids, entries, strict=False)
    ]


def _decode(key: str, request_id: str, entry: Sequence[Any], *, is_clean: bool) -> Gate | Quarantined:
    gate: Any = None
    try:
        gate, bundle, left_out, whole = entry
        values, found = _values(gate, "gate"), _values(bundle, "evidence bundle")
        if not is_clean:
            _check(GATE_FIELDS, values)
            _check(BUNDLE_FIELDS, found)
        fields = {_raw(name): _raw(value) for name, value in (whole or {}).items()}
        return _gate(request_id, values, _bundle(found, fields, left_out=left_out))
    except _Bad as bad:
        return Quarantined(key, str(bad), _shown(gate))
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        return Quarantined(key, f"the record is not as agreed: {str(error)[:80]}", _shown(gate))


def decode_bundle(fields: dict[bytes, bytes]) -> EvidenceBundle:
    """Return the bundle that `fields`, all of its hash's, make.

    Raises:
        ValueError: they make none.
    """
    bundle_id, summary, items = (fields.get(name.encode(), b"").decode("utf-8", "replace") for name in BUNDLE_FIELDS)
    try:
        return _bundle((bundle_id, summary, items), fields, left_out=False)
    except _Bad as bad:
        raise ValueError(str(bad)) from None


def decode_event(
    key: str, entry_id: bytes, fields: Mapping[bytes, bytes], tenant_id: str | None
) -> Event | Quarantined | None:
    """Return one entry of the event stream; None for the initial entry (wire.md, faults, 1).

    An entry that lacks the tenant of its stream, or names another, is quarantined and never processed.
    """
    if b"_init" in fields and b"event_type" not in fields:
        return None
    try:
        event = Event(
            entry_id=entry_id.decode(),
            event_type=_required(fields, b"event_type"),
            session_id=_required(fields, b"session_id"),
            task_id=_text(fields, b"task_id"),
            tenant_id=_text(fields, b"tenant_id"),
            timestamp=_text(fields, b"timestamp"),
            metadata=_OBJECT.decode(fields.get(b"metadata") or b"{}"),
        )
    except (_Bad, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        reason = f"the event cannot be read: {error}"
    else:
        if tenant_id is None or event.tenant_id == tenant_id:
            return event
        reason = "the event names another tenant than its stream" if event.tenant_id else "the event names no tenant"
    return Quarantined(f"{key} {entry_id.decode()}", reason, _shown(fields))


def decode_object(text: bytes) -> Mapping[str, Any] | None:
    """Return the JSON object in `text`; None if it is none."""
    try:
        return _OBJECT.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def decode_texts(text: bytes | str) -> tuple[str, ...]:
    """Return the JSON list of texts in `text`; nothing if it is none."""
    try:
        return _TEXTS.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return ()


def _gate(request_id: str, values: Sequence[Any], bundle: EvidenceBundle) -> Gate:
    bundle_id, filed_as, task_id, session_id, gate_type, status_text, requested_at, requested_by, expires_text = values[
        :9
    ]
    if not (bundle_id and filed_as and task_id and session_id and gate_type and status_text and requested_at):
        raise _Bad(
            f"the gate has no {next(name for name, value in zip(GATE_FIELDS, values, strict=True) if not value)}"
        )
    status = _STATUSES.get(status_text)
    if status is None:
        raise _Bad(f"the status {status_text[:80]!r} is not one of {', '.join(GateStatus)}")
    if filed_as != request_id:
        raise _Bad("the gate's request_id is not the one it is filed under")
    gate = Gate(
        request_id,
        task_id,
        session_id,
        gate_type,
        status,
        bundle_id,
        requested_by or "",
        _time("requested_at", requested_at),
        bundle,
        _time("expires_at", expires_text) if expires_text else None,
        expires_text or "",
    )
    return gate if status is GateStatus.PENDING else _decided(gate, *values[9:])


def _decided(gate: Gate, decision_id: Any, reviewer: Any, reason: Any, conditions: Any, decided_at: Any) -> Gate:
    return gate._replace(
        decision_id=decision_id or "",
        reviewer=reviewer or "",
        reason=reason or "",
        conditions=decode_texts(conditions or "[]"),
        decided_at=_time("decided_at", decided_at) if decided_at else None,
    )


def _bundle(values: Sequence[Any], fields: dict[bytes, bytes], *, left_out: bool) -> EvidenceBundle:
    bundle_id, summary, items_text = values
    if not bundle_id:
        raise _Bad("the evidence bundle has no bundle_id")
    items: tuple[EvidenceItem, ...] | None = None
    if not left_out:
        try:
            items = _ITEMS.decode(items_text or "[]")
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise _Bad(f"the evidence items are not as agreed: {error}") from None
    return EvidenceBundle(bundle_id, summary or "", items, fields)


def _values(reply: Any, what: str) -> list[Any]:
    if isinstance(reply, list):
        return reply
    if isinstance(reply, str):
        raise _Bad(f"the {what} cannot be read: {reply}")
    raise _Bad(f"the {what} does not exist")


def _check(names: Sequence[str], values: Sequence[Any]) -> None:
    for name, value in zip(names, values, strict=True):
        try:
            (value or "").encode()
        except UnicodeEncodeError:
            raise _Bad(f"{name} is not UTF-8 text") from None


def _time(name: str, text: str) -> datetime:
    try:
        return parse_time(text)
    except (ValueError, OverflowError):
        raise _Bad(f"{name} is {text[:80]!r}, which is no time") from None


def _required(fields: Mapping[bytes, bytes], name: bytes) -> str:
    text = _text(fields, name)
    if not text:
        raise _Bad(f"there is no {name.decode()}")
    return text


def _text(fields: Mapping[bytes, bytes], name: bytes) -> str:
    try:
        return (fields.get(name) or b"").decode()
    except UnicodeDecodeError:
        raise _Bad(f"{name.decode()} is not UTF-8 text") from None


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _readable(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value).encode("utf-8", "replace").decode()


def _shown(reply: Any) -> str:
    """Return what there is of a record, for the eye: one `name: value` a line, cut to a page."""
    if isinstance(reply, list):
        pairs = [(name, value) for name, value in zip(GATE_FIELDS, reply, strict=False) if value]
    else:
        pairs = list(reply.items()) if isinstance(reply, Mapping) else []
    return "\n".join(f"{_readable(name)}: {_readable(value)}" for name, value in pairs)[:_RAW_SHOWN]
