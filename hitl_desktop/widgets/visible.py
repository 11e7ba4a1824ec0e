"""Agents' text as it is shown: what would hide, reorder or command is replaced by something to see."""

import re
from typing import NamedTuple

TAB = 4
"""Columns between two tab stops."""
LONGEST = 10_000
"""Characters of one line that are shown; what follows is counted instead."""
LONGEST_INTRICATE = 2_000
"""The same for a line whose characters must be laid out one by one."""

# Control characters, soft hyphens, direction marks and overrides, what has no width, fillers, lone surrogates and tags.
_UNSEEN = (
    "\x00-\x08\x0a-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ud800-\udfff\U000e0000-\U000e0fff"
)
_SPECIAL = re.compile(f"[\t{_UNSEEN}]")
_CONTROLS = ["NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "BEL", "BS", "HT", "LF", "VT", "FF", "CR", "SO", "SI"]
_CONTROLS += ["DLE", "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC", "FS", "GS", "RS", "US"]
_DELETE = 0x7F


class Visible(NamedTuple):
    """A line as it is drawn; `marks` are the starts and lengths of what stands for something else."""

    text: str
    marks: tuple[tuple[int, int], ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether it is ASCII without marks, so that every character has the same width and look."""
        return not self.marks and self.text.isascii()


def visible(line: str) -> Visible:
    """Return `line` with tabs expanded, unseen characters named and its end cut off where it is too long to draw."""
    shown = line[:LONGEST]
    has_special = _SPECIAL.search(shown) is not None
    is_intricate = not shown.isascii() or (has_special and _SPECIAL.search(shown.replace("\t", "")) is not None)
    if is_intricate:
        shown = shown[:LONGEST_INTRICATE]
    found = _replaced(shown) if has_special else Visible(shown)
    left_out = len(line) - len(shown)
    return found._replace(text=f"{found.text} ... {left_out:,} more characters") if left_out else found


def _replaced(line: str) -> Visible:
    parts: list[str] = []
    marks: list[tuple[int, int]] = []
    column = end = 0
    for found in _SPECIAL.finditer(line):
        parts.append(line[end : found.start()])
        column += found.start() - end
        end = found.end()
        if found[0] == "\t":
            part = " " * (TAB - column % TAB)
        else:
            part = placeholder(found[0])
            marks.append((column, len(part)))
        parts.append(part)
        column += len(part)
    parts.append(line[end:])
    return Visible("".join(parts), tuple(marks))


def placeholder(char: str) -> str:
    """Return what stands for a character that cannot be seen: a control's name, else its number.

    Unicode's pictures of controls would be shorter, but many fonts lack them.
    """
    code = ord(char)
    if code < len(_CONTROLS):
        return f"<{_CONTROLS[code]}>"
    return "<DEL>" if code == _DELETE else f"<U+{code:04X}>"


def without_unseen(text: str, keep: str = "") -> str:
    """Return `text` with every unseen character but those in `keep` replaced by its placeholder."""
    return _SPECIAL.sub(lambda found: found[0] if found[0] in keep else placeholder(found[0]), text)
