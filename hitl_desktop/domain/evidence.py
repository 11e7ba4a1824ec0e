"""Evidence: what an agent shows for its gate, and how far it can be trusted.

The first frame needs these types but digests nothing, so hashlib, which loads OpenSSL, is imported where it is used.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

INLINE_LIMIT = 256 * 1024
"""Bytes of content that an item may carry in its metadata (wire.md, Keys)."""

_SHA256_HEX = re.compile(r"[0-9a-fA-F]{64}")


class Integrity(StrEnum):
    """Whether an item's content is what the agent vouched for. Never verified by default (wire.md, faults, 6)."""

    VERIFIED = "verified"
    MISMATCH = "mismatch"
    UNVERIFIABLE = "unverifiable"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class EvidenceItem:
    """One piece of evidence as the bundle lists it; `content_hash` is SHA-256 in hex, or empty."""

    item_type: str
    path: str
    description: str = ""
    content_hash: str = ""
    metadata: Mapping[str, object] = field(default_factory=dict)


class EvidenceBundle(NamedTuple):
    """All that an agent submitted for one gate; a tuple, since a hundred thousand are made at a time.

    `items` is None where they were too large to be listed; they are read when the gate is opened. `fields` are all the
    hash's, byte for byte as the server has them; empty where the bundle was only listed.
    """

    bundle_id: str
    summary: str
    items: tuple[EvidenceItem, ...] | None
    fields: dict[bytes, bytes]

    @property
    def is_whole(self) -> bool:
        """Whether every field was read, as it is when a gate is opened, so that the digest is the bundle's."""
        return bool(self.fields)

    @property
    def digest(self) -> str:
        """The bundle's evidence_digest.

        Raises:
            ValueError: the bundle was only listed; read it whole first.
        """
        if not self.is_whole:
            raise ValueError("a digest needs the whole bundle")
        return evidence_digest(self.fields)


def evidence_digest(fields: Mapping[bytes, bytes]) -> str:
    """Return SHA-256, in hex, over the canonical form of a bundle's fields (wire.md, Digest of a bundle).

    The fields are sorted by their names' bytes; each is an 8-byte big-endian length and the name, then an 8-byte
    big-endian length and the value.
    """
    from hashlib import sha256

    canonical = sha256()
    for name in sorted(fields):
        for part in (name, fields[name]):
            canonical.update(len(part).to_bytes(8, "big"))
            canonical.update(part)
    return canonical.hexdigest()


def judge(item: EvidenceItem, content: bytes | None, *, rendered: bool = False) -> Integrity:
    """Return how far `content` can be trusted to be what `item` vouches for.

    Args:
        item: the item as listed.
        content: the raw bytes found for it; None if there are none.
        rendered: whether the hash may be of a rendered text rather than of the content, as the orchestrator's code
            gates have it for files at `path` (wire.md, faults, 6): then one that differs proves nothing.
    """
    from hashlib import sha256

    if content is None:
        return Integrity.MISSING
    if _SHA256_HEX.fullmatch(item.content_hash) is None:
        return Integrity.UNVERIFIABLE
    if sha256(content).hexdigest() == item.content_hash.lower():
        return Integrity.VERIFIED
    return Integrity.UNVERIFIABLE if rendered else Integrity.MISMATCH
