"""A stand-in for the model that chromadb downloads: as it lies on the disk, but small, and with a few words of meaning.

It is a real ONNX file with a real tokenizer: words of one line below have one vector, all others have none.
"""

import hashlib
import io
import json
import struct
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hitl_desktop.services.meaning import local_model

MEANINGS = (("login", "authenticate", "password"), ("retry", "jitter", "backoff"), ("invoice", "payment", "refund"))
DIMENSIONS = 384


@contextmanager
def models_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let chromadb look for its model in `folder` and nowhere else; none is loaded yet."""
    from chromadb.utils.embedding_functions.onnx_mini_lm_l6_v2 import ONNXMiniLM_L6_V2

    monkeypatch.setattr(ONNXMiniLM_L6_V2, "DOWNLOAD_PATH", folder)
    local_model.cache_clear()
    yield
    local_model.cache_clear()


def write_model(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the model as chromadb leaves its own, the archive and what it held, and let its digest be the right one."""
    from chromadb.utils.embedding_functions.onnx_mini_lm_l6_v2 import ONNXMiniLM_L6_V2

    words = ["[PAD]", "[UNK]", *(word for group in MEANINGS for word in group)]
    files = dict.fromkeys(("config.json", "special_tokens_map.json", "tokenizer_config.json"), b"{}")
    files |= {"vocab.txt": "\n".join(words).encode(), "tokenizer.json": _tokenizer(words), "model.onnx": _model()}
    (folder / "onnx").mkdir(parents=True)
    with tarfile.open(folder / "onnx.tar.gz", "w:gz") as archive:
        for name, content in files.items():
            (folder / "onnx" / name).write_bytes(content)
            member = tarfile.TarInfo(f"onnx/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    digest = hashlib.sha256((folder / "onnx.tar.gz").read_bytes()).hexdigest()
    monkeypatch.setattr(ONNXMiniLM_L6_V2, "_MODEL_SHA256", digest)


def meaning_of(word: str) -> list[float]:
    """Return the vector of a text in which `word` is the only one that the model knows."""
    return [float(any(word in group and n == axis for n, group in enumerate(MEANINGS))) for axis in range(DIMENSIONS)]


def _tokenizer(words: list[str]) -> bytes:
    described: dict[str, object] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": {word: n for n, word in enumerate(words)}, "unk_token": "[UNK]"},
    }
    return json.dumps(described).encode()


def _model() -> bytes:
    """Return an ONNX model with the real one's inputs, whose hidden state is each token's row in a table."""
    rows = [meaning_of(""), meaning_of(""), *(meaning_of(word) for group in MEANINGS for word in group)]
    numbers = b"".join(struct.pack(f"<{DIMENSIONS}f", *row) for row in rows)
    shape = _number(1, len(rows)) + _number(1, DIMENSIONS)
    table = shape + _number(2, 1) + _bytes(8, b"table") + _bytes(9, numbers)
    gather = _bytes(1, b"table") + _bytes(1, b"input_ids") + _bytes(2, b"last_hidden_state") + _bytes(4, b"Gather")
    inputs = (_value(name, 7, 2) for name in (b"input_ids", b"attention_mask", b"token_type_ids"))
    graph = _bytes(1, gather) + _bytes(2, b"stand-in") + _bytes(5, table)
    graph += b"".join(_bytes(11, value) for value in inputs) + _bytes(12, _value(b"last_hidden_state", 1, 3))
    return _number(1, 8) + _bytes(7, graph) + _bytes(8, _bytes(1, b"") + _number(2, 13))


def _value(name: bytes, element: int, dimensions: int) -> bytes:
    """Return a description of an input or output of `dimensions` open lengths; elements: 1 is float, 7 is int64."""
    shape = b"".join(_bytes(1, _bytes(2, b"%c%d" % (name[0], n))) for n in range(dimensions))
    return _bytes(1, name) + _bytes(2, _bytes(1, _number(1, element) + _bytes(2, shape)))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])
