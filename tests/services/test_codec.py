"""Records as the server packs them, and as they are read."""

import msgpack
from hypothesis import given
from hypothesis import strategies as st

from hitl_desktop.domain.gate import Gate
from hitl_desktop.services.codec import BUNDLE_FIELDS, GATE_FIELDS, decode_gates

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
