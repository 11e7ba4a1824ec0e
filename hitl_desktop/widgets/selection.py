"""A stretch of selected text in rows and columns."""

from dataclasses import dataclass
from typing import NamedTuple


class Position(NamedTuple):
    """A place between two characters, both counted from 0."""

    row: int
    column: int


_START = Position(0, 0)


@dataclass(frozen=True, slots=True)
class Selection:
    """From where the pointer went down to where it is; empty where both are one."""

    anchor: Position = _START
    head: Position = _START

    def rows(self) -> range:
        """Return the rows it touches; none while it is empty."""
        if self.anchor == self.head:
            return range(0)
        first, last = sorted((self.anchor, self.head))
        return range(first.row, last.row + 1)

    def columns(self, row: int, length: int) -> tuple[int, int] | None:
        """Return the selected columns, start and end, of a row with `length` characters; None outside."""
        if row not in self.rows():
            return None
        first, last = sorted((self.anchor, self.head))
        start = first.column if row == first.row else 0
        end = last.column if row == last.row else length
        return min(start, length), min(end, length)

    def reaches_beyond(self, row: int) -> bool:
        """Return whether the end of `row` is selected with it."""
        rows = self.rows()
        return row in rows and row != rows[-1]


def word_at(text: str, column: int) -> tuple[int, int]:
    """Return start and end of the word around `column`: letters, digits and underscores, or one other character."""
    if not text:
        return 0, 0
    column = min(column, len(text) - 1)
    start, end = column, column + 1
    if _is_word(text[column]):
        while start and _is_word(text[start - 1]):
            start -= 1
        while end < len(text) and _is_word(text[end]):
            end += 1
    return start, end


def utf16_units(text: str, column: int) -> int:
    """Return the place before `column` as Qt counts it, in UTF-16 units."""
    return len(text[:column].encode("utf-16-le")) // 2


def _is_word(char: str) -> bool:
    return char.isalnum() or char == "_"
