"""The one stylesheet, made from a palette and a tenant's accent; what is in the hue stands in a part of its own.

Widgets choose a variant by their object name. Every control shows its focus by a two-pixel ring of the accent, or of
the text's colour on a filled button; the padding gives way so that nothing moves.
"""

from string import Template

from PySide6.QtGui import QColor

from hitl_desktop.widgets.icons import icon_path
from hitl_desktop.widgets.tokens import Tokens

_CONTROLS = """
QWidget { color: $text; font-size: ${base}px; }
QMainWindow, QDialog { background: $side; }
QFrame#queues, QFrame#decision { background: $side; border: none; }
QFrame#gates, QFrame#review, QFrame#evidence { background: $window; border: none; }
QFrame#decision { border-top: 1px solid $line; }
QFrame#line { background: $line; border: none; }
QFrame#offline, QFrame#band { background: $field; border: none; border-bottom: 1px solid $line; }
QFrame#toast { background: $window; border: 1px solid $edge; border-radius: ${radius}px; }
QFrame#error { background: $removed; border: none; border-bottom: 1px solid $line; }
QFrame#error QLabel { color: $removed_text; }
QFrame#tenantPopup { background: $window; border: 1px solid $edge; }
QLabel { background: transparent; }
QLabel#muted, QLabel#empty, QLabel#hint, QLabel#queueCount { color: $muted; }
QLabel#muted, QLabel#hint, QLabel#queueCount, QLabel#connection { font-size: ${secondary}px; }
QLabel#heading { font-size: ${heading}px; font-weight: 600; }
QLabel#paneTitle { font-size: ${title}px; font-weight: 600; }
QLabel#chip { font-size: ${secondary}px; font-weight: 600; }
QLabel#problem { color: $problem; }
QLabel#connection { color: $muted; }
QToolBar { background: $side; border: none; border-bottom: 1px solid $line; spacing: ${u2}px; padding: 0 ${u3}px; }
QStatusBar { background: $side; color: $muted; border-top: 1px solid $line; font-size: ${secondary}px; }
QStatusBar::item { border: none; }
QStatusBar QLabel { color: $muted; font-size: ${secondary}px; }
QToolTip { background: $field; color: $text; border: 1px solid $edge; padding: ${u1}px ${u2}px; }
QSplitter::handle { background: $line; }
QSplitter::handle:hover { background: $muted; }

QPushButton { background: $window; border: 1px solid $edge; border-radius: ${radius}px;
    padding: 6px ${u4}px; min-height: 18px; outline: none; }
QPushButton:hover { background: $hover; }
QPushButton:pressed { background: $line; }
QPushButton:disabled { color: $muted; background: $side; border-color: $line; }
QPushButton#approve { background: $approve; color: $approve_text; border-color: $approve; font-weight: 600; }
QPushButton#approve:hover { background: $approve_hover; }
QPushButton#approve:disabled { background: $field; color: $muted; border-color: $line; }
QPushButton#reject { color: $removed_text; font-weight: 600; }
QPushButton#reject:hover { background: $removed; border-color: $removed_text; }
QPushButton#reject:disabled { color: $muted; background: $side; border-color: $line; }
QPushButton#queue { background: transparent; border-color: transparent; padding: 0; text-align: left;
    min-height: ${queue}px; }
QPushButton#queue:hover { background: $hover; }
QPushButton::menu-indicator { image: url("$chevron"); width: 10px; subcontrol-position: right center; right: 8px; }

QToolButton { background: transparent; border: 1px solid transparent; border-radius: ${radius}px; padding: 5px 7px; }
QToolButton:hover { background: $hover; }
QToolButton:disabled { color: $muted; }
QToolButton::menu-indicator { image: none; }
QFrame#decision QToolButton { background: $window; border-color: $edge; padding: 6px ${u3}px; min-height: 18px; }
QFrame#decision QLineEdit QToolButton { background: transparent; border: none; padding: 0; min-height: 0; }
QAbstractButton#tenantSelector { background: $field; border: 1px solid $edge; border-radius: ${radius}px; }
QAbstractButton#tenantSelector:hover { background: $hover; }

QLineEdit, QComboBox { background: $field; border: 1px solid $edge; border-radius: ${radius}px;
    padding: 5px ${u3}px; min-height: 18px; selection-color: $text; placeholder-text-color: $muted; }
QLineEdit:disabled, QComboBox:disabled { color: $muted; }
QPlainTextEdit, QTextEdit { background: $window; border: 1px solid $edge; border-radius: ${radius}px; padding: 5px 9px;
    selection-color: $text; placeholder-text-color: $muted; }
QComboBox { background: $window; }
QComboBox#flat { background: transparent; border-color: transparent; color: $muted; font-size: ${secondary}px;
    padding: 5px 2px 5px 6px; }
QComboBox#flat::drop-down { border: none; width: 16px; }
QComboBox#flat:hover { background: $hover; }
QComboBox::drop-down { border: none; width: 26px; }
QComboBox::down-arrow { image: url("$chevron"); width: 10px; height: 10px; }
QComboBox QAbstractItemView { background: $window; border: 1px solid $edge; padding: 4px; }
"""

