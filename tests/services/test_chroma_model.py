"""Chroma's model is used where it lies whole on the disk; nothing is ever fetched."""

import concurrent.futures
import hashlib
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from chromadb.utils.embedding_functions.onnx_mini_lm_l6_v2 import ONNXMiniLM_L6_V2

from hitl_desktop.services.meaning import LocalModel, NoModelError
from tests import network
from tests.models import meaning_of, models_in, write_model


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with models_in(tmp_path / "model", monkeypatch):
        yield tmp_path / "model"


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    return network.cut(monkeypatch)


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_chromadb_itself_would_fetch_its_model(folder: Path, tried: list[Any]) -> None:
    with pytest.raises(Exception, match="the network is cut"):
        ONNXMiniLM_L6_V2()(["text"])
    assert tried


def test_without_a_model_nothing_is_fetched_and_nothing_written(folder: Path, home: Path, tried: list[Any]) -> None:
    with pytest.raises(NoModelError, match="not on this machine"):
        LocalModel().embed("text")
    assert tried == []
    assert not folder.exists()
    assert files_below(home) == {}


def test_a_model_on_the_disk_gives_chromas_own_vectors(
    folder: Path, tried: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_model(folder, monkeypatch)
    before = files_below(folder)
    model = LocalModel()
    assert list(model.embed("How do users Authenticate?")) == meaning_of("authenticate")
    assert list(model.embed("retry " * 1_000)) == meaning_of("retry")
    assert list(model.embed("unknown")) == [0.0] * 384
    assert list(model.embed("login retry")) == ONNXMiniLM_L6_V2()(["login retry"])[0].tolist()
    assert tried == []
    assert files_below(folder) == before


def test_a_model_that_arrives_later_is_found(folder: Path, tried: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    model = LocalModel()
    with pytest.raises(NoModelError):
        model.embed("login")
    write_model(folder, monkeypatch)
    assert list(model.embed("login")) == meaning_of("login")


def test_many_threads_may_ask(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_model(folder, monkeypatch)
    model = LocalModel()
    words = ["login", "retry", "invoice"] * 20
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(list, pool.map(model.embed, words))) == [meaning_of(word) for word in words]


def shorten(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def change(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def lengthen(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"\0")


@pytest.mark.parametrize("damage", [shorten, change, lengthen, Path.unlink])
@pytest.mark.parametrize("name", ["onnx.tar.gz", "onnx/model.onnx", "onnx/tokenizer.json", "onnx/vocab.txt"])
def test_a_model_that_is_not_whole_is_not_used_nor_mended(
    folder: Path, tried: list[Any], monkeypatch: pytest.MonkeyPatch, name: str, damage: Callable[[Path], None]
) -> None:
    write_model(folder, monkeypatch)
    damage(folder / name)
    before = files_below(folder)
    absent = damage == Path.unlink and name == "onnx.tar.gz"
    with pytest.raises(NoModelError, match="not on this machine" if absent else "not whole"):
        LocalModel().embed("login")
    assert tried == []
    assert files_below(folder) == before


def test_an_archive_of_something_else_is_not_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_model(folder, monkeypatch)
    monkeypatch.setattr(ONNXMiniLM_L6_V2, "_MODEL_SHA256", "0" * 64)
    with pytest.raises(NoModelError, match="not whole"):
        LocalModel().embed("login")


def test_without_an_engine_a_model_is_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_model(folder, monkeypatch)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(NoModelError, match="cannot be loaded here"):
        LocalModel().embed("login")


def test_a_model_that_cannot_be_loaded_is_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_model(folder, monkeypatch)
    (folder / "onnx" / "model.onnx").write_bytes(b"no model")
    with tarfile.open(folder / "onnx.tar.gz", "w:gz") as archive:
        archive.add(folder / "onnx", "onnx")
    digest = hashlib.sha256((folder / "onnx.tar.gz").read_bytes()).hexdigest()
    monkeypatch.setattr(ONNXMiniLM_L6_V2, "_MODEL_SHA256", digest)
    with pytest.raises(NoModelError, match="cannot be loaded"):
        LocalModel().embed("login")
