"""The look: Qt's Fusion style under our own palette, fonts and one stylesheet, in light and dark.

Qt's own colour scheme switch does nothing without a desktop's help, so that the palette here is the whole truth.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFont, QFontDatabase, QFontInfo, QFontMetrics, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication

from hitl_desktop.widgets import tokens as palettes
from hitl_desktop.widgets.stylesheet import hue_stylesheet, stylesheet
from hitl_desktop.widgets.tokens import Chip, Mark, Tokens, mix

ARGUMENTS = ("hitl-desktop", "-style", "fusion")
"""What QApplication is made with: to set the style later makes Python's side of all that one can draw, for 10 ms."""
BASE_PIXELS = 13
"""The base font's size where the system asks for no larger one."""

Role = Literal["base", "secondary", "small", "heading"]
_PIXELS: dict[Role, int] = {"base": BASE_PIXELS, "secondary": 12, "small": 11, "heading": 17}
# For fonts that lack the first.
_SPARE_GLYPHS = {"⧖": "◷"}
_LIKE = {"overdue": "expired", "queued": "pending", "sending": "pending", "refused": "mismatch"}


class Metrics(NamedTuple):
    """Sizes in pixels, already scaled with the font."""

    toolbar: int
    status_bar: int
    queue_row: int
    gate_row: int
    line: int
    radius: int
    queues_width: int
    list_width: int
    base: int
    secondary: int
    small: int
    heading: int


