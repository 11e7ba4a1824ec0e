"""The file of digests: who may read it, and what it may hold."""

import hashlib
from pathlib import Path

import pytest

from hitl_desktop.gateway.tokens import TokenFile, TokenFileError, digest_of, new_token
from hitl_desktop.tenancy import TenantConfig

CONFIG = TenantConfig(enabled=True, allowed_tenants=("acme-corp", "widgets-inc", "Old_Client"))


def written(folder: Path, text: str | bytes, mode: int = 0o600) -> Path:
    path = folder / "tokens.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return path


def test_a_token_is_its_tenants_and_a_tenant_may_have_several(tmp_path: Path) -> None:
    first, second, other = new_token(), new_token(), new_token()
    assert digest_of(first) == hashlib.sha256(first.encode()).hexdigest()
    tokens = TokenFile(
        written(
            tmp_path,
            f'# ours\nacme-corp = ["{digest_of(first)}", "{digest_of(second)}"]\n"Old_Client" = "{digest_of(other)}"\n',
        ),
        CONFIG,
    )
    assert [tokens.tenant_of(token) for token in (first, second, other)] == ["acme-corp", "acme-corp", "Old_Client"]
    assert [tokens.tenant_of(token) for token in ("", "x", first[:-1], digest_of(first), new_token())] == [None] * 5


def test_tokens_are_long_random_and_no_tenant_ids() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(len(token) == 48 and not CONFIG.allows(token) for token in tokens)
    assert not any(TenantConfig(enabled=True).allows(token) for token in tokens)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o610])
def test_a_file_that_others_may_read_is_not_taken(tmp_path: Path, mode: int) -> None:
    with pytest.raises(TokenFileError, match="mode 0600"):
        TokenFile(written(tmp_path, "", mode), CONFIG)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("acme-corp", "is not TOML"),
        (b"\xff", "is not TOML"),
        (f'acme-corp = "{"0" * 64}"\nacme-corp = "{"1" * 64}"', "is not TOML"),
        ('acme-corp = "hitl_secret"', "has no SHA-256 in hexadecimal for tenant acme-corp"),
        (f'acme-corp = "{"A" * 64}"', "has no SHA-256"),
        ("acme-corp = 7", "has no SHA-256"),
        ('acme-corp = [["x"]]', "has no SHA-256"),
        (f'[acme-corp]\ntoken = "{"0" * 64}"', "has no SHA-256"),
        (f'acme-corp = "{"0" * 64}"\nwidgets-inc = "{"0" * 64}"', "has one token twice"),
        (f'acme-corp = ["{"0" * 64}", "{"0" * 64}"]', "has one token twice"),
        (f'evil-corp = "{"0" * 64}"', "not on the allowlist"),
        (f'"*" = "{"0" * 64}"', "names a tenant that cannot be served"),
        (f'"" = "{"0" * 64}"', "names a tenant that cannot be served"),
        ("#" * (1024 * 1024 + 1), "too large"),
    ],
)
def test_a_file_that_holds_anything_else_is_not_taken(tmp_path: Path, text: str | bytes, why: str) -> None:
    with pytest.raises(TokenFileError, match=why) as fault:
        TokenFile(written(tmp_path, text), CONFIG)
    assert "secret" not in str(fault.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TokenFileError, match=r"none\.toml cannot be read: No such file"):
        TokenFile(tmp_path / "none.toml", CONFIG)


@pytest.mark.logs("No token is accepted")
def test_what_the_file_held_before_lets_nobody_in(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    token = new_token()
    good = f'acme-corp = "{digest_of(token)}"\n'
    path = written(tmp_path, good)
    tokens = TokenFile(path, CONFIG)
    for spoiled in ("x", 'acme-corp = "x"'):
        written(tmp_path, spoiled)
        assert [tokens.tenant_of(token) for _ in range(3)] == [None] * 3
        written(tmp_path, good)
        assert tokens.tenant_of(token) == "acme-corp"
    assert len(caplog.records) == 2
