"""Pictures are PNG or JPEG, bounded, and scaled to fit."""

import struct
import zlib

import pytest
from PySide6.QtCore import QBuffer, QByteArray, QIODevice
from PySide6.QtGui import QColor, QImage
from pytestqt.qtbot import QtBot

from hitl_desktop.widgets.image_viewer import ImageViewer
from hitl_desktop.widgets.theme import Theme

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><image href="file:///etc/passwd"/></svg>'


@pytest.fixture
def viewer(qtbot: QtBot) -> ImageViewer:
    made = ImageViewer(Theme.light())
    qtbot.addWidget(made)
    made.resize(400, 300)
    made.show()
    return made


def _encoded(form: str, width: int = 1600, height: int = 900) -> bytes:
    image = QImage(width, height, QImage.Format.Format_RGB32)
    image.fill(QColor("#ff0000"))
    data = QByteArray()
    buffer = QBuffer(data)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    assert image.save(buffer, form)  # type: ignore[call-overload]
    return bytes(data.data())


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_a_picture_is_scaled_to_fit(viewer: ImageViewer, form: str) -> None:
    assert viewer.set_bytes(_encoded(form))
    shown = viewer.grab().toImage()
    middle = shown.pixelColor(shown.width() // 2, shown.height() // 2)
    assert middle.red() > 250
    assert shown.pixelColor(5, 5).red() == shown.pixelColor(5, 5).blue(), "a margin is left"
    assert viewer.accessibleDescription() == "1600 by 900 pixels"


@pytest.mark.parametrize(
    "data", [SVG, b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"\x89PNG\r\n\x1a\n" + SVG, b"\xff\xd8\xff" + SVG, b"BM" * 50]
)
@pytest.mark.qt_log_ignore("Unsupported marker type")
def test_anything_else_is_refused(viewer: ImageViewer, data: bytes) -> None:
    assert not viewer.set_bytes(data)
    viewer.grab()


def test_a_picture_that_claims_to_be_enormous_is_refused(viewer: ImageViewer) -> None:
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    assert not viewer.set_bytes(bomb)


def test_what_was_shown_is_gone_after_a_refusal(viewer: ImageViewer) -> None:
    assert viewer.set_bytes(_encoded("PNG", 20, 20))
    assert not viewer.set_bytes(SVG)
    assert viewer.accessibleDescription() == ""
    shown = viewer.grab().toImage()
    assert shown.pixelColor(shown.width() // 2, shown.height() // 2) != QColor("#ff0000")
    viewer.set_theme(Theme.dark())
    viewer.clear()