class Theme(NamedTuple):
    """One palette at one size, for one tenant. `scale` is 1.0 at a base font of 13 pixels, `hue` the tenant's."""

    tokens: Tokens
    is_dark: bool
    scale: float = 1.0
    hue: int = 0

    @classmethod
    def light(cls, scale: float = 1.0) -> "Theme":
        """Return the light theme."""
        return cls(palettes.light(), is_dark=False, scale=scale)

    @classmethod
    def dark(cls, scale: float = 1.0) -> "Theme":
        """Return the dark theme."""
        return cls(palettes.dark(), is_dark=True, scale=scale)

    @classmethod
    def choose(cls, choice: str = "system") -> "Theme":
        """Return the theme for `choice`, at the system's font size. Needs a QApplication.

        Args:
            choice: "light", "dark", or "system" for the desktop's scheme; light where the desktop reports none.
        """
        reported = QGuiApplication.styleHints().colorScheme()
        wants_dark = choice == "dark" or (choice == "system" and reported == Qt.ColorScheme.Dark)
        return cls.dark(_system_scale()) if wants_dark else cls.light(_system_scale())

    def apply(self, app: QApplication) -> None:
        """Give `app`, made with `ARGUMENTS`, this theme. A window's parts wear a `hue_stylesheet()` over it."""
        app.setFont(self.font("base"))
        app.setPalette(self.palette())
        app.setStyleSheet(self.stylesheet())

    def accent(self, hue_index: int) -> QColor:
        """Return a tenant's colour; `hue_index` is `domain.tenant.hue()`, 0 to 11."""
        return self.tokens.accents[hue_index % len(self.tokens.accents)]

    def for_hue(self, hue_index: int) -> "Theme":
        """Return this theme with the grounds of selected rows and text in a tenant's hue."""
        window, accent = self.tokens.window, self.accent(hue_index)
        selection = mix(window, accent, self.tokens.selection_share)
        highlight = mix(window, accent, self.tokens.highlight_share)
        tokens = self.tokens._replace(selection=selection, highlight=highlight)
        return self._replace(tokens=tokens, hue=hue_index)

    def chip(self, kind: str | None) -> Chip:
        """Return the colours of a gate type's chip; None, or any other word, is a type that is not known."""
        return self.tokens.chips.get(kind, self.tokens.chips[None])

    def mark(self, state: str) -> Mark:
        """Return glyph and colour of a state: approved, rejected, pending, expired, conflict, unknown or mismatch.

        An overdue gate is marked as an expired one, a decision on its way as pending, one that the server refused as a
        mismatch, any other state as unknown.
        """
        marks = self.tokens.marks
        mark = marks.get(_LIKE.get(state, state), marks["unknown"])
        if QFontMetrics(self.font()).inFontUcs4(ord(mark.glyph)):
            return mark
        return mark._replace(glyph=_SPARE_GLYPHS.get(mark.glyph, mark.glyph))

    def pixels(self, size: float) -> int:
        """Return `size`, as drawn at the base font, in pixels at this theme's scale."""
        return round(size * self.scale)

    @property
    def metrics(self) -> Metrics:
        """The sizes of the screen's parts."""
        sizes = (52, 26, 32, 57, 22, 6, 200, 360, *_PIXELS.values())
        return Metrics(*(self.pixels(size) for size in sizes))

    def font(self, role: Role = "base") -> QFont:
        """Return the system's font in one of the four sizes; the heading is semibold."""
        font = QFontDatabase.systemFont(QFontDatabase.SystemFont.GeneralFont)
        font.setPixelSize(self.pixels(_PIXELS[role]))
        if role == "heading":
            font.setWeight(QFont.Weight.DemiBold)
        return font

    def monospace(self, role: Role = "secondary") -> QFont:
        """Return the system's fixed-pitch font, for evidence alone, without ligatures: what is written is shown."""
        font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
        font.setPixelSize(self.pixels(_PIXELS[role]))
        font.setStyleHint(QFont.StyleHint.Monospace)
        for feature in ("calt", "liga"):
            font.setFeature(QFont.Tag(feature), 0)
        return font

    def palette(self) -> QPalette:
        """Return the palette of Fusion's own drawing and of our painting."""
        tokens, accent = self.tokens, self.accent(self.hue)
        role, disabled = QPalette.ColorRole, QPalette.ColorGroup.Disabled
        palette = QPalette(tokens.side)
        grounds = {role.Window: tokens.side, role.Base: tokens.window, role.AlternateBase: tokens.side}
        buttons = {role.Button: tokens.window, role.Mid: tokens.edge, role.Dark: tokens.edge, role.Light: tokens.line}
        tips = {role.ToolTipBase: tokens.field, role.ToolTipText: tokens.text, role.PlaceholderText: tokens.muted}
        accents = {role.Highlight: tokens.highlight, role.HighlightedText: tokens.text, role.Accent: accent}
        links = {role.Link: accent, role.LinkVisited: accent}
        texts = dict.fromkeys((role.WindowText, role.Text, role.ButtonText, role.BrightText), tokens.text)
        for key, colour in {**grounds, **buttons, **tips, **accents, **links, **texts}.items():
            palette.setColor(key, colour)
        for key in (role.WindowText, role.Text, role.ButtonText):
            palette.setColor(disabled, key, tokens.muted)
        return palette

    def stylesheet(self, accent: QColor | None = None) -> str:
        """Return the stylesheet with `accent`; without one, with that of the theme's hue."""
        return self._sheet(stylesheet, accent)

    def hue_stylesheet(self) -> str:
        """Return what of the stylesheet is in the theme's hue."""
        return self._sheet(hue_stylesheet, None)

    def _sheet(self, make: Callable[..., str], accent: QColor | None) -> str:
        tokens, accent = self.tokens, accent or self.accent(self.hue)
        selection = mix(tokens.window, accent, tokens.selection_share)
        highlight = mix(tokens.window, accent, tokens.highlight_share)
        return make(tokens, accent, selection=selection, highlight=highlight, scale=self.scale)


def _system_scale() -> float:
    """Return how much larger than our base the system's font is, at least 1."""
    system = QFontInfo(QFontDatabase.systemFont(QFontDatabase.SystemFont.GeneralFont)).pixelSize()
    return max(1.0, system / BASE_PIXELS)
