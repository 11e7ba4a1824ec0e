"""Where an evidence item's content comes from, and how far it can be trusted."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass

from hitl_desktop.domain.evidence import INLINE_LIMIT, EvidenceItem, Integrity, judge


@dataclass(frozen=True, slots=True)
class Evidence:
    """An item with what was found for it; `content` None means that nothing was."""

    item: EvidenceItem
    content: bytes | None
    integrity: Integrity

    @property
    def text(self) -> str | None:
        """The content as text; None if it is not UTF-8 text or there is none."""
        if self.content is None or b"\0" in self.content:
            return None
        try:
            return self.content.decode()
        except UnicodeDecodeError:
            return None


def inline_evidence(item: EvidenceItem) -> Evidence:
    """Return `item` with the content that the bundle itself carries, judged (wire.md, Content of an item)."""
    content = _inline(item.metadata)
    return Evidence(item, content, judge(item, content))


def _inline(metadata: Mapping[str, object]) -> bytes | None:
    content: bytes | None = None
    if isinstance(text := metadata.get("content"), str):
        content = text.encode("utf-8", "surrogatepass")
    elif isinstance(encoded := metadata.get("content_base64"), str):
        try:
            content = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            return None
    return content if content is not None and len(content) <= INLINE_LIMIT else None
