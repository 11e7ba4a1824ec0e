"""A place where two tenants meet, for each server and key layout; both have one of everything there."""

from collections.abc import Iterator

import pytest

from hitl_desktop.local.chroma import EmbeddedChroma
from hitl_desktop.local.folder import Folder
from hitl_desktop.settings import KeyLayout
from tests.isolation.filling import MARKS
from tests.isolation.place import Place, settle_in
from tests.servers import Server


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """One embedded Chroma for all tenants of this machine."""
    folder = Folder(tmp_path_factory.mktemp("workspace"))
    folder.prepare()
    embedded = EmbeddedChroma(folder)
    yield embedded.claim()
    embedded.release()


@pytest.fixture(params=list(KeyLayout))
def place(request: pytest.FixtureRequest, server: Server, documents: object, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A machine whose reviewer works for two tenants, on each kind of server and in each key layout."""
    settle_in(monkeypatch, server, request.param, *MARKS)
    return Place(server, request.param, documents)


@pytest.fixture
def plain_place(valkey: Server, documents: object, monkeypatch: pytest.MonkeyPatch) -> Place:
    """One such machine, where neither server nor layout matters."""
    settle_in(monkeypatch, valkey, KeyLayout.PLAIN, *MARKS)
    return Place(valkey, KeyLayout.PLAIN, documents)
