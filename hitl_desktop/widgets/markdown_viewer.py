"""Evidence that is markdown: rendered, or as plain text with a notice where that would take too long."""

from PySide6.QtWidgets import QFrame, QVBoxLayout, QWidget

from hitl_desktop.widgets.labels import label
from hitl_desktop.widgets.markdown_page import MarkdownPage
from hitl_desktop.widgets.text_viewer import TextViewer
from hitl_desktop.widgets.theme import Theme

LARGEST = 512 * 1024
"""Characters of markdown that are rendered."""

_TOO_LARGE = "This document is over 512 KiB, so that it is shown as the plain text it was written in."
_TOO_INTRICATE = (
    "This document is too intricate to be rendered, so that it is shown as the plain text it was written in."
)


class MarkdownViewer(QFrame):
    """Shows an agent's markdown. HTML, pictures, links and addresses in it have no effect."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._text = ""
        self.notice = label(tone="muted", wraps=True)
        self.notice.setContentsMargins(20, 8, 20, 8)
        self.page = MarkdownPage(theme)
        self.plain = TextViewer(theme)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        for part in (self.notice, self.page, self.plain):
            layout.addWidget(part)
        self.set_text("")

    def set_text(self, text: str) -> None:
        """Show `text`."""
        self._text = text
        if len(text) > LARGEST:
            self._show_plain(_TOO_LARGE)
        elif self.page.set_text(text):
            self.plain.set_text("")
            self._show_only(self.page)
        else:
            self._show_plain(_TOO_INTRICATE)

    def set_theme(self, theme: Theme) -> None:
        """Draw in another theme."""
        self.page.set_theme(theme)
        self.plain.set_theme(theme)
        self.set_text(self._text)

    def _show_plain(self, reason: str) -> None:
        self.page.set_text("")
        self.plain.set_text(self._text)
        self.notice.setText(reason)
        self._show_only(self.plain)

    def _show_only(self, part: QWidget) -> None:
        self.page.setVisible(part is self.page)
        self.plain.setVisible(part is self.plain)
        self.notice.setVisible(part is self.plain)
        self.setFocusProxy(part)
