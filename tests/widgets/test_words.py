from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitl_desktop.widgets.words import ago, left, one_line

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "just now"),
        (3, "3 s ago"),
        (300, "5 min ago"),
        (7_200, "2 h ago"),
        (90_000, "yesterday"),
        (400_000, "4 d ago"),
    ],
)
def test_ages_are_said_as_a_person_says_them(seconds: int, text: str) -> None:
    assert ago(NOW - timedelta(seconds=seconds), NOW) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(-5, "0 s"), (40, "40 s"), (840, "14 min"), (7_440, "2 h 04 min"), (300_000, "3 d")]
)
def test_countdowns_too(seconds: int, text: str) -> None:
    assert left(NOW + timedelta(seconds=seconds), NOW) == text


@given(st.text())
def test_a_line_hides_and_reorders_nothing(text: str) -> None:
    shown = one_line(text)
    assert not any(char in shown for char in "\n\r\t\x1b\u202e\u2066\u200b")
