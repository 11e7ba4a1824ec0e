"""Unified diffs become numbered lines, and no text is lost or too strange."""

from hypothesis import given
from hypothesis import strategies as st

from hitl_desktop.domain.diff import Diff, LineKind, parse_diff

TWO_FILES = """\
diff --git a/src/pay.py b/src/pay.py
index 1111111..2222222 100644
--- a/src/pay.py
+++ b/src/pay.py
@@ -1,3 +1,4 @@ class Pay:
 one
-two
+zwei
+drei

@@ -10 +11,2 @@
 ten
+elf
diff --git a/new.py b/new.py
new file mode 100644
--- /dev/null
+++ b/new.py
@@ -0,0 +1 @@
+x
\\ No newline at end of file
"""


def _kinds(diff: Diff) -> list[str]:
    return [line.kind.value for line in diff.lines]


def test_lines_carry_their_numbers_and_lose_their_sign() -> None:
    diff = parse_diff(TWO_FILES)
    assert [tuple(line) for line in diff.lines[4:10]] == [
        (LineKind.HUNK, 1, 1, "@@ -1,3 +1,4 @@ class Pay:"),
        (LineKind.CONTEXT, 1, 1, "one"),
        (LineKind.REMOVED, 2, None, "two"),
        (LineKind.ADDED, None, 2, "zwei"),
        (LineKind.ADDED, None, 3, "drei"),
        (LineKind.CONTEXT, 3, 4, ""),
    ]
    assert diff.lines[-1] == (LineKind.NOTE, None, None, "\\ No newline at end of file")


def test_files_are_counted_and_named() -> None:
    diff = parse_diff(TWO_FILES)
    assert [(file.title, file.added, file.removed, file.start) for file in diff.files] == [
        ("src/pay.py", 3, 1, 0),
        ("new.py (new)", 1, 0, 13),
    ]
    assert (diff.added, diff.removed) == (4, 1)


def test_a_removed_line_that_looks_like_a_header_stays_in_its_hunk() -> None:
    diff = parse_diff("--- a/x.sql\n+++ b/x.sql\n@@ -1,2 +1,2 @@\n--- old comment\n+++ counter\n kept\n")
    assert _kinds(diff) == ["file", "file", "hunk", "removed", "added", "context"]
    assert diff.lines[3].text == "-- old comment"
    assert len(diff.files) == 1


def test_files_without_git_headers_are_told_apart() -> None:
    diff = parse_diff("--- a\t2024-01-01\n+++ a\n@@ -1 +1 @@\n-x\n+y\n--- b\n+++ c\n@@ -1 +1 @@\n-x\n+y\n")
    assert [(file.title, file.added, file.removed) for file in diff.files] == [("a", 1, 1), ("b → c", 1, 1)]


def test_a_hunk_that_promises_too_much_ends_at_the_next_file() -> None:
    diff = parse_diff("--- a/x\n+++ b/x\n@@ -1,9 +1,9 @@\n one\ndiff --git a/y b/y\nBinary files a/y and b/y differ\n")
    assert _kinds(diff) == ["file", "file", "hunk", "context", "file", "note"]
    assert [file.title for file in diff.files] == ["x", "y"]


def test_lines_after_a_hunk_s_count_are_notes_with_their_sign() -> None:
    diff = parse_diff("@@ -1 +1 @@\n-a\n+b\n+smuggled\n")
    assert diff.lines[-1] == (LineKind.NOTE, None, None, "+smuggled")


def test_malformed_and_huge_hunk_headers_are_notes() -> None:
    digits = "9" * 5000
    assert _kinds(parse_diff(f"@@ ... @@\n+x\n@@ -{digits} +1 @@\n@@@ -1 -1 +1 @@@")) == ["note"] * 4


def test_a_carriage_return_stays_in_the_line() -> None:
    diff = parse_diff("@@ -1,2 +1,2 @@\r\n-a\n+a\r\n\r\n")
    assert [line.text for line in diff.lines[1:]] == ["a", "a\r", "\r"]


def test_no_text_has_no_lines() -> None:
    assert parse_diff("") == Diff((), ())


_PARTS = st.sampled_from(
    [
        "--- a/x",
        "+++ b/x",
        "@@ -1,2 +1,2 @@",
        "@@ -0,0 +1 @@",
        "@@",
        "diff --git a/x b/y",
        "+",
        "-",
        " ",
        "\\",
        "\r",
        "",
    ]
)


@given(st.lists(st.one_of(st.text(), st.builds(str.__add__, _PARTS, st.text(max_size=5)))))
def test_any_text_is_taken_and_every_line_of_it_is_there(parts: list[str]) -> None:
    text = "\n".join(parts)
    rows = text.split("\n")
    if rows[-1] == "":
        rows.pop()
    signs = {LineKind.ADDED: "+", LineKind.REMOVED: "-", LineKind.CONTEXT: " "}
    diff = parse_diff(text)
    written = [signs.get(line.kind, "") + line.text for line in diff.lines]
    assert [row if row not in ("", "\r") else row.strip() for row in rows] == [
        one if row not in ("", "\r") else one.strip() for one, row in zip(written, rows, strict=True)
    ]
    assert all(0 <= file.start < len(diff.lines) for file in diff.files)
