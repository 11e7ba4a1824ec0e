"""Our icons: SVG files of `resources/icons`, drawn in the colour that the theme asks for."""

from functools import cache
from importlib.resources import files
from pathlib import Path

from PySide6.QtCore import QByteArray
from PySide6.QtGui import QColor, QIcon, QPixmap

_DRAWN_PIXELS = 64
_INK = b"#7f8893"


@cache
def icon_path(name: str) -> Path:
    """Return where the icon `name` lies: inside the installed package, or beside it in a source tree."""
    package = Path(str(files("hitl_desktop")))
    for root in (package / "resources", package.parent / "resources"):
        path = root / "icons" / f"{name}.svg"
        if path.exists():
            return path
    raise FileNotFoundError(f"The installation lacks the icon {name}.svg; install HITL Desktop again.")


def icon(name: str, colour: QColor) -> QIcon:
    """Return one of the line icons in `colour`."""
    drawing = icon_path(name).read_bytes().replace(_INK, colour.name().encode())
    pixmap = QPixmap(_DRAWN_PIXELS, _DRAWN_PIXELS)
    pixmap.loadFromData(QByteArray(drawing), "SVG")
    return QIcon(pixmap)


def application_icon() -> QIcon:
    """Return the application's own icon."""
    return QIcon(str(icon_path("hitl-desktop")))
