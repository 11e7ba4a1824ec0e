"""The text viewer draws what is in view, scrolls by keys, selects and copies what is seen."""

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from hitl_desktop.widgets.selection import Position, Selection, word_at
from hitl_desktop.widgets.text_viewer import TextViewer
from hitl_desktop.widgets.theme import Theme

LINES = 100_000


class CountingViewer(TextViewer):
    """Counts the rows that are asked for."""

    asked = 0

    def row_text(self, row: int) -> str:
        self.asked += 1
        return super().row_text(row)


@pytest.fixture
def viewer(qtbot: QtBot) -> CountingViewer:
    made = CountingViewer(Theme.light())
    qtbot.addWidget(made)
    made.resize(600, 440)
    made.show()
    return made


def _point(viewer: TextViewer, row: int, column: int) -> QPoint:
    """Return where a column begins, in the viewport."""
    x = viewer.gutter_width() + column * viewer.char_width - viewer.horizontalScrollBar().value()
    return QPoint(round(x), row * viewer.row_height + 11 - viewer.verticalScrollBar().value())


def _drag(viewer: TextViewer, start: QPoint, end: QPoint) -> None:
    left = Qt.MouseButton.LeftButton
    QTest.mousePress(viewer.viewport(), left, pos=start)
    QTest.mouseMove(viewer.viewport(), end)
    QTest.mouseRelease(viewer.viewport(), left, pos=end)


