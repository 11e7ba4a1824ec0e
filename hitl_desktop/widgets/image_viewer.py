"""Evidence that is a picture: PNG and JPEG alone, decoded within a limit, scaled down to fit."""

from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QSize, Qt
from PySide6.QtGui import QImage, QImageReader, QPainter, QPaintEvent, QPixmap
from PySide6.QtWidgets import QFrame, QWidget

from hitl_desktop.widgets.theme import Theme

_FORMATS = {b"\x89PNG\r\n\x1a\n": b"png", b"\xff\xd8\xff": b"jpeg"}
_LARGEST_SIDE = 16_384
_LARGEST_AREA = 25_000_000
_ALLOCATION_MIB = 128
_MARGIN = 20


class ImageViewer(QFrame):
    """Draws one picture in the middle, never larger than it is."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._image = QImage()
        self._scaled = QPixmap()
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("Picture")

    def set_bytes(self, data: bytes) -> bool:
        """Show `data` if it is a PNG or JPEG of at most 25 million pixels; return whether it is.

        The format is read from the first bytes, never from a name: an SVG, which may refer elsewhere, is refused.
        """
        self.clear()
        form = next((form for start, form in _FORMATS.items() if data.startswith(start)), None)
        if form is None:
            return False
        QImageReader.setAllocationLimit(_ALLOCATION_MIB)
        buffer = QBuffer()
        buffer.setData(QByteArray(data))
        buffer.open(QIODevice.OpenModeFlag.ReadOnly)
        reader = QImageReader(buffer, QByteArray(form))
        reader.setAutoDetectImageFormat(False)
        reader.setAutoTransform(True)
        if not _is_bearable(reader.size()):
            return False
        self._image = reader.read()
        if not self._image.isNull():
            self.setAccessibleDescription(f"{self._image.width()} by {self._image.height()} pixels")
        self.update()
        return not self._image.isNull()

    def clear(self) -> None:
        """Show nothing."""
        self._image, self._scaled = QImage(), QPixmap()
        self.setAccessibleDescription("")
        self.update()

    def set_theme(self, theme: Theme) -> None:
        """Draw in another theme."""
        self._theme = theme
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the picture, scaled down to the room there is, with a line around it."""
        super().paintEvent(event)
        if self._image.isNull():
            return
        painter = QPainter(self)
        ratio = self.devicePixelRatioF()
        room = self.contentsRect().adjusted(_MARGIN, _MARGIN, -_MARGIN, -_MARGIN).size()
        size = self._image.size()
        if size.width() > room.width() or size.height() > room.height():
            size.scale(room, Qt.AspectRatioMode.KeepAspectRatio)
        if size.isEmpty():
            return
        pixels = QSize(round(size.width() * ratio), round(size.height() * ratio))
        if self._scaled.size() != pixels:
            smooth = Qt.TransformationMode.SmoothTransformation
            image = self._image.scaled(pixels, Qt.AspectRatioMode.IgnoreAspectRatio, smooth)
            self._scaled = QPixmap.fromImage(image)
            self._scaled.setDevicePixelRatio(ratio)
        left, top = (self.width() - size.width()) // 2, (self.height() - size.height()) // 2
        painter.drawPixmap(left, top, self._scaled)
        painter.setPen(self._theme.tokens.line)
        painter.drawRect(left - 1, top - 1, size.width() + 1, size.height() + 1)


def _is_bearable(size: QSize) -> bool:
    """Whether a picture of `size` may be decoded; a header that tells no size is refused."""
    if not size.isValid() or max(size.width(), size.height()) > _LARGEST_SIDE:
        return False
    return size.width() * size.height() <= _LARGEST_AREA
