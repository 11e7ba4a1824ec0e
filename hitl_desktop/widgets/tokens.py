"""The colours of the two palettes, as the drawings of the screen name them.

Text keeps 4.5:1 on every background it stands on, marks keep 3:1. Where the drawings fell short the tokens differ from
them: in light the chips' words and the marks are darker than their hues, the amber most of all; under the approve
button's white text the green is darker. Controls have an `edge` a little stronger than a `line` between areas.
"""

from functools import cache
from typing import NamedTuple

from PySide6.QtGui import QColor

from hitl_desktop.domain.gate import GateKind


class Mark(NamedTuple):
    """What says a state, always by colour and shape together: a character to draw and its colour."""

    glyph: str
    color: QColor


class Chip(NamedTuple):
    """The colours of a gate's type: the word and the ground it stands on."""

    text: QColor
    ground: QColor


class Tokens(NamedTuple):
    """One palette.

    `selection` is the ground of a selected row, `highlight` that of selected text: the accent mixed into the window, by
    the two shares. `marks` are readable as text too. `chips` has None for a type that is not known.
    """

    window: QColor
    side: QColor
    field: QColor
    hover: QColor
    line: QColor
    edge: QColor
    text: QColor
    muted: QColor
    added: QColor
    removed: QColor
    added_text: QColor
    removed_text: QColor
    approve: QColor
    approve_hover: QColor
    approve_text: QColor
    scroll: QColor
    selection_share: float
    highlight_share: float
    selection: QColor
    highlight: QColor
    accents: tuple[QColor, ...]
    marks: dict[str, Mark]
    chips: dict[str | None, Chip]


def mix(ground: QColor, colour: QColor, share: float) -> QColor:
    """Return `ground` with `share` (0 to 1) of `colour` laid over it."""
    pairs = (
        (ground.red(), colour.red()),
        (ground.green(), colour.green()),
        (ground.blue(), colour.blue()),
    )
    return QColor(*(round(below + (above - below) * share) for below, above in pairs))


def _chip(window: str, share: float, hue: str, text: str) -> Chip:
    return Chip(QColor(text), mix(QColor(window), QColor(hue), share))


def _marks(*colours: str) -> dict[str, Mark]:
    return {state: Mark(glyph, QColor(colour)) for (state, glyph), colour in zip(_GLYPHS.items(), colours, strict=True)}


_GLYPHS = {
    "approved": "✓",
    "rejected": "✕",
    "pending": "●",
    "expired": "⧖",
    "conflict": "⇄",
    "unknown": "?",
    "mismatch": "⚠",
}

# Twelve hues 30 degrees apart, of one OKLCH lightness (0.51 in light, 0.71 in dark).
_LIGHT_ACCENTS = "0269b4 5756bb 8147a7 9c3b81 ab3652 ab3d0b 8e5a01 756701 4b7503 067a4f 077672 02728a"
_DARK_ACCENTS = "5da6ef 9297f1 ba89de d780bb e67d8f e58361 d59239 b5a332 86b156 48ba85 05b9b2 0bb3d8"


def _accents(hexes: str) -> tuple[QColor, ...]:
    return tuple(QColor(f"#{one}") for one in hexes.split())


@cache
def light() -> Tokens:
    """Return the light palette."""
    return Tokens(
        window=QColor("#ffffff"),
        side=QColor("#f6f7f8"),
        field=QColor("#f4f5f7"),
        hover=QColor("#eceef1"),
        line=QColor("#e2e5e9"),
        edge=QColor("#d5dae0"),
        text=QColor("#1c2127"),
        muted=QColor("#5a646f"),
        added=QColor("#e8f6ec"),
        removed=QColor("#fcebec"),
        added_text=QColor("#1a6b36"),
        removed_text=QColor("#a1262d"),
        approve=QColor("#237a43"),
        approve_hover=QColor("#1d6b3a"),
        approve_text=QColor("#ffffff"),
        scroll=QColor("#8b949e"),
        selection_share=0.12,
        highlight_share=0.22,
        selection=QColor("#e1edf6"),
        highlight=QColor("#c7deef"),
        accents=_accents(_LIGHT_ACCENTS),
        marks=_marks("#12733a", "#b02f2f", "#8a5500", "#5a646f", "#6d3fcb", "#1b62b5", "#b02f2f"),
        chips={
            GateKind.BACKLOG.value: _chip("#ffffff", 0.14, "#2f6fd0", "#2360bd"),
            GateKind.DESIGN.value: _chip("#ffffff", 0.14, "#7c4dd6", "#6d3fcb"),
            GateKind.PLAN.value: _chip("#ffffff", 0.14, "#0f8a85", "#05746f"),
            GateKind.CODE.value: _chip("#ffffff", 0.14, "#2f9e58", "#157a3c"),
            GateKind.VALIDATION.value: _chip("#ffffff", 0.14, "#0a7fa3", "#076f8d"),
            GateKind.RELEASE.value: _chip("#ffffff", 0.14, "#c23a3a", "#b02f2f"),
            None: _chip("#ffffff", 0.14, "#5e6873", "#565f6a"),
        },
    )


@cache
def dark() -> Tokens:
    """Return the dark palette."""
    return Tokens(
        window=QColor("#16181c"),
        side=QColor("#1b1e23"),
        field=QColor("#23272e"),
        hover=QColor("#252a31"),
        line=QColor("#2c3138"),
        edge=QColor("#3a4048"),
        text=QColor("#e6e8eb"),
        muted=QColor("#9aa3ad"),
        added=QColor("#16301f"),
        removed=QColor("#3a1d20"),
        added_text=QColor("#7fd19b"),
        removed_text=QColor("#f0a0a0"),
        approve=QColor("#237a43"),
        approve_hover=QColor("#2a8249"),
        approve_text=QColor("#ffffff"),
        scroll=QColor("#6b747f"),
        selection_share=0.20,
        highlight_share=0.34,
        selection=QColor("#243446"),
        highlight=QColor("#2e4864"),
        accents=_accents(_DARK_ACCENTS),
        marks=_marks("#7fd19b", "#f09090", "#e5b05c", "#a3acb6", "#b79af0", "#8fb8f5", "#f09090"),
        chips={
            GateKind.BACKLOG.value: _chip("#16181c", 0.22, "#8fb8f5", "#8fb8f5"),
            GateKind.DESIGN.value: _chip("#16181c", 0.22, "#b79af0", "#b79af0"),
            GateKind.PLAN.value: _chip("#16181c", 0.22, "#67cfc9", "#67cfc9"),
            GateKind.CODE.value: _chip("#16181c", 0.22, "#7fd19b", "#7fd19b"),
            GateKind.VALIDATION.value: _chip("#16181c", 0.22, "#6cc6e6", "#6cc6e6"),
            GateKind.RELEASE.value: _chip("#16181c", 0.22, "#f09090", "#f09090"),
            None: _chip("#16181c", 0.22, "#a9b2bc", "#a9b2bc"),
        },
    )
