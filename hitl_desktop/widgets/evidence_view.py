"""The evidence of one gate: a tab for each piece, and the viewer that fits it."""

from collections.abc import Callable
from pathlib import PurePosixPath

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QStackedWidget, QTabBar, QVBoxLayout, QWidget

from hitl_desktop.domain.evidence import Integrity
from hitl_desktop.services.evidence import Evidence
from hitl_desktop.session import OpenGate
from hitl_desktop.widgets.diff_viewer import DiffViewer
from hitl_desktop.widgets.image_viewer import ImageViewer
from hitl_desktop.widgets.labels import label, line
from hitl_desktop.widgets.markdown_viewer import MarkdownViewer
from hitl_desktop.widgets.text_viewer import TextViewer
from hitl_desktop.widgets.theme import Theme
from hitl_desktop.widgets.words import one_line

_INTEGRITY = {
    Integrity.VERIFIED: ("✓", "The content is what the agent vouched for."),
    Integrity.MISMATCH: ("⚠", "The content is not what the agent vouched for: do not trust it."),
    Integrity.UNVERIFIABLE: ("?", "There is no digest of this content, so it cannot be verified."),
    Integrity.MISSING: ("∅", "The content was not sent along and is not to be found here."),
}
_TAB_LETTERS = 32
_MARKDOWN = frozenset({".md", ".markdown"})
_IMAGES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")


class EvidenceView(QFrame):
    """`viewed` comes with the index of a piece of evidence when it is shown."""

    viewed = Signal(int)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("evidence")
        self._theme = theme
        self._evidence: tuple[Evidence, ...] = ()
        self._is_viewed: Callable[[int], bool] = lambda _item: False
        self.tabs = QTabBar(expanding=False, drawBase=False, usesScrollButtons=True)
        self.tabs.setElideMode(Qt.TextElideMode.ElideNone)
        self.tabs.setAccessibleName("Evidence")
        self.tabs.currentChanged.connect(self._show)
        self._progress = label(tone="muted")
        self._note = label(tone="muted", wraps=True)
        self.text = TextViewer(theme)
        self.diff = DiffViewer(theme)
        self.markdown = MarkdownViewer(theme)
        self.image = ImageViewer(theme)
        self._stack = QStackedWidget()
        for viewer in (self.text, self.diff, self.markdown, self.image):
            self._stack.addWidget(viewer)
        self._lay_out()

    def show_evidence(self, found: OpenGate, is_viewed: Callable[[int], bool]) -> None:
        """Show the evidence of a gate, beginning where the reviewer was if it is the same evidence."""
        if found.evidence == self._evidence and self.tabs.count():
            return
        self._evidence, self._is_viewed = found.evidence, is_viewed
        self.tabs.blockSignals(True)  # noqa: FBT003 - Qt's own signature
        while self.tabs.count():
            self.tabs.removeTab(0)
        for piece in found.evidence:
            index = self.tabs.addTab("")
            self.tabs.setTabToolTip(index, f"{one_line(piece.item.path)}\n{_INTEGRITY[piece.integrity][1]}")
        self.tabs.blockSignals(False)  # noqa: FBT003 - as above
        self._name_tabs()
        self.tabs.setVisible(bool(found.evidence))
        if found.evidence:
            self.tabs.setCurrentIndex(0)
            self._show(0)
        else:
            self._progress.clear()
            self._show_text("The agent sent no evidence with this gate.")

    def set_theme(self, theme: Theme) -> None:
        """Draw in another palette, such as that of another tenant."""
        self._theme = theme
        for viewer in (self.text, self.diff, self.markdown, self.image):
            viewer.set_theme(theme)

    def show_raw(self, text: str) -> None:
        """Show a record as it is, without evidence."""
        self.clear()
        self._show_text(text)

    def show_progress(self, viewed: int) -> None:
        """Show how many pieces the reviewer has seen."""
        self._progress.setText(f"{viewed} of {len(self._evidence)} viewed")
        self._name_tabs()

    def clear(self) -> None:
        """Show nothing."""
        self._evidence = ()
        self._is_viewed = lambda _item: False
        self.tabs.blockSignals(True)  # noqa: FBT003 - as above
        while self.tabs.count():
            self.tabs.removeTab(0)
        self.tabs.blockSignals(False)  # noqa: FBT003 - as above
        self.tabs.hide()
        self._progress.clear()
        self._note.hide()
        for viewer in (self.text, self.markdown):
            viewer.set_text("")
        self.diff.set_diff("")
        self.image.clear()

    def step(self, tabs: int) -> None:
        """Move to another tab, `tabs` to the right."""
        if self.tabs.count():
            self.tabs.setCurrentIndex((self.tabs.currentIndex() + tabs) % self.tabs.count())

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.setContentsMargins(20, 0, 20, 0)
        head.setSpacing(12)
        head.addWidget(self.tabs, 1)
        head.addWidget(self._progress)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(head)
        layout.addWidget(line())
        layout.addWidget(self._note)
        layout.addWidget(self._stack, 1)
        self._note.setContentsMargins(20, 6, 20, 6)
        self._note.hide()

    def _name_tabs(self) -> None:
        for index, piece in enumerate(self._evidence):
            glyph = _INTEGRITY[piece.integrity][0]
            seen = "" if self._is_viewed(index) else "● "
            self.tabs.setTabText(index, f"{seen}{_tab_name(piece.item.path)} {glyph}".replace("&", "&&"))

    def _show(self, index: int) -> None:
        if not 0 <= index < len(self._evidence):
            return
        piece = self._evidence[index]
        notes = [one_line(piece.item.description)] if piece.item.description else []
        if piece.integrity is not Integrity.VERIFIED:
            glyph, sentence = _INTEGRITY[piece.integrity]
            notes.insert(0, f"{glyph} {sentence}")
        self._note.setText("  ".join(notes))
        self._note.setVisible(bool(notes))
        self._view(piece)
        self.viewed.emit(index)

    def _view(self, piece: Evidence) -> None:
        content, text = piece.content, piece.text
        if content is None:
            self._show_text(f"No content came with {one_line(piece.item.path)}.")
        elif content.startswith(_IMAGES) and self.image.set_bytes(content):
            self._stack.setCurrentWidget(self.image)
        elif text is None:
            self._show_text(f"{len(content):,} bytes that are not text.")
        elif _is_diff(piece.item.path, text):
            self.diff.set_diff(text)
            self._stack.setCurrentWidget(self.diff)
        elif PurePosixPath(piece.item.path).suffix.lower() in _MARKDOWN:
            self.markdown.set_text(text)
            self._stack.setCurrentWidget(self.markdown)
        else:
            self._show_text(text)

    def _show_text(self, text: str) -> None:
        self.text.set_text(text)
        self._stack.setCurrentWidget(self.text)


def _tab_name(path: str) -> str:
    name = one_line(PurePosixPath(path).name or path)
    return name if len(name) <= _TAB_LETTERS else f"{name[: _TAB_LETTERS // 2]}…{name[-_TAB_LETTERS // 2 :]}"


def _is_diff(path: str, text: str) -> bool:
    if PurePosixPath(path).suffix.lower() in {".diff", ".patch"}:
        return True
    head = text[:4096]
    return head.startswith(("diff --git ", "--- ")) and "\n+++ " in head and "\n@@ " in head
