"""Our icons: SVG files of `resources/icons`, drawn in the colour that the theme asks for."""

from functools import cache
from pathlib import Path

from PySide6.QtCore import QByteArray
from PySide6.QtGui import QColor, QIcon, QPixmap

from hitl_desktop.domain.resources import resource

_DRAWN_PIXELS = 64
_INK = b"#7f8893"


@cache
def icon_path(name: str) -> Path:
    """Return where the icon `name` lies."""
    path = resource(f"icons/{name}.svg")
    if not path.exists():
        raise FileNotFoundError(f"The installation lacks the icon {name}.svg; install HITL Desktop again.")
    return path


def icon(name: str, colour: QColor) -> QIcon:
    """Return one of the line icons in `colour`."""
    drawing = icon_path(name).read_bytes().replace(_INK, colour.name().encode())
    pixmap = QPixmap(_DRAWN_PIXELS, _DRAWN_PIXELS)
    pixmap.loadFromData(QByteArray(drawing), "SVG")
    return QIcon(pixmap)


def application_icon() -> QIcon:
    """Return the application's own icon."""
    return QIcon(str(icon_path("hitl-desktop")))
