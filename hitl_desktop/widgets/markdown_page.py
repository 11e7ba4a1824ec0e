"""Agents' markdown, rendered without anything of theirs taking effect."""

from html import escape

from PySide6.QtCore import QEvent, QMimeData, QPoint, Qt, QUrl
from PySide6.QtGui import QMouseEvent, QTextDocument
from PySide6.QtWidgets import QTextEdit, QToolTip, QWidget

from hitl_desktop.widgets.markdown_look import dress, is_bearable
from hitl_desktop.widgets.theme import Theme
from hitl_desktop.widgets.visible import without_unseen

_FEATURES = QTextDocument.MarkdownFeature.MarkdownDialectGitHub | QTextDocument.MarkdownFeature.MarkdownNoHTML
_MARGIN = 20
_TARGET_SHOWN = 400


class MarkdownDocument(QTextDocument):
    """A document that fetches nothing."""

    def loadResource(self, _type: int, _name: QUrl | str) -> None:
        """Refuse every image, style sheet and file."""


class MarkdownPage(QTextEdit):
    """Shows rendered markdown. Links cannot be followed: their target is told on hover, as text."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._document = MarkdownDocument()
        self.setReadOnly(True)
        self.setAcceptDrops(False)
        self.setFrameShape(self.Shape.NoFrame)
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.viewport().setMouseTracking(True)
        self.setAccessibleName("Document")

    def set_text(self, text: str) -> bool:
        """Render `text`; return False, showing nothing else, if laying it out would take too long."""
        document = MarkdownDocument()
        document.setUndoRedoEnabled(False)
        document.setDefaultFont(self._theme.font())
        document.setDocumentMargin(self._theme.pixels(_MARGIN))
        document.setMarkdown(without_unseen(text.replace("\r\n", "\n"), keep="\n\t"), _FEATURES)
        if not is_bearable(document):
            return False
        dress(document, self._theme)
        self.setDocument(document)
        self._document = document
        return True

    def set_theme(self, theme: Theme) -> None:
        """Render what follows in another theme."""
        self._theme = theme

    def loadResource(self, _type: int, _name: QUrl | str) -> None:
        """Refuse every resource."""

    def createMimeDataFromSelection(self) -> QMimeData:
        """Copy plain text alone."""
        data = QMimeData()
        data.setText(self.textCursor().selection().toPlainText())
        return data

    def link_at(self, point: QPoint) -> str:
        """Return the target of the link at `point` of the viewport, to be shown; empty where there is none."""
        return without_unseen(self.anchorAt(point))[:_TARGET_SHOWN]

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Tell the target of the link under the pointer."""
        super().mouseMoveEvent(event)
        target = self.link_at(event.position().toPoint())
        if target:
            # A tool tip would take text that looks like rich text for it.
            QToolTip.showText(event.globalPosition().toPoint(), f"<qt>{escape(target)}</qt>", self.viewport())
        else:
            QToolTip.hideText()

    def leaveEvent(self, event: QEvent) -> None:
        """Take the link's target away."""
        QToolTip.hideText()
        super().leaveEvent(event)
