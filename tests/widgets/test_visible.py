"""What would hide, reorder or command is seen instead."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitl_desktop.widgets.visible import LONGEST, LONGEST_INTRICATE, visible, without_unseen


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[31mred", "<ESC>[31mred"),
        ("a\u202eb", "a<U+202E>b"),
        ("zero\u200bwidth", "zero<U+200B>width"),
        ("\x00\x7f\x9b\r", "<NUL><DEL><U+009B><CR>"),
        ("\ud800", "<U+D800>"),
        ("\U000e0041", "<U+E0041>"),
        ("Grüße 你好 😀", "Grüße 你好 😀"),
        ("\tx\ty", "    x   y"),
        ("abcd\te", "abcd    e"),
    ],
)
def test_unseen_characters_are_named_and_tabs_expanded(line: str, shown: str) -> None:
    assert visible(line).text == shown


def test_marks_say_what_stands_for_something_else() -> None:
    assert visible("\ta\u202eb").marks == ((5, 8),)
    assert visible("a<U+202E>b").marks == (), "the same words, written by the agent, are not marked"


def test_a_very_long_line_is_cut_and_says_so() -> None:
    shown = visible("x" * (LONGEST + 1234)).text
    assert shown.startswith("x" * LONGEST)
    assert shown.endswith(" ... 1,234 more characters")
    assert visible("é" * 5000).text.endswith(f" ... {5000 - LONGEST_INTRICATE:,} more characters")


@given(st.text())
def test_nothing_unseen_is_left(line: str) -> None:
    unseen = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    known = {"\u0600"}  # Arabic and other number signs are format characters that are drawn.
    for text in (visible(line).text, without_unseen(line)):
        left = {char for char in text if unicodedata.category(char) in unseen} - known
        assert all(unicodedata.name(char, "").endswith(("SIGN", "AYAH", "MARK", "ABOVE", "BELOW")) for char in left)
