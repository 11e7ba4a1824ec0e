import struct
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitl_desktop.domain.decision import Decision, ReasonRequiredError, Severity, Verdict
from hitl_desktop.domain.event import idempotency_key
from hitl_desktop.domain.evidence import EvidenceBundle, EvidenceItem, Integrity, evidence_digest, judge
from hitl_desktop.domain.gate import Gate, GateKind, GateStatus, gate_kind
from hitl_desktop.domain.projection import GateState, is_expiring, lacks_evidence, state_of
from hitl_desktop.domain.tenant import HUES, InvalidTenantIdError, hue, parse_tenant_id
from hitl_desktop.domain.time import epoch, format_time, parse_time

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def gate(expires_in: float | None = None, status: GateStatus = GateStatus.PENDING, items: tuple[str, ...] = ()) -> Gate:
    bundle = EvidenceBundle("b", "Summary", tuple(EvidenceItem(name, "p") for name in items), {b"bundle_id": b"b"})
    expires = None if expires_in is None else NOW + timedelta(seconds=expires_in)
    return Gate("r", "t", "s", "hitl_4_code", status, "b", "x", NOW, bundle, expires)


@given(st.dictionaries(st.binary(max_size=20), st.binary(max_size=60)))
def test_the_digest_is_over_the_canonical_form(fields: dict[bytes, bytes]) -> None:
    canonical = b"".join(
        struct.pack(">Q", len(part)) + part for name in sorted(fields) for part in (name, fields[name])
    )
    assert evidence_digest(fields) == sha256(canonical).hexdigest()


@given(st.dictionaries(st.binary(max_size=9), st.binary(max_size=30), min_size=1), st.data())
def test_any_change_changes_the_digest(fields: dict[bytes, bytes], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(fields)))
    changed = {**fields, name: fields[name] + b"x"}
    assert evidence_digest(changed) != evidence_digest(fields)


def test_a_listed_bundle_has_no_digest() -> None:
    with pytest.raises(ValueError, match="whole bundle"):
        _ = EvidenceBundle("b", "", (), {}).digest


@pytest.mark.parametrize(
    ("content", "declared", "rendered", "integrity"),
    [
        (None, "", False, Integrity.MISSING),
        (b"x", "", False, Integrity.UNVERIFIABLE),
        (b"x", "not hex", False, Integrity.UNVERIFIABLE),
        (b"x", sha256(b"x").hexdigest(), False, Integrity.VERIFIED),
        (b"x", sha256(b"x").hexdigest().upper(), False, Integrity.VERIFIED),
        (b"x", sha256(b"y").hexdigest(), False, Integrity.MISMATCH),
        (b"x", sha256(b"y").hexdigest(), True, Integrity.UNVERIFIABLE),
    ],
)
def test_integrity_is_never_verified_by_default(
    content: bytes | None,
    declared: str,
    rendered: bool,  # noqa: FBT001 - a column of the table
    integrity: Integrity,
) -> None:
    assert judge(EvidenceItem("a", "p", "", declared), content, rendered=rendered) is integrity


def test_three_vocabularies_name_the_six_gates() -> None:
    assert [gate_kind(kind.wire_type) for kind in GateKind] == list(GateKind)
    assert gate_kind("prd_review") is GateKind.BACKLOG
    assert gate_kind("design_review") is gate_kind("hitl-2") is GateKind.DESIGN
    assert gate_kind("hitl-3") is GateKind.PLAN
    assert gate_kind("deployment_approval") is GateKind.RELEASE
    assert gate_kind("legal_review") is None


def test_a_rejection_needs_a_reason() -> None:
    with pytest.raises(ReasonRequiredError):
        Decision("d", "r", "b", "e", Verdict.REJECTED, "me", NOW, reason="  ")


def test_feedback_is_the_reason_and_then_the_rest() -> None:
    made = Decision("d", "r", "b", "e", Verdict.REJECTED, "me", NOW, "No", (), "More", Severity.MAJOR, ("tests",))
    assert made.feedback_text == "No\nMore\nSeverity: major.\nConcerns: tests."


def test_the_idempotency_key_follows_the_recipe() -> None:
    assert idempotency_key("gate_approved", "s") == sha256(b"gate_approved:s").hexdigest()[:32]
    full = idempotency_key("gate_approved", "s", "t", "e", "x")
    assert full == sha256(b"gate_approved:s:t:e:x").hexdigest()[:32]
    assert idempotency_key("a", "s", "t", extra="1") != idempotency_key("a", "s", "t", extra="2")


def test_an_overdue_gate_is_not_pending_to_its_reviewer() -> None:
    assert state_of(gate(60), NOW) is GateState.PENDING
    assert state_of(gate(0), NOW) is GateState.OVERDUE
    assert state_of(gate(-60, GateStatus.APPROVED), NOW) is GateState.APPROVED


def test_expiring_gates_are_pending_and_soon() -> None:
    assert is_expiring(gate(60), NOW)
    assert not is_expiring(gate(None), NOW)
    assert not is_expiring(gate(86_400), NOW)
    assert not is_expiring(gate(60, GateStatus.REJECTED), NOW)


def test_lacking_evidence_is_named() -> None:
    assert lacks_evidence(gate(items=("design_doc",))) == ("artifact", "test_result")
    assert lacks_evidence(gate(items=("test_result",))) == ()


@given(st.datetimes(timezones=st.just(UTC), min_value=datetime(1971, 1, 1), max_value=datetime(2200, 1, 1)))  # noqa: DTZ001 - hypothesis wants naive bounds
def test_times_come_back_as_they_were(moment: datetime) -> None:
    assert parse_time(format_time(moment)) == moment
    assert epoch(moment) == pytest.approx(moment.timestamp())


def test_a_naive_time_is_utc() -> None:
    assert parse_time("2026-01-01T12:00:00") == NOW
    assert parse_time("2026-01-01T13:00:00+01:00") == NOW


@given(st.text(max_size=80))
def test_the_grammar_lets_nothing_else_through(text: str) -> None:
    try:
        parse_tenant_id(text)
    except InvalidTenantIdError:
        return
    assert 1 <= len(text) <= 63
    assert set(text) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert text[0] != "-"
    assert text[-1] != "-"
    assert 0 <= hue(text) < HUES
