"""Search of the tenant's documents beside the gate."""

from PySide6.QtCore import QObject, Signal

from hitl_desktop.services.errors import ServiceError
from hitl_desktop.session import ReviewSession
from hitl_desktop.viewmodels.tasks import Tasks


class KnowledgeViewModel(QObject):
    """Signals: `found` with the hits for the newest query, `problem` with a sentence, `searching` while it runs."""

    found = Signal(object)
    problem = Signal(str)
    searching = Signal(str)

    def __init__(self, session: ReviewSession, tasks: Tasks, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._tasks = tasks
        self._query = ""

    def search(self, text: str) -> None:
        """Search for documents that hold every word of `text`; replies to older queries are dropped."""
        self._query = query = text.strip()
        if not query:
            self.found.emit(())
            return
        self.searching.emit(query)
        self._tasks.start(
            self._session.search(query),
            lambda hits: self.found.emit(hits) if query == self._query else None,
            lambda error: self._failed(query, error),
        )

    def _failed(self, query: str, error: Exception) -> None:
        if query == self._query:
            known = isinstance(error, ServiceError)
            self.problem.emit(str(error) if known else "The search failed inside the application.")
