"""Records as the server packs them, and as they are read."""

import json

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitl_desktop.domain.event import Event
from hitl_desktop.domain.gate import Gate, Quarantined
from hitl_desktop.services.codec import BUNDLE_FIELDS, GATE_FIELDS, decode_event, decode_gates

_GATE = {
    "evidence_bundle_id": "b",
    "request_id": "r",
    "task_id": "t",
    "session_id": "s",
    "gate_type": "hitl_4_code",
    "status": "pending",
    "requested_at": "2026-01-01T12:00:00+00:00",
}
_BUNDLE = {"bundle_id": "b", "summary": "A gate", "items": "[]"}


@given(st.dictionaries(st.binary(max_size=9), st.binary(max_size=30)))
def test_a_whole_bundle_has_its_fields_byte_for_byte(fields: dict[bytes, bytes]) -> None:
    gate, bundle = [_GATE.get(name) for name in GATE_FIELDS], [_BUNDLE.get(name) for name in BUNDLE_FIELDS]
    packed = msgpack.packb([[gate, bundle, False, fields]], use_bin_type=False)
    (record,) = decode_gates(["key"], ["r"], packed)
    assert isinstance(record, Gate)
    assert record.bundle.fields == fields


_EVENT = {
    "event_type": "gate_approved",
    "session_id": "s",
    "task_id": "t",
    "tenant_id": "acme-corp",
    "timestamp": "2026-01-01T12:00:00+00:00",
    "metadata": '{"request_id": "r"}',
}
_TEXTS = [name for name in _EVENT if name != "metadata"]
_texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=9)


@given(
    st.fixed_dictionaries(
        {"event_type": _texts, "session_id": _texts},
        optional={"task_id": _texts, "tenant_id": _texts, "timestamp": _texts, "other": _texts},
    ),
    st.none() | st.dictionaries(_texts, _texts | st.integers(0, 9) | st.lists(_texts)),
)
def test_an_event_has_its_fields_and_nothing_for_those_it_lacks(
    fields: dict[str, str], metadata: dict[str, object] | None
) -> None:
    raw = {name.encode(): value.encode() for name, value in fields.items()}
    if metadata is not None:
        raw[b"metadata"] = json.dumps(metadata).encode()
    event = decode_event("events", b"1-0", raw, fields.get("tenant_id"))
    assert isinstance(event, Event)
    assert event.entry_id == "1-0"
    assert {name: getattr(event, name) for name in _TEXTS} == {name: fields.get(name, "") for name in _TEXTS}
    assert event.metadata == (metadata or {})
    request_id = (metadata or {}).get("request_id")
    assert event.request_id == (request_id if isinstance(request_id, str) else None)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"event_type": None}, "the event cannot be read: there is no event_type"),
        ({"event_type": b""}, "the event cannot be read: there is no event_type"),
        ({"session_id": None}, "the event cannot be read: there is no session_id"),
        ({"session_id": b""}, "the event cannot be read: there is no session_id"),
        *(({name: b"\xff"}, f"the event cannot be read: {name} is not UTF-8 text") for name in _TEXTS),
        ({"tenant_id": None}, "the event names no tenant"),
        ({"tenant_id": b""}, "the event names no tenant"),
        ({"tenant_id": b"widgets-inc"}, "the event names another tenant than its stream"),
        ({"metadata": b"[]"}, "the event cannot be read: Expected `object`, got `array`"),
    ],
)
def test_an_event_that_is_not_as_agreed_is_quarantined(changes: dict[str, bytes | None], reason: str) -> None:
    whole = {**{name: value.encode() for name, value in _EVENT.items()}, **changes}
    raw = {name.encode(): value for name, value in whole.items() if value is not None}
    entry = decode_event("events", b"1-0", raw, "acme-corp")
    assert isinstance(entry, Quarantined)
    assert (entry.key, entry.reason) == ("events 1-0", reason)
    assert "task_id: t" in entry.raw or "task_id" in changes


def test_the_initial_entry_of_a_stream_is_no_event() -> None:
    assert decode_event("events", b"1-0", {b"_init": b"true", b"timestamp": b"x"}, "acme-corp") is None
