"""The knowledge pane says what was found, and how it was searched for."""

import contextvars
from typing import Any, cast

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from hitl_desktop.services.chroma_memory import MemoryChroma
from hitl_desktop.services.errors import NotFound, Unavailable
from hitl_desktop.services.knowledge import KnowledgeResults, KnowledgeStore, NewDocument
from hitl_desktop.services.meaning import NoModelError
from hitl_desktop.session import ReviewSession
from hitl_desktop.tenancy import TenantContext
from hitl_desktop.viewmodels.knowledge import KnowledgeViewModel
from hitl_desktop.viewmodels.tasks import Tasks
from hitl_desktop.widgets.knowledge_pane import KnowledgePane
from hitl_desktop.widgets.theme import Theme
from tests.knowledge import DOCUMENTS, store_of
from tests.models import meaning_of
from tests.waiting import until


class Words:
    """A model that knows the words of the stand-in, or none at all."""

    def __init__(self, *, is_there: bool) -> None:
        self.is_there = is_there

    def embed(self, text: str) -> list[float]:
        if not self.is_there:
            raise NoModelError("the embedding model is not on this machine")
        return meaning_of(text)


class Session:
    """What the pane's view-model asks of a session."""

    def __init__(self, store: KnowledgeStore) -> None:
        self.store = store
        self.problem: Exception | None = None

    async def search(self, text: str) -> KnowledgeResults:
        if self.problem:
            raise self.problem
        return await self.store.search(text)

    async def search_kept(self, _text: str) -> tuple[Any, ...]:
        return ()


@pytest.fixture
def model() -> Words:
    return Words(is_there=True)


@pytest.fixture
def session(model: Words) -> Session:
    return Session(store_of(MemoryChroma(), model=model))


@pytest.fixture
def pane(qtbot: QtBot, session: Session) -> KnowledgePane:
    context = contextvars.copy_context()
    context.run(TenantContext.set_tenant, "acme-corp")
    shown = KnowledgePane(Theme.light())
    qtbot.addWidget(shown)
    view = KnowledgeViewModel(cast("ReviewSession", session), Tasks(context), shown)
    shown.attach(view, Theme.light())
    return shown


async def search(pane: KnowledgePane, session: Session, text: str) -> str:
    pane.search.setText(text)
    QTest.keyClick(pane.search, Qt.Key.Key_Return)
    await until(lambda: pane.note.text() and not pane.note.text().startswith("Searching"), "the search is over")
    return pane.note.text()


async def fill(session: Session) -> None:
    with TenantContext.tenant_scope("acme-corp"):
        words = ("login", "password", "retry")
        await session.store.put(DOCUMENTS, [NewDocument(word, word, meaning_of(word)) for word in words])


def rows(pane: KnowledgePane) -> list[str]:
    return [pane.list.item(row).text() for row in range(pane.list.count())]


async def test_what_is_near_in_meaning_is_marked(pane: KnowledgePane, session: Session) -> None:
    await fill(session)
    assert await search(pane, session, "password") == "1 document; 1 near in meaning (≈)."
    assert rows(pane) == ["password\npassword", "≈ login\nlogin"]
    assert await search(pane, session, "authenticate") == "No document holds these words; 2 near in meaning (≈)."
    assert await search(pane, session, "refund") == "No document holds these words."
    assert await search(pane, session, "retry") == "1 document."


async def test_without_a_model_it_says_keyword_search(pane: KnowledgePane, session: Session, model: Words) -> None:
    await fill(session)
    model.is_there = False
    keyword = "Keyword search: the embedding model is not on this machine."
    assert await search(pane, session, "password") == f"1 document. {keyword}"
    assert rows(pane) == ["password\npassword"]
    assert await search(pane, session, "authenticate") == f"No document holds these words. {keyword}"


async def test_what_fails_is_told(pane: KnowledgePane, session: Session) -> None:
    session.problem = NotFound("No knowledge store is configured.")
    assert await search(pane, session, "plan") == "No knowledge store is configured."
    session.problem = Unavailable("It cannot be reached.")
    assert (await search(pane, session, "plan")).startswith("It cannot be reached. In the evidence kept")


async def test_the_document_opens_and_goes_with_its_tenant(pane: KnowledgePane, session: Session) -> None:
    await fill(session)
    await search(pane, session, "login")
    pane.list.setCurrentRow(0)
    assert pane._document._text == "login"
    pane.detach()
    assert (rows(pane), pane.note.text(), pane.search.text(), pane._document._text) == ([], "", "", "")