_VIEWS = """
QCheckBox, QRadioButton { spacing: 8px; }
QCheckBox::indicator, QRadioButton::indicator, QMenu::indicator { width: 14px; height: 14px;
    border: 1px solid $scroll; border-radius: 3px; background: $window; }
QRadioButton::indicator { border-radius: 8px; }
QCheckBox::indicator:checked, QMenu::indicator:checked { image: url("$check"); }
QRadioButton::indicator:checked { border: 3px solid $window; width: 10px; height: 10px; }
QMenu::indicator { margin-left: 8px; }
QAbstractScrollArea::corner { background: $window; border: none; }
QAbstractScrollArea { background: $window; selection-color: $text; }
QAbstractItemView { background: $window; border: none; outline: none; gridline-color: $line;
    selection-color: $text; }
QListWidget#stranded::item { padding: 7px 20px; }
QTableCornerButton::section { background: $side; border: none; }
QHeaderView::section { background: $side; color: $muted; border: none; border-bottom: 1px solid $line;
    padding: 4px 8px; font-size: ${secondary}px; }
LineView, MarkdownPage, ImageViewer { background: $window; border: 1px solid $window; padding: 0; border-radius: 0; }

QTabWidget::pane { border: none; border-top: 1px solid $line; }
QTabBar { background: transparent; border: none; qproperty-drawBase: 0; }
QTabBar::tab { background: transparent; color: $muted; border: none; border-bottom: 2px solid transparent;
    padding: 7px ${u4}px; }
QTabBar::tab:selected { color: $text; }
QTabBar::tab:hover { color: $text; }
QTabBar QToolButton { background: $window; border: 1px solid $edge; padding: 2px; }

QMenu { background: $window; border: 1px solid $edge; padding: 4px; }
QMenu::item { padding: 6px 24px 6px 12px; border-radius: 4px; }
QMenu::item:disabled { color: $muted; }
QMenu::separator { height: 1px; background: $line; margin: 4px 8px; }

QProgressBar { background: transparent; border: none; max-height: 2px; }

QScrollBar { background: transparent; border: none; }
QScrollBar:vertical { width: 12px; margin: 0; }
QScrollBar:horizontal { height: 12px; margin: 0; }
QScrollBar::handle { background: $scroll; border: 3px solid $window; border-radius: 6px; }
QScrollBar::handle:vertical { min-height: 32px; }
QScrollBar::handle:horizontal { min-width: 32px; }
QScrollBar::handle:hover { background: $muted; }
QScrollBar::add-line, QScrollBar::sub-line { width: 0; height: 0; }
QScrollBar::add-page, QScrollBar::sub-page { background: $window; }
"""

