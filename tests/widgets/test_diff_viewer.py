"""A diff is shown line for line, with its changes a key away."""

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from hitl_desktop.domain.diff import LineKind, parse_diff
from hitl_desktop.widgets.diff_rows import diff_rows
from hitl_desktop.widgets.diff_viewer import DiffViewer
from hitl_desktop.widgets.theme import Theme

DIFF = """\
diff --git a/pay.py b/pay.py
index 1..2 100644
--- a/pay.py
+++ b/pay.py
@@ -41,3 +41,3 @@
 one
-two
+zwei
 three
@@ -96,2 +96,3 @@ class Pay:
 four
+five
 six
diff --git a/new.py b/new.py
new file mode 100755
--- /dev/null
+++ b/new.py
@@ -0,0 +1 @@
+x
"""


@pytest.fixture
def viewer(qtbot: QtBot) -> DiffViewer:
    made = DiffViewer(Theme.dark())
    qtbot.addWidget(made)
    made.resize(700, 440)
    made.show()
    return made


def _texts(viewer: DiffViewer) -> list[str]:
    return [viewer.row_text(row) for row in range(viewer.row_count())]


def test_headers_are_summed_up_and_gaps_named(viewer: DiffViewer) -> None:
    viewer.set_diff(DIFF)
    assert _texts(viewer) == [
        "⋯ 40 unchanged lines",
        "one",
        "two",
        "zwei",
        "three",
        "⋯ 52 unchanged lines · class Pay:",
        "four",
        "five",
        "six",
        "new.py (new)  +1 -0",
        "new file mode 100755",
        "x",
    ]


def test_headers_that_contradict_each_other_are_all_shown() -> None:
    rows = diff_rows(parse_diff("diff --git a/shown b/shown\n--- a/shown\n+++ b/etc/other\n@@ -1 +1 @@\n-a\n+b\n"))
    assert rows.lines[0].text == "diff --git a/shown b/shown"


def test_overlapping_hunks_show_their_own_header() -> None:
    rows = diff_rows(parse_diff("@@ -10 +10 @@\n-a\n+b\n@@ -3 +3 @@\n-a\n+b\n"))
    assert "@@ -3 +3 @@" in [line.text for line in rows.lines]


def test_added_and_removed_lines_have_their_ground(viewer: DiffViewer) -> None:
    tokens = Theme.dark().tokens
    viewer.set_diff(DIFF)
    image = viewer.viewport().grab().toImage()
    right = image.width() - 30
    grounds = [image.pixelColor(right, row * viewer.row_height + 11) for row in (1, 2, 3)]
    assert grounds == [tokens.window, tokens.removed, tokens.added]


def test_keys_go_from_change_to_change(viewer: DiffViewer) -> None:
    viewer.set_diff(DIFF)
    viewer.next_change()
    assert viewer.current_change() == 0
    QTest.keyClick(viewer, Qt.Key.Key_N)
    QTest.keyClick(viewer, Qt.Key.Key_N)
    assert viewer.current_change() == 2
    QTest.keyClick(viewer, Qt.Key.Key_N)
    assert viewer.current_change() == 2, "the last one stays"
    QTest.keyClick(viewer, Qt.Key.Key_P)
    assert viewer.current_change() == 1
    assert viewer.accessibleDescription() == "Change 2 of 3. 2 files, 3 lines added, 1 removed, 3 changes"


def test_a_change_far_away_is_brought_into_view(viewer: DiffViewer) -> None:
    blanks = " same\n" * 5000
    viewer.set_diff(f"@@ -1,10001 +1,10002 @@\n+first\n{blanks}-gone\n{blanks}+last\n")
    viewer.next_change()
    QTest.keyClick(viewer, Qt.Key.Key_N)
    assert viewer.first_row_in_view() <= 5001 <= viewer.first_row_in_view() + 20
    viewer.verticalScrollBar().setValue(viewer.verticalScrollBar().maximum())
    QTest.keyClick(viewer, Qt.Key.Key_P)
    assert viewer.current_change() == 1, "the search starts from what is in view"


def test_runs_of_changes_end_with_their_file() -> None:
    rows = diff_rows(parse_diff("--- a\n+++ a\n@@ -1 +1 @@\n-x\n+y\n--- b\n+++ b\n@@ -1 +1 @@\n-x\n+y\n"))
    kinds = [[line.kind for line in rows.lines[start:end]] for start, end in zip(rows.changes, rows.ends, strict=True)]
    assert kinds == [[LineKind.REMOVED, LineKind.ADDED]] * 2


def test_a_parsed_diff_is_taken_as_well(viewer: DiffViewer) -> None:
    viewer.set_diff(parse_diff(DIFF))
    assert viewer.row_count() == 12


def test_what_is_no_diff_is_still_shown(viewer: DiffViewer) -> None:
    viewer.set_diff("not a diff\n@@ nonsense\n+x")
    assert _texts(viewer) == ["not a diff", "@@ nonsense", "+x"]
    viewer.next_change()
    viewer.previous_change()
    assert viewer.current_change() is None
    viewer.grab()


def test_nothing_and_another_theme_are_drawn(viewer: DiffViewer) -> None:
    viewer.set_diff("")
    viewer.set_theme(Theme.light())
    viewer.grab()
    viewer.set_diff(DIFF)
    viewer.resize(120, 100)
    viewer.grab()
