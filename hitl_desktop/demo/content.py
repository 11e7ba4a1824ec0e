"""The demo's content, read from `resources/demo/`: one file for each tenant."""

import hashlib
import math
import tomllib
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hitl_desktop.domain.resources import resource

DIMENSIONS = 384
_NAMESPACE = uuid.UUID("6d1b7f0e-3c5e-5d3a-9d0c-0f6a2a7a4e51")


@dataclass(frozen=True, slots=True)
class DemoItem:
    """One piece of evidence; `content` is None where it is not sent along, `content_hash` as the agent declares it."""

    item_type: str
    path: str
    description: str
    content: bytes | None
    content_hash: str


@dataclass(frozen=True, slots=True)
class DemoGate:
    """One gate; `age` and `expires_in` are minutes from the moment of filling. A decided one has a `verdict`."""

    request_id: str
    bundle_id: str
    gate_type: str
    task_id: str
    session_id: str
    summary: str
    requested_by: str
    age: int
    expires_in: int | None
    items: tuple[DemoItem, ...]
    verdict: str = ""
    reason: str = ""
    conditions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DemoDocument:
    """One document of the tenant's knowledge; `embedding` is a placeholder, made from its words without a model."""

    document_id: str
    base: str
    title: str
    path: str
    text: str
    embedding: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class DemoTenant:
    """One tenant with all that it holds."""

    tenant_id: str
    gates: tuple[DemoGate, ...]
    documents: tuple[DemoDocument, ...]


def load_demo() -> tuple[DemoTenant, ...]:
    """Return the demo's tenants, in the order of their ids. Reads the disk."""
    return tuple(_tenant(file) for file in sorted(resource("demo").glob("*.toml")))


def _tenant(file: Path) -> DemoTenant:
    table = tomllib.loads(file.read_text(encoding="utf-8"))
    tenant_id = file.stem
    gates = tuple(_gate(tenant_id, gate) for gate in table["gates"])
    return DemoTenant(tenant_id, gates, tuple(_document(document) for document in table["documents"]))


def _gate(tenant_id: str, gate: dict[str, Any]) -> DemoGate:
    decision = gate.get("decision", {})
    return DemoGate(
        # The same ids at every filling, so that filling twice adds nothing twice.
        request_id=str(uuid.uuid5(_NAMESPACE, f"{tenant_id}:{gate['slug']}:request")),
        bundle_id=str(uuid.uuid5(_NAMESPACE, f"{tenant_id}:{gate['slug']}:bundle")),
        gate_type=gate["type"],
        task_id=gate["task"],
        session_id=gate["session"],
        summary=gate["summary"],
        requested_by=gate["requested_by"],
        age=gate["age"],
        expires_in=gate.get("expires_in"),
        items=tuple(_item(item) for item in gate["evidence"]),
        verdict=decision.get("verdict", ""),
        reason=decision.get("reason", ""),
        conditions=tuple(decision.get("conditions", ())),
    )


def _item(item: dict[str, Any]) -> DemoItem:
    declared = item.get("hash", "content")
    content: bytes | None = None
    if "image" in item:
        content = resource(f"demo/{item['image']}").read_bytes()
    elif "text" in item:
        content = item["text"].lstrip("\n").encode()
    hashed = {"content": content or b"", "wrong": b"an older run", "missing-content": b"not sent along"}.get(declared)
    digest = "" if hashed is None else hashlib.sha256(hashed).hexdigest()
    return DemoItem(item["type"], item["path"], item["description"], content, digest)


def _document(document: dict[str, Any]) -> DemoDocument:
    text = document["text"].lstrip("\n")
    base = document.get("base", "asdlc_documents")
    return DemoDocument(document["id"], base, document["title"], document["path"], text, _embedding(text))


def _embedding(text: str) -> tuple[float, ...]:
    """Return a vector of length one made from the text's words: small, the same everywhere, and without a model."""
    numbers = [0.0] * DIMENSIONS
    for word in text.lower().split():
        numbers[int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big") % DIMENSIONS] += 1.0
    length = math.hypot(*numbers) or 1.0
    return tuple(number / length for number in numbers)