def test_only_the_rows_in_view_are_drawn(viewer: CountingViewer) -> None:
    viewer.set_text("some text\n" * LINES)
    viewer.asked = 0
    viewer.grab()
    assert 0 < viewer.asked <= 2 * (viewer.height() // viewer.row_height + 2)
    viewer.verticalScrollBar().setValue(viewer.verticalScrollBar().maximum() // 2)
    viewer.asked = 0
    viewer.grab()
    assert 0 < viewer.asked <= 2 * (viewer.height() // viewer.row_height + 2)


def test_keys_scroll(viewer: CountingViewer) -> None:
    viewer.set_text("x" * 500 + "\n" + "y\n" * 1000)
    down, across = viewer.verticalScrollBar(), viewer.horizontalScrollBar()
    QTest.keyClick(viewer, Qt.Key.Key_Down)
    assert down.value() == viewer.row_height
    QTest.keyClick(viewer, Qt.Key.Key_Up)
    QTest.keyClick(viewer, Qt.Key.Key_PageDown)
    assert down.value() == down.pageStep()
    QTest.keyClick(viewer, Qt.Key.Key_End, Qt.KeyboardModifier.ControlModifier)
    assert down.value() == down.maximum() > 0
    QTest.keyClick(viewer, Qt.Key.Key_Home, Qt.KeyboardModifier.ControlModifier)
    assert down.value() == 0
    QTest.keyClick(viewer, Qt.Key.Key_End)
    assert across.value() == across.maximum() > 0
    QTest.keyClick(viewer, Qt.Key.Key_Left)
    assert across.value() < across.maximum()
    QTest.keyClick(viewer, Qt.Key.Key_Home)
    assert across.value() == 0


def test_a_mouse_selection_is_copied_as_it_is_seen(viewer: CountingViewer) -> None:
    viewer.set_text("first line\n\tse\x1bcond\nthird")
    _drag(viewer, _point(viewer, 0, 6), _point(viewer, 2, 3))
    QTest.keyClick(viewer, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QGuiApplication.clipboard().text() == "line\n    se<ESC>cond\nthi"


def test_a_selection_upwards_is_the_same_text(viewer: CountingViewer) -> None:
    viewer.set_text("first line\nsecond")
    _drag(viewer, _point(viewer, 1, 2), _point(viewer, 0, 6))
    assert viewer.selected_text() == "line\nse"


def test_everything_is_selected_by_its_key(viewer: CountingViewer) -> None:
    viewer.set_text("a\nb 😀\n\nc")
    QTest.keyClick(viewer, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    assert viewer.selected_text() == "a\nb 😀\n\nc"


def test_columns_after_an_emoji_are_found(viewer: CountingViewer) -> None:
    viewer.set_text("😀😀abc")
    _drag(viewer, QPoint(viewer.width() - 5, 11), _point(viewer, 0, 0))
    assert viewer.selected_text() == "😀😀abc"
    viewer.grab()


def test_a_double_click_selects_a_word(viewer: CountingViewer) -> None:
    viewer.set_text("call some_name(x)")
    QTest.mouseDClick(viewer.viewport(), Qt.MouseButton.LeftButton, pos=_point(viewer, 0, 7))
    assert viewer.selected_text() == "some_name"


def test_an_empty_selection_leaves_the_clipboard_alone(viewer: CountingViewer) -> None:
    QGuiApplication.clipboard().setText("kept")
    viewer.set_text("text")
    viewer.copy()
    assert QGuiApplication.clipboard().text() == "kept"


def test_another_text_starts_at_its_beginning_without_a_selection(viewer: CountingViewer) -> None:
    viewer.set_text("x\n" * 1000)
    viewer.select_all()
    viewer.verticalScrollBar().setValue(500)
    viewer.set_text("y\n" * 1000)
    assert viewer.verticalScrollBar().value() == 0
    assert viewer.selected_text() == ""


def test_no_text_is_shown_as_nothing(viewer: CountingViewer) -> None:
    viewer.set_text("")
    viewer.select_all()
    _drag(viewer, QPoint(100, 10), QPoint(200, 40))
    viewer.grab()
    assert viewer.selected_text() == ""


def test_line_ends_of_windows_are_not_marked_unless_mixed(viewer: CountingViewer) -> None:
    viewer.set_text("a\r\nb\r\n")
    viewer.select_all()
    assert viewer.selected_text() == "a\nb"
    viewer.set_text("a\r\nb\n")
    viewer.select_all()
    assert viewer.selected_text() == "a<CR>\nb"


def test_it_tells_what_it_shows(viewer: CountingViewer) -> None:
    viewer.set_text("x\n" * 1234)
    assert viewer.accessibleName() == "Text"
    assert viewer.accessibleDescription() == "1,234 lines"


def test_a_theme_changes_the_ground(viewer: CountingViewer) -> None:
    viewer.set_text("")
    viewer.set_theme(Theme.dark())
    pixel = viewer.viewport().grab().toImage().pixelColor(300, 200)
    assert pixel == Theme.dark().tokens.window


def test_hostile_lines_are_drawn(viewer: CountingViewer) -> None:
    hostile = "a" * 50_000, "\u202e" * 3000, "e" + "\u0301" * 4000, "😀" * 4000, "\x00\x1b]0;x\x07", "שלום abc"
    viewer.set_text("\n".join(hostile))
    viewer.select_all()
    viewer.grab()
    viewer.horizontalScrollBar().setValue(viewer.horizontalScrollBar().maximum())
    viewer.grab()


def test_a_selection_knows_its_columns() -> None:
    selection = Selection(Position(3, 2), Position(1, 4))
    assert list(selection.rows()) == [1, 2, 3]
    assert [selection.columns(row, 10) for row in (0, 1, 2, 3)] == [None, (4, 10), (0, 10), (0, 2)]
    assert [selection.reaches_beyond(row) for row in (0, 1, 2, 3)] == [False, True, True, False]
    assert selection.columns(1, 3) == (3, 3)


def test_a_word_is_letters_digits_and_underscores() -> None:
    assert word_at("a b_2.c", 3) == (2, 5)
    assert word_at("a b", 1) == (1, 2)
    assert word_at("", 4) == (0, 0)


def test_selected_text_stands_on_the_tenant_s_hue(viewer: CountingViewer) -> None:
    theme = Theme.light()
    viewer.setStyleSheet(theme.stylesheet(theme.accent(4)))
    viewer.set_text("some text")
    viewer.select_all()
    pixel = viewer.viewport().grab().toImage().pixelColor(_point(viewer, 0, 4) - QPoint(0, 10))
    assert pixel == theme.for_hue(4).tokens.highlight
