"""Search of the tenant's documents beside the gate."""

from PySide6.QtCore import QObject, Signal

from hitl_desktop.services.errors import ServiceError, Unavailable
from hitl_desktop.services.knowledge import KnowledgeResults
from hitl_desktop.session import ReviewSession
from hitl_desktop.store.evidence import Found
from hitl_desktop.viewmodels.tasks import Tasks


class KnowledgeViewModel(QObject):
    """Signals: `found` with the results of the newest query, `problem` with a sentence, `searching` while it runs.

    `kept` comes instead of `found` where the store cannot be reached: with what this machine's own index has, and a
    sentence about what that leaves out.
    """

    found = Signal(object)
    kept = Signal(object, str)
    problem = Signal(str)
    searching = Signal(str)

    def __init__(self, session: ReviewSession, tasks: Tasks, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._tasks = tasks
        self._query = ""

    def search(self, text: str) -> None:
        """Search for documents by `text`; replies to older queries are dropped."""
        self._query = query = text.strip()
        if not query:
            self.found.emit(KnowledgeResults())
            return
        self.searching.emit(query)
        self._tasks.start(
            self._session.search(query),
            lambda results: self.found.emit(results) if query == self._query else None,
            lambda error: self._failed(query, error),
        )

    def _failed(self, query: str, error: Exception) -> None:
        if query != self._query:
            return
        if isinstance(error, Unavailable):
            self._tasks.start(
                self._session.search_kept(query),
                lambda found: self._show_kept(query, found, str(error)),
                lambda _error: self.problem.emit(str(error)),
            )
        else:
            known = isinstance(error, ServiceError)
            self.problem.emit(str(error) if known else "The search failed inside the application.")

    def _show_kept(self, query: str, found: tuple[Found, ...], why: str) -> None:
        if query == self._query:
            told = f"{why.rstrip('.')}. In the evidence kept on this machine, {len(found)} gates hold these words."
            self.kept.emit(found, told)
