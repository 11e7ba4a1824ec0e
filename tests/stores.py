"""Stores on this machine for the tests: settings with a key, decisions to keep in them, and what stands on the disk."""

import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hitl_desktop.domain.decision import Decision, Verdict
from hitl_desktop.domain.evidence import EvidenceBundle, EvidenceItem, evidence_digest
from hitl_desktop.domain.gate import Gate, GateStatus
from hitl_desktop.domain.outbox import OutboxEntry
from hitl_desktop.settings import Settings
from hitl_desktop.store.keys import Keys
from hitl_desktop.store.outbox_rows import entry_of
from hitl_desktop.store.tenant_store import TenantStore, open_tenant_store
from hitl_desktop.tenancy import TenantNames

PAGE = 4096
NAMES = TenantNames("acme-corp")


def settings(folder: Path, **changes: Any) -> Settings:
    """Return settings for a configured server, with their state in `folder`."""
    return Settings(state_dir=folder, redis_url="redis://127.0.0.1:1/0", **changes)


@contextmanager
def opened(wanted: Settings, names: TenantNames = NAMES) -> Iterator[TenantStore]:
    """Yield the tenant's store, and close it as an orderly exit does."""
    with closing(open_tenant_store(wanted, names)) as store:
        yield store


def bundle_fields(summary: str = "Retry", bundle_id: str = "bundle-1", **more: str) -> dict[bytes, bytes]:
    fields = {"bundle_id": bundle_id, "summary": summary, "items": "[]", **more}
    return {name.encode(): value.encode() for name, value in fields.items()}


def gate(summary: str = "Retry", **changes: Any) -> Gate:
    """Return a whole gate that waits."""
    request_id = changes.pop("request_id", None) or str(uuid.uuid4())
    fields = bundle_fields(summary, f"bundle-of-{request_id}")
    bundle = EvidenceBundle(f"bundle-of-{request_id}", summary, (EvidenceItem("artifact", "src/pay.py"),), {})
    made = Gate(
        request_id=request_id,
        task_id="task-1",
        session_id="session-1",
        gate_type="hitl_4_code",
        status=GateStatus.PENDING,
        evidence_bundle_id=f"bundle-of-{request_id}",
        requested_by="tdd_orchestrator",
        requested_at=datetime(2026, 1, 1, 12, tzinfo=UTC),
        bundle=bundle._replace(fields=fields),
    )
    return made._replace(**changes)


def entry(about: Gate | None = None, *, hold: float = 0, reason: str = "Fine", **changes: Any) -> OutboxEntry:
    """Return a decision about a gate, not yet in any outbox."""
    about = about or gate()
    now = datetime.now(UTC)
    decision = Decision(
        decision_id=changes.pop("decision_id", None) or str(uuid.uuid4()),
        request_id=about.request_id,
        bundle_id=about.evidence_bundle_id,
        evidence_digest=evidence_digest(about.bundle.fields),
        verdict=changes.pop("verdict", Verdict.APPROVED),
        reviewer="rev@example.org",
        decided_at=now,
        reason=reason,
        **changes,
    )
    return entry_of(decision, about, "this-machine", now + timedelta(seconds=hold) if hold else None)


def add(store: TenantStore, *summaries: str, size: int = 0) -> list[OutboxEntry]:
    """Queue a decision about a new gate for each summary; `size` is of the evidence kept with each, in bytes."""
    added = []
    for summary in summaries:
        about = gate(summary)
        one = entry(about)
        store.outbox.add(one, about.bundle.fields | {b"blob": b"x" * size})
        added.append(one)
    return added


def summaries(store: TenantStore) -> list[str]:
    return [one.gate.summary for one in store.outbox.entries()]


def files(wanted: Settings) -> list[str]:
    """Return the names in the folder of stores, without what only coordinates processes."""
    return sorted(p.name for p in wanted.stores_dir.iterdir() if p.suffix != ".lock" and p.name != "store-id")


def database(wanted: Settings, names: TenantNames = NAMES) -> Path:
    return wanted.stores_dir / f"{names.file_stem}.db"


def flip(path: Path, *places: int) -> None:
    """Damage a file: turn all bits of the bytes at `places`."""
    content = bytearray(path.read_bytes())
    for place in places:
        content[place] ^= 0xFF
    path.write_bytes(content)


def data_key(wanted: Settings) -> bytes:
    key = Keys(wanted.stores_dir, wanted.key_file, "", "id").find(NAMES)
    assert key is not None
    return key


def moved(wanted: Settings, why: str) -> list[str]:
    """Return the files that were moved aside, and why."""
    return [name for name in files(wanted) if f".{why}-" in name]
