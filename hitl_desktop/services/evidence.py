"""Where an evidence item's content comes from, and how far it can be trusted."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from hitl_desktop.domain.evidence import INLINE_LIMIT, EvidenceItem, Integrity, judge

FILE_LIMIT = 8 * 1024 * 1024
"""Bytes of a file that is shown as evidence."""


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


def find_evidence(item: EvidenceItem, folder: Path | None, *, rendered: bool) -> Evidence:
    """Return `item` with its content: the bundle's own, else the file at its path below `folder`. Reads the disk.

    Args:
        item: the item as listed; its path is an agent's text.
        folder: where this tenant's evidence is looked up, resolved; None if nowhere.
        rendered: whether a hash may be of a rendered text rather than of the file, as `judge` takes it.
    """
    found = inline_evidence(item)
    if found.content is not None or folder is None:
        return found
    content = _read_below(folder, item.path)
    return Evidence(item, content, judge(item, content, rendered=rendered))


def inline_evidence(item: EvidenceItem) -> Evidence:
    """Return `item` with the content that the bundle itself carries, judged (wire.md, Content of an item)."""
    content = _inline(item.metadata)
    return Evidence(item, content, judge(item, content))


def _read_below(folder: Path, path: str) -> bytes | None:
    """Return the file at `path` below `folder`; None if there is none, it is too large or it leads out."""
    if not path or "\0" in path or PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        return None
    try:
        file = (folder / path).resolve(strict=True)
        if not file.is_relative_to(folder) or not file.is_file() or file.stat().st_size > FILE_LIMIT:
            return None
        return file.read_bytes()
    except (OSError, ValueError, RuntimeError):
        return None


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
