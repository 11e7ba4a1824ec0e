"""The settings file: TOML, with the same names as the environment, and profiles that are chosen by name."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hitl_desktop.settings.errors import SettingsError

FILE_VARIABLE = "HITL_SETTINGS"
PROFILE_VARIABLE = "HITL_PROFILE"
_PROFILES = "profiles"
_PROFILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
NAMES = (
    "REDIS_HOST",
    "REDIS_PORT",
    "REDIS_DB",
    "REDIS_PASSWORD",
    "KNOWLEDGE_STORE_HOST",
    "KNOWLEDGE_STORE_PORT",
    "KNOWLEDGE_STORE_COLLECTION",
    "MULTI_TENANCY_ENABLED",
    "DEFAULT_TENANT_ID",
    "ALLOWED_TENANTS",
    "TENANT_HEADER",
    "HITL_REDIS_URL",
    "HITL_CHROMA_URL",
    "HITL_STATE_DIR",
    "HITL_REVIEWER",
    "HITL_KEY_FILE",
    "HITL_KEY_LAYOUT",
    "HITL_EVIDENCE_FOLDERS",
    "HITL_THEME",
    "HITL_UNDO_SECONDS",
    "HITL_OFFLINE_MB",
)


def settings_file(environment: Mapping[str, str]) -> Path:
    """Return where the TOML file is looked for: `HITL_SETTINGS`, else the user's configuration folder."""
    import platformdirs

    named = environment.get(FILE_VARIABLE)
    return Path(named) if named else platformdirs.user_config_path("hitl-desktop", appauthor=False) / "settings.toml"


def read_file(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the file's settings by their names, those of the profile that `HITL_PROFILE` names over the others.

    Raises:
        SettingsError: the file cannot be read, holds something that is no setting, or lacks the profile.
    """
    path = settings_file(environment)
    table = _table(path, named=FILE_VARIABLE in environment)
    profiles = table.pop(_PROFILES, {})
    values = _values(path, table)
    if chosen := environment.get(PROFILE_VARIABLE, "").strip():
        if _PROFILE_NAME.fullmatch(chosen) is None:
            raise SettingsError(
                PROFILE_VARIABLE, f"is {chosen!r}; allowed are letters, digits, hyphens and underscores."
            )
        values |= _values(path, _profile(path, profiles, chosen))
    return values


def _profile(path: Path, profiles: Any, chosen: str) -> dict[str, Any]:
    found = profiles.get(chosen) if isinstance(profiles, dict) else None
    if not isinstance(found, dict):
        there = ", ".join(profiles) if isinstance(profiles, dict) and profiles else "none"
        raise SettingsError(PROFILE_VARIABLE, f"is {chosen!r}; allowed are the profiles in {str(path)!r}: {there}.")
    return found


def _table(path: Path, *, named: bool) -> dict[str, Any]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        if named:
            raise SettingsError(
                FILE_VARIABLE, f"is {str(path)!r}, which does not exist; allowed is a TOML file."
            ) from None
        return {}
    except OSError as error:
        raise SettingsError(FILE_VARIABLE, f"is {str(path)!r}, which cannot be read: {error.strerror}.") from None
    import tomllib

    try:
        return tomllib.loads(content.decode())
    except ValueError as error:
        raise SettingsError(FILE_VARIABLE, f"is {str(path)!r}, which is no TOML: {error}.") from None


def _values(path: Path, table: Mapping[str, Any]) -> dict[str, str]:
    values: dict[str, str] = {}
    for key, value in table.items():
        name = key.upper()
        if name not in NAMES:
            raise SettingsError(key, f"stands in {str(path)!r} but is no setting; allowed are {', '.join(NAMES)}.")
        values[name] = _file_value(name, value)
    return values


def _file_value(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int)):
        return str(value)
    if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
        return ",".join(value)
    raise SettingsError(name, f"is {value!r}; allowed are a text, a number, true or false, or a list of texts.")


def write_file(path: Path, changed: Mapping[str, str | bool | tuple[str, ...]]) -> None:
    """Set `changed` at the file's top level, and leave all else in it, comments too, as it is.

    Raises:
        SettingsError: the file cannot be read or written.
    """
    import tomlkit

    _table(path, named=False)
    document = tomlkit.parse(path.read_text(encoding="utf-8") if path.exists() else "")
    spelled = {key.upper(): key for key in document}
    for name, value in changed.items():
        document[spelled.get(name, name)] = list(value) if isinstance(value, tuple) else value
    draft = path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.write_text(tomlkit.dumps(document), encoding="utf-8")
        draft.chmod(0o600)
        draft.replace(path)
    except OSError as error:
        raise SettingsError(FILE_VARIABLE, f"is {str(path)!r}, which cannot be written: {error.strerror}.") from None
