from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitl_desktop.settings import KeyLayout, Settings, SettingsError, ThemeChoice, read_settings
from tests.environments import key_file


def settings(home: Path, file: str = "", **environment: str) -> Settings:
    path = home / "settings.toml"
    path.write_text(file)
    return read_settings({"HITL_SETTINGS": str(path), "HITL_STATE_DIR": str(home / "state"), **environment})


def test_without_settings_the_local_workspace_is_used(home: Path) -> None:
    found = read_settings({"HITL_STATE_DIR": str(home / "state")})
    assert found.is_embedded
    assert found.redis_url is None
    assert found.allowed_tenants == ("*",)
    assert found.default_tenant is None
    assert "@" in found.reviewer


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({"REDIS_HOST": "db"}, "redis://db:6379/0"),
        ({"REDIS_HOST": "db", "REDIS_PORT": "6380", "REDIS_DB": "2"}, "redis://db:6380/2"),
        ({"REDIS_HOST": "db", "REDIS_PASSWORD": "p@ss:/"}, "redis://:p%40ss%3A%2F@db:6379/0"),
        ({"REDIS_HOST": "::1"}, "redis://[::1]:6379/0"),
        ({"HITL_REDIS_URL": "rediss://db:6380/1"}, "rediss://db:6380/1"),
        ({"HITL_REDIS_URL": "unix:///run/redis.sock?db=1"}, "unix:///run/redis.sock?db=1"),
        ({"HITL_REDIS_URL": "redis://ours", "REDIS_HOST": "theirs"}, "redis://ours"),
        ({"REDIS_HOST": " "}, None),
    ],
)
def test_the_server_is_named_in_either_way(home: Path, environment: dict[str, str], url: str | None) -> None:
    assert settings(home, **environment).redis_url == url


def test_the_environment_beats_the_file_whatever_the_name(home: Path) -> None:
    file = 'HITL_REDIS_URL = "redis://file"\nhitl_reviewer = "from the file"\n'
    assert settings(home, file).redis_url == "redis://file"
    assert settings(home, file).reviewer == "from the file"
    assert settings(home, file, REDIS_HOST="environment").redis_url == "redis://environment:6379/0"


def test_a_file_may_hold_lists_numbers_and_flags(home: Path) -> None:
    file = 'REDIS_HOST = "db"\nREDIS_PORT = 6390\nMULTI_TENANCY_ENABLED = true\nALLOWED_TENANTS = ["a", "b"]\n'
    found = settings(home, file)
    assert found.redis_url == "redis://db:6390/0"
    assert found.multi_tenancy
    assert found.allowed_tenants == ("a", "b")


@pytest.mark.parametrize("word", ["true", "1", "yes", "TRUE", "Yes"])
def test_multi_tenancy_is_read_as_the_orchestrator_reads_it(home: Path, word: str) -> None:
    assert settings(home, MULTI_TENANCY_ENABLED=word).multi_tenancy
    assert not settings(home, MULTI_TENANCY_ENABLED="false").multi_tenancy


def test_knowledge_store_and_the_rest(home: Path) -> None:
    found = settings(
        home,
        KNOWLEDGE_STORE_HOST="chroma",
        KNOWLEDGE_STORE_PORT="8001",
        KNOWLEDGE_STORE_COLLECTION="docs",
        HITL_KEY_LAYOUT="hashtag",
        HITL_THEME="dark",
        TENANT_HEADER="X-T",
    )
    assert found.chroma_url == "http://chroma:8001"
    assert found.documents_collection == "docs"
    assert (found.key_layout, found.theme, found.tenant_header) == (KeyLayout.HASHTAG, ThemeChoice.DARK, "X-T")
    assert settings(home, HITL_CHROMA_URL="https://c", KNOWLEDGE_STORE_HOST="x").chroma_url == "https://c"


BAD = {
    "HITL_REDIS_URL": "http://db",
    "REDIS_PORT": "70000",
    "REDIS_DB": "-1",
    "HITL_CHROMA_URL": "ftp://c",
    "KNOWLEDGE_STORE_PORT": "eight",
    "MULTI_TENANCY_ENABLED": "ture",
    "DEFAULT_TENANT_ID": "Acme",
    "HITL_KEY_LAYOUT": "round",
    "HITL_THEME": "pink",
    "HITL_KEY_FILE": "/nowhere/key",
    "HITL_EVIDENCE_FOLDERS": "acme=/nowhere",
    "HITL_SETTINGS": "/nowhere/settings.toml",
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_setting_is_one_sentence_with_key_value_and_what_is_allowed(home: Path, name: str) -> None:
    with pytest.raises(SettingsError) as told:
        settings(home, **{name: BAD[name]})
    text = str(told.value)
    assert told.value.name == name
    assert text.startswith(name)
    assert BAD[name] in text
    assert "allowed" in text
    assert text.endswith(".")
    assert "\n" not in text


def test_a_default_tenant_must_be_allowed(home: Path) -> None:
    with pytest.raises(SettingsError, match="allowed are the ALLOWED_TENANTS: a, b"):
        settings(home, ALLOWED_TENANTS="a,b", DEFAULT_TENANT_ID="c")


def test_an_unknown_key_or_a_broken_file_is_told(home: Path) -> None:
    with pytest.raises(SettingsError, match="is no setting"):
        settings(home, "REDIS_HOTS = 1")
    with pytest.raises(SettingsError, match="is no TOML"):
        settings(home, "REDIS_HOST = ")
    with pytest.raises(SettingsError, match="REDIS_HOST is"):
        settings(home, "REDIS_HOST = 1.5")


@given(st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=12, max_size=30))
def test_no_message_shows_a_password(secret: str) -> None:
    for url in (f"redis://user:{secret}@host:99999999/0", f"http://:{secret}@host", f"redis://:{secret}@"):
        with pytest.raises(SettingsError) as told:
            read_settings({"HITL_REDIS_URL": url})
        assert secret not in str(told.value)
    assert secret not in repr(read_settings({"HITL_REDIS_URL": f"redis://:{secret}@host", "HITL_REVIEWER": "me"}))


def test_a_key_file_is_32_private_bytes(home: Path) -> None:
    key = key_file(home)
    assert settings(home, HITL_KEY_FILE=str(key)).key_file == key
    key.chmod(0o644)
    with pytest.raises(SettingsError, match="others may read"):
        settings(home, HITL_KEY_FILE=str(key))
    key.chmod(0o600)
    key.write_bytes(b"short")
    with pytest.raises(SettingsError, match="has 5 bytes"):
        settings(home, HITL_KEY_FILE=str(key))


def test_evidence_folders_are_by_tenant(home: Path) -> None:
    (home / "a").mkdir()
    found = settings(home, HITL_EVIDENCE_FOLDERS=f"acme-corp={home / 'a'},{home}")
    assert found.evidence_folder("acme-corp") == (home / "a").resolve()
    assert found.evidence_folder(None) == home.resolve()
    assert found.evidence_folder("widgets-inc") is None
