from pathlib import Path

import pytest

from hitl_desktop.settings import Settings, SettingsError, read_settings

FILE = """
HITL_REDIS_URL = "redis://everyday"
HITL_REVIEWER = "me"

[profiles.client-a]
HITL_REDIS_URL = "redis://client-a"
MULTI_TENANCY_ENABLED = true
ALLOWED_TENANTS = ["client-a"]
"""


def read(home: Path, file: str = FILE, **environment: str) -> Settings:
    path = home / "settings.toml"
    path.write_text(file)
    return read_settings({"HITL_SETTINGS": str(path), "HITL_STATE_DIR": str(home), **environment})


def test_a_profile_beats_the_file_and_the_environment_beats_both(home: Path) -> None:
    assert read(home).redis_url == "redis://everyday"
    chosen = read(home, HITL_PROFILE="client-a")
    assert (chosen.redis_url, chosen.reviewer) == ("redis://client-a", "me")
    assert chosen.allowed_tenants == ("client-a",)
    assert read(home, HITL_PROFILE="client-a", REDIS_HOST="here").redis_url == "redis://here:6379/0"


def test_a_profile_that_is_not_there_is_told(home: Path) -> None:
    with pytest.raises(SettingsError, match=r"^HITL_PROFILE is 'client-b'; allowed are .*: client-a\.$"):
        read(home, HITL_PROFILE="client-b")
    with pytest.raises(SettingsError, match=r"none\.$"):
        read(home, "", HITL_PROFILE="client-b")


def test_a_profile_holds_settings_only(home: Path) -> None:
    with pytest.raises(SettingsError, match="is no setting"):
        read(home, "[profiles.a]\nREDIS_HOTS = 'x'\n", HITL_PROFILE="a")
