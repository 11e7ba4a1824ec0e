"""`tenants import`: the block of a values file, into the settings file."""

import json
import os
import stat
import tomllib
from pathlib import Path

import pytest

from hitl_desktop.cli import main
from hitl_desktop.settings import read_settings

BLOCK = """
global:
  multiTenancy:
    enabled: true
    defaultTenant: acme-corp
    allowedTenants: [acme-corp, widgets-inc]
    tenantHeader: X-Client
"""
BEFORE = """# my own words
allowed_tenants = "old-corp"
HITL_REVIEWER = "me" # who

[profiles.other]
HITL_REVIEWER = "they"
"""


@pytest.fixture
def file(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = home / "own" / "settings.toml"
    path.parent.mkdir()
    path.write_text(BEFORE)
    monkeypatch.setenv("HITL_SETTINGS", str(path))
    return path


def values(home: Path, text: str = BLOCK) -> str:
    path = home / "values.yaml"
    path.write_text(text)
    return str(path)


def test_what_the_block_says_is_set_and_all_else_stays(home: Path, file: Path) -> None:
    assert main(["tenants", "import", values(home)]) == 0
    read = read_settings(os.environ)
    assert read.multi_tenancy
    assert (read.default_tenant, read.allowed_tenants) == ("acme-corp", ("acme-corp", "widgets-inc"))
    assert (read.tenant_header, read.reviewer) == ("X-Client", "me")
    kept = file.read_text()
    assert "# my own words" in kept
    assert "# who" in kept
    assert tomllib.loads(kept)["profiles"] == {"other": {"HITL_REVIEWER": "they"}}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_dry_run_only_shows(home: Path, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tenants", "import", values(home), "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "file": str(file),
        "written": False,
        "settings": {
            "MULTI_TENANCY_ENABLED": True,
            "ALLOWED_TENANTS": ["acme-corp", "widgets-inc"],
            "TENANT_HEADER": "X-Client",
            "DEFAULT_TENANT_ID": "acme-corp",
        },
    }
    assert file.read_text() == BEFORE


def test_a_file_that_is_not_there_yet_is_made(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["tenants", "import", "packaging/helm/values.yaml"]) == 0
    assert read_settings(os.environ).allowed_tenants == ("acme-corp", "widgets-inc")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1", "has no multiTenancy block"),
        ("a: [", "cannot be read as YAML"),
        ("multiTenancy: {enabled: true, tenants: [a]}", "holds tenants; allowed are"),
        ("multiTenancy: {enabled: perhaps}", "MULTI_TENANCY_ENABLED is 'perhaps'"),
        ("multiTenancy: {enabled: true, allowedTenants: [a_b, a]}", "ALLOWED_TENANTS has 'a_b'"),
        ("multiTenancy: {enabled: true, allowedTenants: a, defaultTenant: b}", "DEFAULT_TENANT_ID is 'b'"),
        ("!!python/object/apply:os.getcwd []", "cannot be read as YAML"),
    ],
)
def test_a_wrong_file_changes_nothing(
    home: Path, file: Path, capsys: pytest.CaptureFixture[str], text: str, told: str
) -> None:
    assert main(["tenants", "import", values(home, text)]) == 2
    assert told in capsys.readouterr().err
    assert file.read_text() == BEFORE
