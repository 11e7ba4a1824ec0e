"""Which rows a diff is shown in: headers that say nothing new are left out, gaps are named."""

from bisect import bisect_right
from dataclasses import dataclass

from hitl_desktop.domain.diff import NO_FILE, Diff, DiffFile, DiffLine, LineKind


@dataclass(frozen=True, slots=True)
class DiffRows:
    """The rows of a diff.

    `lines` are what each row shows; `changes` and `ends` the rows at which a run of added and removed lines begins and
    after which it ends, `files` those at which a file begins.
    """

    lines: tuple[DiffLine, ...] = ()
    changes: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()
    files: tuple[int, ...] = ()

    def file_at(self, row: int) -> int:
        """Return the index of the file that `row` belongs to; 0 before the first."""
        return max(0, bisect_right(self.files, row) - 1)


def diff_rows(diff: Diff) -> DiffRows:
    """Return the rows that show `diff`.

    The first file needs no row of its own, for the header above the lines names it; nor does a hunk that begins where
    the one before it ends. Every other line is there.
    """
    builder = _Builder()
    starts = {file.start: file for file in diff.files}
    for index, line in enumerate(diff.lines):
        file = starts.get(index)
        if file is not None:
            builder.begin_file(file)
        builder.feed(line)
    return builder.finish()


class _Builder:
    """The rows so far."""

    def __init__(self) -> None:
        self._rows: list[DiffLine] = []
        self._changes: list[int] = []
        self._ends: list[int] = []
        self._files: list[int] = []
        self._ordinary: frozenset[str] = frozenset()
        self._following = 1
        self._in_change = False

    def begin_file(self, file: DiffFile) -> None:
        self._leave_change()
        self._files.append(len(self._rows))
        self._ordinary, self._following = _ordinary_headers(file), 1
        if len(self._files) > 1:
            self._rows.append(DiffLine(LineKind.FILE, None, None, f"{file.title}  +{file.added:,} -{file.removed:,}"))

    def feed(self, line: DiffLine) -> None:
        kind = line.kind
        if kind is LineKind.ADDED or kind is LineKind.REMOVED:
            if not self._in_change:
                self._changes.append(len(self._rows))
                self._in_change = True
        else:
            self._leave_change()
        shown: DiffLine | None = line
        if kind is LineKind.FILE:
            shown = None if _says_nothing(line.text, self._ordinary) else line._replace(kind=LineKind.NOTE)
        elif kind is LineKind.HUNK:
            shown = _gap(line, self._following)
            self._following = line.old_number or 1
        elif line.old_number is not None:
            self._following = line.old_number + 1
        if shown is not None:
            self._rows.append(shown)

    def finish(self) -> DiffRows:
        self._leave_change()
        return DiffRows(tuple(self._rows), tuple(self._changes), tuple(self._ends), tuple(self._files))

    def _leave_change(self) -> None:
        if self._in_change:
            self._ends.append(len(self._rows))
            self._in_change = False


def _ordinary_headers(file: DiffFile) -> frozenset[str]:
    """Return the header lines that repeat the file's title."""
    old = file.new_path if file.old_path == NO_FILE else file.old_path
    new = file.old_path if file.new_path == NO_FILE else file.new_path
    own = (f"--- a/{old}", f"--- {file.old_path}", f"+++ b/{new}", f"+++ {file.new_path}")
    return frozenset((f"diff --git a/{old} b/{new}", *own))


def _says_nothing(header: str, ordinary: frozenset[str]) -> bool:
    return header in ordinary or header.startswith("index ")


def _gap(hunk: DiffLine, following: int) -> DiffLine | None:
    """Return the row before a hunk, None if there is nothing to say; `following` is the line expected next."""
    left_out = (hunk.old_number or 1) - following
    section = hunk.text.split("@@", 2)[2].strip()
    if left_out < 0:
        return hunk
    if not left_out and not section:
        return None
    lines = f"{left_out:,} unchanged line{'' if left_out == 1 else 's'}" if left_out else ""
    return hunk._replace(text=" · ".join(part for part in (lines, section) if part))
