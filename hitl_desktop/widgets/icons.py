"""Our icons: SVG files of `resources/icons`, drawn in the colour that the theme asks for."""

from functools import cache
from pathlib import Path

from PySide6.QtCore import QByteArray, QRectF, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap

from hitl_desktop.domain.resources import resource

_DRAWN_PIXELS = 64
_INK = b"#7f8893"
_RING = 0.14


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


def application_icon(tenant: QColor | None = None) -> QIcon:
    """Return the application's own icon, with a dot in the tenant's colour if one is given."""
    whole = QIcon(str(icon_path("hitl-desktop")))
    if tenant is None:
        return whole
    pixmap = whole.pixmap(_DRAWN_PIXELS, _DRAWN_PIXELS)
    _paint_dot(pixmap, tenant, QRectF(0.5, 0.5, 0.45, 0.45))
    return QIcon(pixmap)


def dot(colour: QColor) -> QIcon:
    """Return a dot in `colour` with a white ring, which is seen on any ground."""
    pixmap = QPixmap(_DRAWN_PIXELS, _DRAWN_PIXELS)
    pixmap.fill(Qt.GlobalColor.transparent)
    _paint_dot(pixmap, colour, QRectF(0.1, 0.1, 0.8, 0.8))
    return QIcon(pixmap)


def _paint_dot(pixmap: QPixmap, colour: QColor, share: QRectF) -> None:
    """Paint a dot with a white ring into `share` of the picture, whose sides count as 1."""
    width, height = pixmap.width(), pixmap.height()
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    ring = QRectF(share.x() * width, share.y() * height, share.width() * width, share.height() * height)
    inset = ring.width() * _RING
    for ground, area in ((QColor("white"), ring), (colour, ring.adjusted(inset, inset, -inset, -inset))):
        painter.setBrush(ground)
        painter.drawEllipse(area)
    painter.end()
