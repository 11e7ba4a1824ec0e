"""Every text can be read on every ground it stands on, in both themes and all twelve hues."""

import itertools
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from PySide6.QtGui import QColor, QFontMetrics, QPalette
from PySide6.QtWidgets import QApplication, QPushButton, QToolButton
from pytestqt.qtbot import QtBot

from hitl_desktop.domain.gate import GateKind
from hitl_desktop.domain.tenant import HUES
from hitl_desktop.widgets.icons import application_icon, icon, icon_path
from hitl_desktop.widgets.theme import Theme
from hitl_desktop.widgets.tokens import mix

TEXT, MARK = 4.5, 3.0
THEMES = [pytest.param(Theme.light(), id="light"), pytest.param(Theme.dark(), id="dark")]
HUE_INDEXES = range(HUES)

both = pytest.mark.parametrize("theme", THEMES)


def contrast(one: QColor, other: QColor) -> float:
    """Return WCAG's contrast ratio, 1 to 21."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: QColor) -> float:
    def linear(part: float) -> float:
        return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(part) for part in (colour.redF(), colour.greenF(), colour.blueF()))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _grounds(theme: Theme) -> list[QColor]:
    tokens = theme.tokens
    selections = [theme.for_hue(hue).tokens.selection for hue in HUE_INDEXES]
    return [tokens.window, tokens.side, tokens.field, tokens.hover, *selections]


def _low(pairs: list[tuple[QColor, QColor]], least: float) -> list[str]:
    return [f"{a.name()} on {b.name()}: {contrast(a, b):.2f}" for a, b in pairs if contrast(a, b) < least]


@both
def test_text_is_readable_on_every_ground(theme: Theme) -> None:
    tokens = theme.tokens
    grounds = [*_grounds(theme), tokens.added, tokens.removed]
    highlights = [theme.for_hue(hue).tokens.highlight for hue in HUE_INDEXES]
    pairs = [(tokens.text, ground) for ground in (*grounds, *highlights)]
    pairs += [(tokens.muted, ground) for ground in grounds]
    assert _low(pairs, TEXT) == []


@both
def test_what_was_added_and_removed_is_readable(theme: Theme) -> None:
    tokens = theme.tokens
    pairs = list(itertools.product([tokens.added_text], [tokens.added, tokens.window, tokens.side]))
    pairs += itertools.product([tokens.removed_text], [tokens.removed, tokens.window, tokens.side, tokens.hover])
    assert _low(pairs, TEXT) == []


@both
def test_the_approve_button_is_readable_and_seen(theme: Theme) -> None:
    tokens = theme.tokens
    grounds = [tokens.approve, tokens.approve_hover]
    assert _low([(tokens.approve_text, ground) for ground in grounds], TEXT) == []
    assert _low([(ground, around) for ground in grounds for around in (tokens.side, tokens.window)], MARK) == []


@both
@pytest.mark.parametrize("hue", HUE_INDEXES)
def test_an_accent_is_readable_as_a_link_and_on_its_own_selection(theme: Theme, hue: int) -> None:
    tokens, accent = theme.for_hue(hue).tokens, theme.accent(hue)
    grounds = [tokens.window, tokens.side, tokens.field, tokens.selection]
    assert _low([(accent, ground) for ground in grounds], TEXT) == []


@both
def test_the_twelve_accents_differ_and_are_of_one_lightness(theme: Theme) -> None:
    accents = [theme.accent(hue) for hue in HUE_INDEXES]
    assert len({accent.name() for accent in accents}) == HUES
    against_window = [contrast(accent, theme.tokens.window) for accent in accents]
    assert max(against_window) / min(against_window) < 1.35


@both
def test_marks_and_chips_are_readable_as_text(theme: Theme) -> None:
    marks = [mark.color for mark in theme.tokens.marks.values()]
    assert _low(list(itertools.product(marks, _grounds(theme)[:3] + _grounds(theme)[4:])), TEXT) == []
    chips = [theme.chip(kind) for kind in (*GateKind, None)]
    assert _low([(chip.text, chip.ground) for chip in chips], TEXT) == []
    assert len({chip.text.name() for chip in chips}) == len(GateKind) + 1


@both
def test_every_state_has_a_shape_of_its_own(theme: Theme) -> None:
    assert len({mark.glyph for mark in theme.tokens.marks.values()}) == len(theme.tokens.marks)


@both
def test_scroll_bars_are_seen(theme: Theme) -> None:
    assert _low([(theme.tokens.scroll, theme.tokens.window)], MARK) == []


@both
def test_the_first_hue_is_the_one_that_is_drawn_without_a_tenant(theme: Theme) -> None:
    first = theme.for_hue(0)
    assert first.tokens.selection == mix(theme.tokens.window, theme.accent(0), theme.tokens.selection_share)
    assert first.stylesheet() == theme.stylesheet(theme.accent(0))


def test_unknown_kinds_and_states_have_a_look(qapp: QApplication) -> None:
    theme = Theme.light()
    assert theme.chip("something else") == theme.chip(None)
    assert theme.mark("overdue") == theme.mark("expired")
    assert theme.mark("something else") == theme.mark("unknown")


def test_metrics_are_those_of_the_drawing_and_grow_with_the_font(qapp: QApplication) -> None:
    metrics = Theme.light().metrics
    assert (metrics.toolbar, metrics.status_bar, metrics.queue_row, metrics.gate_row, metrics.line) == (
        52,
        26,
        32,
        57,
        22,
    )
    assert Theme.light(1.5).metrics.toolbar == 78
    assert Theme.light().font("base").pixelSize() == 13
    assert Theme.light(2.0).font("heading").pixelSize() == 34


def test_a_choice_overrides_the_desktop_s_scheme(qapp: QApplication) -> None:
    assert not Theme.choose("light").is_dark
    assert Theme.choose("dark").is_dark
    assert not Theme.choose("system").is_dark, "the offscreen platform reports no scheme"
    assert Theme.choose().scale >= 1


@both
def test_applying_sets_palette_and_font(theme: Theme, qapp: QApplication) -> None:
    before = qapp.palette(), qapp.font(), qapp.styleSheet()
    try:
        theme.for_hue(3).apply(qapp)
        assert qapp.palette().color(QPalette.ColorRole.Base) == theme.tokens.window
        assert qapp.palette().color(QPalette.ColorRole.Link) == theme.accent(3)
        assert qapp.font().pixelSize() == 13
    finally:
        palette, font, sheet = before
        qapp.setStyleSheet(sheet)
        qapp.setPalette(palette)
        qapp.setFont(font)


@both
def test_focus_changes_a_button_but_not_its_size(theme: Theme, qtbot: QtBot) -> None:
    approve = QPushButton("Approve")
    approve.setObjectName("approve")
    for button in (QPushButton("Reject"), approve, QToolButton()):
        button.setText("Approve")
        button.setStyleSheet(theme.stylesheet())
        qtbot.addWidget(button)
        button.show()
        button.clearFocus()
        size, before = button.sizeHint(), button.grab().toImage()
        button.setFocusPolicy(button.focusPolicy().StrongFocus)
        button.activateWindow()
        button.setFocus()
        qtbot.waitUntil(button.hasFocus)
        assert button.sizeHint() == size
        assert button.grab().toImage() != before


def test_icons_are_ours_and_reach_nowhere() -> None:
    for path in Path(icon_path("hitl-desktop")).parent.glob("*.svg"):
        root = ET.parse(path).getroot()  # noqa: S314 - our own files
        assert not any("href" in name for element in root.iter() for name in element.attrib), path
        assert root.tag.endswith("svg")


def test_an_icon_takes_the_colour_asked_for(qapp: QApplication) -> None:
    image = icon("plus", QColor("#ff0000")).pixmap(64, 64).toImage()
    assert image.pixelColor(image.width() // 2, image.height() // 2).name() == "#ff0000"
    assert not application_icon().isNull()


def test_a_missing_icon_is_told_by_name() -> None:
    with pytest.raises(FileNotFoundError, match=r"no-such\.svg"):
        icon_path("no-such")


@both
def test_every_mark_can_be_drawn_with_the_font_of_the_window(theme: Theme, qapp: QApplication) -> None:
    metrics = QFontMetrics(theme.font())
    assert all(metrics.inFontUcs4(ord(theme.mark(state).glyph)) for state in theme.tokens.marks)