_HUE = """
QFrame#edge { background: $accent; border: none; }
QProgressBar::chunk { background: $accent; }

QPushButton:focus { border: 2px solid $accent; padding: 5px ${u4m}px; }
QPushButton#approve:focus { border-color: $text; }
QPushButton#reject:focus { border-color: $removed_text; }
QPushButton#queue:checked { background: $selection; }
QPushButton#queue:focus { border: 2px solid $accent; padding: 0; }
QToolButton:pressed, QToolButton:checked { background: $selection; }
QToolButton:focus { border: 2px solid $accent; padding: 4px 6px; }
QFrame#decision QToolButton:pressed, QFrame#decision QToolButton:checked { background: $window; }
QFrame#decision QToolButton:hover { background: $hover; }
QFrame#decision QToolButton:focus { border: 2px solid $accent; padding: 5px ${u3m}px; }
QFrame#decision QLineEdit QToolButton { background: transparent; border: none; padding: 0; }
QAbstractButton#tenantSelector:focus { border: 2px solid $accent; }

QAbstractScrollArea, QLineEdit, QComboBox, QPlainTextEdit, QTextEdit { selection-background-color: $highlight; }
QAbstractItemView { selection-background-color: $selection; }
QAbstractItemView::item:selected { background: $selection; color: $text; }
QLineEdit:focus, QComboBox:focus { border: 2px solid $accent; padding: 4px ${u3m}px; }
QComboBox#flat:focus { border: 2px solid $accent; padding: 4px 1px 4px 5px; }
QPlainTextEdit:focus, QTextEdit:focus { border: 2px solid $accent; padding: 4px 8px; }
LineView:focus, MarkdownPage:focus, ImageViewer:focus { border: 1px solid $accent; padding: 0; }

QCheckBox::indicator:checked, QMenu::indicator:checked, QRadioButton::indicator:checked { background: $accent; }
QCheckBox::indicator:checked, QMenu::indicator:checked { border-color: $accent; }
QCheckBox:focus, QRadioButton:focus { color: $accent; }
QTabBar::tab:selected { border-bottom: 2px solid $accent; }
QTabBar:focus { background: $selection; }
QMenu::item:selected { background: $selection; }
"""

_TEMPLATE = Template(_CONTROLS + _VIEWS + _HUE)
_HUE_TEMPLATE = Template(_HUE)
_MIDDLE = 128
_FONTS = {"base": 13, "secondary": 12, "small": 11, "heading": 17, "title": 14}
_SPACES = {"queue": 30, "radius": 6, "u1": 4, "u2": 8, "u3": 12, "u3m": 11, "u4": 16, "u4m": 15}


def stylesheet(tokens: Tokens, accent: QColor, *, selection: QColor, highlight: QColor, scale: float) -> str:
    """Return the whole stylesheet; `scale` enlarges fonts and spaces alike."""
    return _TEMPLATE.substitute(_values(tokens, accent, selection, highlight, scale))


def hue_stylesheet(tokens: Tokens, accent: QColor, *, selection: QColor, highlight: QColor, scale: float) -> str:
    """Return the part of the stylesheet in which one tenant's differs from another's."""
    return _HUE_TEMPLATE.substitute(_values(tokens, accent, selection, highlight, scale))


def _values(tokens: Tokens, accent: QColor, selection: QColor, highlight: QColor, scale: float) -> dict[str, object]:
    names = (
        "window side field hover line edge text muted removed removed_text approve approve_hover approve_text scroll"
    )
    colours = {name: getattr(tokens, name).name() for name in names.split()}
    colours |= {"accent": accent.name(), "selection": selection.name(), "highlight": highlight.name()}
    sizes = {name: round(size * scale) for name, size in (_FONTS | _SPACES).items()}
    images = {"chevron": icon_path("chevron-down").as_posix()}
    images["check"] = icon_path("check-dark" if tokens.window.lightness() < _MIDDLE else "check-light").as_posix()
    return {**colours, **sizes, **images, "problem": tokens.marks["rejected"].color.name()}
