"""`tenants gateway` and `tenants gateway-token`: what is asked of whoever starts it."""

import json
import socket
import sys
import tomllib
from pathlib import Path

import pytest

from hitl_desktop.cli import main
from hitl_desktop.gateway.tokens import TokenFile, digest_of
from hitl_desktop.tenancy import TenantConfig

CHROMA = "http://127.0.0.1:1"


@pytest.fixture
def tokens(home: Path) -> Path:
    path = home / "tokens.toml"
    path.touch(mode=0o600)
    return path


def fails(capsys: pytest.CaptureFixture[str], code: int, *words: str) -> str:
    assert main(["tenants", "gateway", *words]) == code
    said = capsys.readouterr()
    assert said.out == ""
    return said.err


def test_a_token_is_printed_with_its_line_for_the_file(tokens: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tenants", "gateway-token", "acme-corp"]) == 0
    token, line = capsys.readouterr().out.splitlines()
    assert tomllib.loads(line) == {"acme-corp": digest_of(token)}
    tokens.write_text(line)
    assert TokenFile(tokens, TenantConfig(enabled=True)).tenant_of(token) == "acme-corp"
    assert main(["tenants", "gateway-token", "acme-corp", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["tenant_id"] == "acme-corp"
    assert document["digest"] == digest_of(document["token"]) != digest_of(token)


def test_a_token_is_made_for_no_tenant_that_is_not_allowed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ALLOWED_TENANTS", "acme-corp")
    for tenant in ("widgets-inc", "../x", "*"):
        assert main(["tenants", "gateway-token", tenant]) == 2
        assert capsys.readouterr().out == ""


@pytest.mark.parametrize("missing", ["uvicorn", "httpx"])
def test_without_the_extra_one_sentence_says_what_to_install(
    tokens: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], missing: str
) -> None:
    for name in ("server", "upstream", "door", "border"):
        monkeypatch.delitem(sys.modules, f"hitl_desktop.gateway.{name}", raising=False)
    monkeypatch.setitem(sys.modules, missing, None)
    said = fails(capsys, 2, "--chroma", CHROMA, "--tokens", str(tokens))
    assert said == f"Error: The gateway needs {missing}: pip install 'hitl-desktop[gateway]'.\n"


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1:8000",
        "ftp://x",
        "http://",
        "http://u:p@x",
        "http://x?a=b",
        "http://x#a",
        "http://x:99999",
        "http://[x",
    ],
)
def test_an_address_that_is_none_is_refused_without_repeating_it(
    tokens: Path, capsys: pytest.CaptureFixture[str], address: str
) -> None:
    assert "--chroma takes http://" in fails(capsys, 2, "--chroma", address, "--tokens", str(tokens))


def test_a_token_file_for_all_to_read_is_refused(tokens: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tokens.chmod(0o644)
    assert "must have mode 0600" in fails(capsys, 2, "--chroma", CHROMA, "--tokens", str(tokens))


def test_settings_that_are_not_valid_are_named(
    tokens: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TENANT_HEADER", "X Tenant")
    assert "TENANT_HEADER" in fails(capsys, 2, "--chroma", CHROMA, "--tokens", str(tokens))


def test_a_port_that_is_taken_is_named(tokens: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = fails(capsys, 6, "--chroma", CHROMA, "--tokens", str(tokens), "--port", str(port))
    assert said.startswith("Error: The gateway cannot start: Address already in use")
    assert str(port) in said


def test_an_audit_file_that_cannot_be_written_is_named(
    home: Path, tokens: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--chroma", CHROMA, "--tokens", str(tokens), "--port", "0", "--audit", str(tokens / "audit.jsonl"))
    assert str(tokens) in fails(capsys, 6, *words)
