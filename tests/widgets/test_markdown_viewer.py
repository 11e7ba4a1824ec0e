"""Markdown is rendered; nothing in it takes effect."""

import pytest
from PySide6.QtCore import QPoint, Qt, QUrl
from PySide6.QtGui import QDesktopServices, QTextDocument
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from hitl_desktop.widgets import markdown_page
from hitl_desktop.widgets.markdown_viewer import LARGEST, MarkdownViewer
from hitl_desktop.widgets.theme import Theme

HOSTILE = """\
<script>alert(1)</script> <b>bold</b> <img src="file:///etc/passwd">

![one](file:///etc/passwd) ![two](http://evil.example/x.png) ![](data:image/png;base64,AAAA)
![three *x*](qrc:/x.png "title")

[script](javascript:alert(1)) [file](file:///etc/passwd) <https://evil.example/auto>

<style>* { color: red }</style>

&#x202E;reversed &#27;[31m \u200bzero
"""


@pytest.fixture
def viewer(qtbot: QtBot) -> MarkdownViewer:
    made = MarkdownViewer(Theme.light())
    qtbot.addWidget(made)
    made.resize(700, 500)
    made.show()
    return made


def _text(viewer: MarkdownViewer) -> str:
    return viewer.page.toPlainText()


def test_markdown_is_rendered(viewer: MarkdownViewer) -> None:
    viewer.set_text(
        "# Title\n\nSome **bold** `code`.\n\n- one\n- two\n\n```\nx = 1\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
    )
    text = _text(viewer)
    assert "Title" in text
    assert "Some bold code." in text
    assert "**" not in text
    assert "```" not in text
    assert not viewer.notice.isVisible()
    viewer.grab()


def test_html_is_shown_as_the_text_it_is(viewer: MarkdownViewer) -> None:
    viewer.set_text(HOSTILE)
    assert "<script>alert(1)</script> <b>bold</b>" in _text(viewer)
    assert "<style>* { color: red }</style>" in _text(viewer)


def test_pictures_are_their_words_and_nothing_is_loaded(
    viewer: MarkdownViewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    class Watched(markdown_page.MarkdownDocument):
        def loadResource(self, _kind: int, name: QUrl | str) -> None:  # noqa: N802 - Qt's name
            asked.append(name)

    monkeypatch.setattr(markdown_page, "MarkdownDocument", Watched)
    viewer.set_text(HOSTILE)
    viewer.grab()
    assert asked == [], "nothing is even asked for, because no picture is left"
    text = _text(viewer)
    assert "[picture: one] [picture: two]" in text
    assert "[picture: three " in text
    assert "\ufffc" not in text


def test_the_document_and_the_page_refuse_every_resource(viewer: MarkdownViewer) -> None:
    viewer.set_text("![x](file:///etc/passwd)")
    for kind in QTextDocument.ResourceType:
        assert viewer.page.document().resource(kind.value, QUrl("file:///etc/passwd")) is None


def test_unseen_characters_are_named_also_from_entities(viewer: MarkdownViewer) -> None:
    viewer.set_text(HOSTILE)
    text = _text(viewer)
    assert "<U+202E>reversed" in text
    assert "<U+200B>zero" in text
    assert not set(text) & {"\u202e", "\u200b", "\x1b"}


def test_a_link_shows_its_target_and_opens_nothing(viewer: MarkdownViewer, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[QUrl] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", opened.append)
    viewer.set_text("[script](javascript:alert(1)) rest")
    place = _link_place(viewer)
    assert viewer.page.link_at(place) == "javascript:alert(1)"
    flags = viewer.page.textInteractionFlags()
    assert not flags & (
        Qt.TextInteractionFlag.LinksAccessibleByMouse | Qt.TextInteractionFlag.LinksAccessibleByKeyboard
    )
    before = _text(viewer)
    QTest.mouseMove(viewer.page.viewport(), place)
    QTest.mouseClick(viewer.page.viewport(), Qt.MouseButton.LeftButton, pos=place)
    QTest.keyClick(viewer.page, Qt.Key.Key_Tab)
    QTest.keyClick(viewer.page, Qt.Key.Key_Return)
    assert opened == []
    assert _text(viewer) == before


def _link_place(viewer: MarkdownViewer) -> QPoint:
    """Return a point on the only link."""
    port = viewer.page.viewport()
    places = [QPoint(x, y) for y in range(0, 80, 4) for x in range(0, port.width(), 4)]
    return next(place for place in places if viewer.page.anchorAt(place))


def test_what_is_copied_is_plain_text(viewer: MarkdownViewer) -> None:
    viewer.set_text("[a link](https://evil.example) **bold**\n\nmore")
    viewer.page.selectAll()
    data = viewer.page.createMimeDataFromSelection()
    assert data.formats() == ["text/plain"]
    assert data.text() == "a link bold\nmore"


def test_a_large_document_is_plain_text_with_a_notice(viewer: MarkdownViewer) -> None:
    viewer.set_text("# x\n" * (LARGEST // 4 + 1))
    assert viewer.plain.isVisible()
    assert not viewer.page.isVisible()
    assert "over 512 KiB" in viewer.notice.text()
    viewer.set_text("# small")
    assert viewer.page.isVisible()
    assert viewer.plain.row_count() == 0, "nothing of the last document stays"


@pytest.mark.parametrize(
    "text",
    [
        "_a*b" * 20_000,
        "|a" * 200 + "|\n" + "|-" * 200 + "|\n" + ("|a" * 200 + "|\n") * 20,
        "# a\n" * 50_000,
        "[a](b) " * 20_000,
    ],
    ids=["nested", "wide", "many", "links"],
)
def test_an_intricate_document_is_plain_text_instead_of_a_frozen_window(viewer: MarkdownViewer, text: str) -> None:
    viewer.set_text(text)
    assert viewer.plain.isVisible()
    assert "too intricate" in viewer.notice.text()


@pytest.mark.parametrize(
    "text", ["", ">" * 5000 + "a", "- " * 9000 + "a", "[" * 19_000, "|a|\n|-|\n", "![", "\x00", "\r\n"]
)
def test_odd_documents_are_drawn(viewer: MarkdownViewer, text: str) -> None:
    viewer.set_text(text)
    viewer.grab()


def test_another_theme_renders_again(viewer: MarkdownViewer) -> None:
    viewer.set_text("# Title\n\ntext")
    viewer.set_theme(Theme.dark())
    assert "Title" in _text(viewer)
