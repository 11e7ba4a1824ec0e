"""`hitl-desktop knowledge search`, in the local workspace and without a knowledge store."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hitl_desktop.local import open_workspace
from hitl_desktop.tenancy import TenantContext
from tests import network
from tests.knowledge import DOCUMENTS, new, store_of
from tests.models import models_in, write_model
from tests.servers import Server
from tests.verbs import Answer, Run

KEYWORD = "Keyword search: the embedding model is not on this machine.\n"


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with models_in(tmp_path / "model", monkeypatch):
        yield tmp_path / "model"


def found(answer: Answer) -> dict[str, bool]:
    return {document["document_id"]: document["by_meaning"] for document in answer.document["documents"]}


def test_without_a_model_words_are_searched_and_nothing_is_fetched(
    run: Run, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = network.cut(monkeypatch)
    assert run("demo").code == 0
    answer = run("knowledge", "search", "JITTER pauses", "--tenant", "acme-corp", "--json")
    assert (answer.code, answer.err) == (0, "")
    assert found(answer) == {"doc-payments": False, "doc-retries": False}
    assert answer.document["tenant_id"] == "acme-corp"
    assert answer.document["keyword_only"] == "the embedding model is not on this machine"
    assert set(answer.document["documents"][0]) == {
        "document_id",
        "collection",
        "title",
        "path",
        "excerpt",
        "by_meaning",
    }
    told = run("knowledge", "search", "JITTER pauses")
    assert "How payments are made\n" in told.out
    assert told.err == KEYWORD
    assert found(run("knowledge", "search", "jitter", "--tenant", "widgets-inc", "--json")) == {}
    nothing = run("knowledge", "search", "jitter", "--tenant", "widgets-inc")
    assert (nothing.code, nothing.out, nothing.err) == (0, "No document was found.\n", KEYWORD)
    knowledge = next(check for check in run("doctor", "--json").document["checks"] if check["name"] == "knowledge")
    assert knowledge["detail"].endswith("; keyword search, as the embedding model is not on this machine")
    assert tried == []
    assert not models.exists()


def test_with_the_model_on_the_disk_meaning_is_searched_too(
    run: Run, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = network.cut(monkeypatch)
    write_model(models, monkeypatch)
    assert run("demo").code == 0
    answer = run("knowledge", "search", "backoff", "--json")
    assert found(answer) == {"doc-retries": True, "doc-payments": True}
    assert answer.document["keyword_only"] is None
    assert run("knowledge", "search", "backoff").out.startswith("≈ ")
    knowledge = next(check for check in run("doctor", "--json").document["checks"] if check["name"] == "knowledge")
    assert knowledge["detail"].endswith("; search by words and meaning")
    assert tried == []


def test_what_an_agent_wrote_takes_no_effect_in_the_terminal(run: Run, models: Path, home: Path) -> None:
    hostile = "\x1b]8;;http://evil\x07click\x1b[31m\u202egnp.exe\r\nsecond \x9b2J"

    async def write() -> None:
        async with open_workspace(home / "state" / "workspace") as workspace:
            await workspace.record_tenant("acme-corp")
            client: Any = await workspace.chroma()
            with TenantContext.tenant_scope("acme-corp"):
                await store_of(client).put(DOCUMENTS, [new(hostile, f"plan {hostile}", title=hostile, path=hostile)])

    asyncio.run(write())
    told = run("knowledge", "search", "plan")
    assert told.code == 0
    assert not any(char in told.out for char in "\x1b\x07\u202e\x9b\r")


def test_without_a_knowledge_store_the_verb_says_so(
    valkey: Server, run: Run, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HITL_REDIS_URL", valkey.url)
    answer = run("knowledge", "search", "plan")
    assert (answer.code, answer.out) == (7, "")
    assert "HITL_CHROMA_URL" in answer.err
