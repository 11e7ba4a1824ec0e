"""The log of refusals: private, one line each, and bounded."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from hitl_desktop.gateway import audit
from hitl_desktop.gateway.tokens import new_token


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "log" / "gateway.jsonl"
    handler = audit.start(path)
    yield path
    audit.stop(handler)


def test_a_line_is_json_whatever_the_request_said(file: Path) -> None:
    token = new_token()
    hostile = 'a\n"b\u2028\x1b[31m\ud800'
    audit.refused(None, hostile, hostile, f"/{hostile}/{token}", "No.")
    audit.refused("acme-corp", None, "GET", "/" + "x" * 5000, "No.")
    first, second = [json.loads(line) for line in file.read_text(encoding="ascii").split("\n")[:-1]]
    assert (first["tenant"], first["header"], first["method"]) == (None, hostile, hostile)
    assert first["path"] == f"/{hostile}/[token]"
    assert (second["tenant"], second["header"], len(second["path"])) == ("acme-corp", None, 500)


def test_the_file_is_private_even_if_it_was_not_before(tmp_path: Path) -> None:
    path = tmp_path / "gateway.jsonl"
    path.write_text("{}\n")
    path.chmod(0o644)
    audit.stop(audit.start(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text() == "{}\n"


def test_a_full_file_moves_aside(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = "x" * 400
    for _ in range(15_000):
        audit.refused(None, None, "GET", line, line)
    kept = sorted(file.parent.iterdir())
    assert [path.name for path in kept] == ["gateway.jsonl", "gateway.jsonl.1"]
    assert sum(len(path.read_text().splitlines()) for path in kept) == 15_000
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in kept)
