"""The tenant's documents beside the gate: search, hits, and the document that is open."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QLineEdit, QListWidget, QListWidgetItem, QSplitter, QVBoxLayout, QWidget

from hitl_desktop.services.knowledge import KnowledgeHit, KnowledgeResults
from hitl_desktop.store.evidence import Found
from hitl_desktop.viewmodels.knowledge import KnowledgeViewModel
from hitl_desktop.widgets.labels import label
from hitl_desktop.widgets.markdown_viewer import MarkdownViewer
from hitl_desktop.widgets.theme import Theme
from hitl_desktop.widgets.words import one_line


class KnowledgePane(QFrame):
    """Searches as Enter is pressed."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("review")
        self.setMinimumWidth(280)
        self._view: KnowledgeViewModel | None = None
        self._hits: tuple[KnowledgeHit, ...] = ()
        self.search = QLineEdit(placeholderText="Search documents, then Enter …", clearButtonEnabled=True)
        self.search.setAccessibleName("Search documents")
        self.search.returnPressed.connect(self._search)
        self.note = label(tone="muted", wraps=True)
        self.list = QListWidget()
        self.list.setAccessibleName("Documents found")
        self.list.setWordWrap(True)
        self.list.currentRowChanged.connect(self._open)
        self._document = MarkdownViewer(theme)
        parts = QSplitter(Qt.Orientation.Vertical, childrenCollapsible=False)
        parts.setHandleWidth(1)
        parts.addWidget(self.list)
        parts.addWidget(self._document)
        parts.setSizes([260, 420])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 12, 12, 0)
        layout.setSpacing(8)
        layout.addWidget(label("Knowledge", "paneTitle"))
        layout.addWidget(self.search)
        layout.addWidget(self.note)
        layout.addWidget(parts, 1)

    def attach(self, view: KnowledgeViewModel, theme: Theme) -> None:
        """Search through `view`, in the tenant's `theme`."""
        self._view = view
        self._document.set_theme(theme)
        view.found.connect(self._show)
        view.kept.connect(self._show_kept)
        view.problem.connect(self.note.setText)
        view.searching.connect(lambda query: self.note.setText(f"Searching for “{query}” …"))

    def detach(self) -> None:
        """Let go of the view-model and of everything found."""
        self._view = None
        self.search.clear()
        self._list(())
        self.note.clear()

    def focus_search(self) -> None:
        """Make ready to type."""
        self.search.setFocus()
        self.search.selectAll()

    def _search(self) -> None:
        if self._view is not None:
            self._view.search(self.search.text())

    def _list(self, hits: tuple[KnowledgeHit, ...]) -> None:
        self._hits = hits
        self.list.clear()
        self._document.set_text("")
        for hit in hits:
            near = "≈ " if hit.by_meaning else ""
            self.list.addItem(QListWidgetItem(f"{near}{one_line(hit.title)}\n{one_line(hit.excerpt)}"))

    def _show(self, results: KnowledgeResults) -> None:
        self._list(results.hits)
        self.note.setText(told(results) if self.search.text().strip() else "")

    def _show_kept(self, found: tuple[Found, ...], told: str) -> None:
        self._list(())
        for gate in found:
            self.list.addItem(QListWidgetItem(f"{one_line(gate.title)}\n{one_line(gate.excerpt)}"))
        self.note.setText(told)

    def _open(self, row: int) -> None:
        if 0 <= row < len(self._hits):
            self._document.set_text(self._hits[row].content)


def told(results: KnowledgeResults) -> str:
    """Return how many documents were found, and by what."""
    near = sum(hit.by_meaning for hit in results.hits)
    count = len(results.hits) - near
    with_words = f"{count} document{'' if count == 1 else 's'}" if count else "No document holds these words"
    if results.keyword_only:
        return f"{with_words}. Keyword search: {results.keyword_only}."
    return f"{with_words}; {near} near in meaning (≈)." if near else f"{with_words}."
