"""Settings, read once from a TOML file and the environment.

The window reads them before its first frame, so what only some settings need is imported where they need it.

Precedence: the environment beats the file; within one of them a `HITL_*` name beats the orchestrator's own name for the
same thing. The names of the orchestrator's variables and their meaning are those of wire.md, Tenancy.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from hitl_desktop.domain import allowlist
from hitl_desktop.settings.errors import SettingsError
from hitl_desktop.settings.file import PROFILE_VARIABLE, read_file

ANY_TENANT = allowlist.ANY_TENANT
_TRUE = frozenset({"true", "1", "yes"})
_FALSE = frozenset({"false", "0", "no", ""})
_MAX_PORT = 65535
_KEY_BYTES = 32
_TOKEN = frozenset("!#$%&'*+-.^_`|~")  # beside letters and digits, in the name of an HTTP header


class KeyLayout(StrEnum):
    """How a tenant stands in a Redis key: `tenant:t:` or, for a cluster, `tenant:{t}:` with a hash tag."""

    PLAIN = "plain"
    HASHTAG = "hashtag"


class ThemeChoice(StrEnum):
    """Which palette the window takes; `system` follows the desktop."""

    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"


class Tenancy(NamedTuple):
    """Which tenants there are; `default_tenant` None means that none is named."""

    enabled: bool
    default_tenant: str | None
    allowed_tenants: tuple[str, ...]
    tenant_header: str


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, valid. `redis_url` None means the embedded workspace; `default_tenant` None that none is named."""

    state_dir: Path
    named_reviewer: str = ""
    redis_url: str | None = None
    chroma_url: str | None = None
    documents_collection: str = "asdlc_documents"
    multi_tenancy: bool = False
    default_tenant: str | None = None
    allowed_tenants: tuple[str, ...] = (ANY_TENANT,)
    tenant_header: str = "X-Tenant-ID"
    key_file: Path | None = None
    key_layout: KeyLayout = KeyLayout.PLAIN
    theme: ThemeChoice = ThemeChoice.SYSTEM
    evidence_folders: Mapping[str, Path] = field(default_factory=dict)
    profile: str = ""
    passphrase: str = ""
    undo_seconds: int = 5
    offline_megabytes: int = 256

    @property
    def reviewer(self) -> str:
        """Who decides: the name that is set, else the account's with its host's."""
        return self.named_reviewer or _account()

    def evidence_folder(self, tenant_id: str | None) -> Path | None:
        """Return the folder in which a tenant's evidence is looked up by its path; None if there is none."""
        return self.evidence_folders.get(tenant_id or "")

    @property
    def offline_bytes(self) -> int:
        """How much evidence is kept on this machine for each tenant, in bytes."""
        return self.offline_megabytes * 1024 * 1024

    @property
    def stores_dir(self) -> Path:
        """Where what is kept of the tenants is: apart for the local workspace, for servers, and for each profile."""
        kind = "workspace" if self.is_embedded else "server"
        return self.state_dir / "stores" / (f"profile-{self.profile}" if self.profile else kind)

    @property
    def is_embedded(self) -> bool:
        """Whether the local workspace is used because no Redis is configured."""
        return self.redis_url is None

    def __repr__(self) -> str:
        """Return the settings without the server's address, which may hold a password."""
        return f"Settings(state_dir={str(self.state_dir)!r}, reviewer={self.reviewer!r}, embedded={self.is_embedded})"


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Return the settings of this process.

    Reads the disk; nothing is created. Blank variables count as unset.

    Raises:
        SettingsError: a value is not allowed, or the file cannot be read.
    """
    environment = os.environ if environment is None else environment
    source = _Source(environment, read_file(environment))
    tenancy = _tenancy(source)
    return Settings(
        state_dir=_state_dir(source),
        named_reviewer=source.text("HITL_REVIEWER"),
        redis_url=_redis_url(source),
        chroma_url=_chroma_url(source),
        documents_collection=_collection(source),
        multi_tenancy=tenancy.enabled,
        default_tenant=tenancy.default_tenant,
        allowed_tenants=tenancy.allowed_tenants,
        tenant_header=tenancy.tenant_header,
        key_file=_key_file(source),
        key_layout=_key_layout(source),
        evidence_folders=_evidence_folders(source, tenancy.allowed_tenants),
        profile=environment.get(PROFILE_VARIABLE, "").strip(),
        # From the environment alone: a secret never stands in a file.
        passphrase=environment.get("HITL_PASSPHRASE", ""),
        undo_seconds=source.number("HITL_UNDO_SECONDS", 5, 600),
        offline_megabytes=source.number("HITL_OFFLINE_MB", 256, 1024 * 1024),
        theme=ThemeChoice(source.choice("HITL_THEME", tuple(ThemeChoice)) or ThemeChoice.SYSTEM),
    )


def read_tenancy(environment: Mapping[str, str]) -> Tenancy:
    """Return what the environment alone says about tenants; no file is read, so a service may ask at any time.

    Raises:
        SettingsError: a value is not allowed.
    """
    return _tenancy(_Source(environment, {}))


def read_naming(environment: Mapping[str, str]) -> tuple[bool, KeyLayout]:
    """Return whether names are prefixed, and how keys are laid out, as the environment alone says it.

    Raises:
        SettingsError: a value is not allowed.
    """
    source = _Source(environment, {})
    return source.flag("MULTI_TENANCY_ENABLED"), _key_layout(source)


class _Source:
    """The environment over the file; both by the same names."""

    def __init__(self, environment: Mapping[str, str], file: Mapping[str, str]) -> None:
        self._layers = (environment, file)

    def text(self, name: str) -> str:
        return self.first(name)[1]

    def first(self, *names: str) -> tuple[str, str]:
        """Return the name and value set first: source by source, and in each by the order of `names`."""
        for layer in self._layers:
            for name in names:
                if value := layer.get(name, "").strip():
                    return name, value
        return names[0], ""

    def flag(self, name: str) -> bool:
        value = self.text(name).lower()
        if value not in _TRUE | _FALSE:
            # The orchestrator reads any other word as false; a typing error must not turn the walls off.
            raise SettingsError(name, f"is {value!r}; allowed are true, 1, yes, false, 0 and no.")
        return value in _TRUE

    def choice(self, name: str, allowed: tuple[str, ...]) -> str:
        value = self.text(name).lower()
        if value and value not in allowed:
            raise SettingsError(name, f"is {value!r}; allowed are {', '.join(allowed)}.")
        return value

    def number(self, name: str, default: int, highest: int) -> int:
        value = self.text(name)
        if not value:
            return default
        if not value.isascii() or not value.isdigit() or int(value) > highest:
            raise SettingsError(name, f"is {value!r}; allowed are whole numbers from 0 to {highest}.")
        return int(value)


def _redis_url(source: _Source) -> str | None:
    name, value = source.first("HITL_REDIS_URL", "REDIS_HOST")
    port = source.number("REDIS_PORT", 6379, _MAX_PORT)
    database = source.number("REDIS_DB", 0, 2**31 - 1)
    if not value:
        return None
    if name == "REDIS_HOST":
        from urllib.parse import quote

        password = source.text("REDIS_PASSWORD")
        secret = f":{quote(password, safe='')}@" if password else ""
        host = f"[{value}]" if ":" in value else value
        return f"redis://{secret}{host}:{port}/{database}"
    if "+" in value.partition(":")[0]:
        return _fleet_url(source, name, value)
    return _checked_url(name, value, ("redis", "rediss", "unix"))


def _fleet_url(source: _Source, name: str, value: str) -> str:
    from hitl_desktop.settings.fleet import SCHEMES, is_fleet, read_fleet

    if not is_fleet(value):
        return _checked_url(name, value, ("redis", "rediss", "unix", *SCHEMES))
    try:
        fleet = read_fleet(value)
    except ValueError as error:
        raise SettingsError(name, f"{error}.") from None
    if fleet.is_cluster and (_key_layout(source) is not KeyLayout.HASHTAG or not source.flag("MULTI_TENANCY_ENABLED")):
        raise SettingsError(
            name,
            f"is the cluster at {fleet.shown}, where all keys of a tenant must be in one slot: set "
            "HITL_KEY_LAYOUT=hashtag and MULTI_TENANCY_ENABLED=true, for agents and reviewers alike.",
        )
    return value


def _chroma_url(source: _Source) -> str | None:
    name, value = source.first("HITL_CHROMA_URL", "KNOWLEDGE_STORE_HOST")
    port = source.number("KNOWLEDGE_STORE_PORT", 8000, _MAX_PORT)
    if not value:
        return None
    if name == "KNOWLEDGE_STORE_HOST":
        return f"http://{f'[{value}]' if ':' in value else value}:{port}"
    return _checked_url(name, value, ("http", "https"))


def _checked_url(name: str, value: str, schemes: tuple[str, ...]) -> str:
    from urllib.parse import urlsplit, urlunsplit

    allowed = f"allowed are addresses that begin with {', '.join(f'{scheme}://' for scheme in schemes)}"
    try:
        parts = urlsplit(value)
        port_is_legal = parts.port is None or parts.port <= _MAX_PORT
    except ValueError:
        raise SettingsError(name, f"is not an address that can be read; {allowed}.") from None
    place = parts.path if parts.scheme == "unix" else parts.hostname
    if parts.scheme not in schemes or not place or not port_is_legal:
        shown = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=""))
        raise SettingsError(name, f"is {shown!r}; {allowed}.")
    return value


def _tenancy(source: _Source) -> Tenancy:
    allowed = _allowed_tenants(source)
    return Tenancy(source.flag("MULTI_TENANCY_ENABLED"), _default_tenant(source, allowed), allowed, _header(source))


def _allowed_tenants(source: _Source) -> tuple[str, ...]:
    tenants = tuple(dict.fromkeys(part.strip() for part in source.text("ALLOWED_TENANTS").split(",") if part.strip()))
    for tenant, reason in allowlist.refusals(tenants):
        raise SettingsError("ALLOWED_TENANTS", f"has {_shown(tenant)}, which cannot stand there: {reason}")
    return tenants or (ANY_TENANT,)


def _default_tenant(source: _Source, allowed: tuple[str, ...]) -> str | None:
    value = source.text("DEFAULT_TENANT_ID")
    if not value:
        return None
    _tenant("DEFAULT_TENANT_ID", value, allowed)
    if ANY_TENANT not in allowed and value not in allowed:
        raise SettingsError(
            "DEFAULT_TENANT_ID", f"is {value!r}; allowed are the ALLOWED_TENANTS: {', '.join(allowed)}."
        )
    return value


def _tenant(name: str, value: str, allowed: tuple[str, ...]) -> None:
    # Only the form counts here; an id outside the grammar has it by being listed, which was checked with the list.
    if value not in allowed and (reason := allowlist.refusal(value, (ANY_TENANT,))) is not None:
        raise SettingsError(name, f"is {_shown(value)}: {reason}")


def _shown(value: str) -> str:
    return repr(value if len(value) <= 80 else value[:80] + "…")  # noqa: PLR2004 - room for one line


def _header(source: _Source) -> str:
    value = source.text("TENANT_HEADER") or "X-Tenant-ID"
    if not value.isascii() or not all(letter.isalnum() or letter in _TOKEN for letter in value):
        raise SettingsError("TENANT_HEADER", f"is {value!r}; allowed is the name of an HTTP header.")
    return value


def _collection(source: _Source) -> str:
    value = source.text("KNOWLEDGE_STORE_COLLECTION") or "asdlc_documents"
    if not allowlist.is_collection(value):
        raise SettingsError("KNOWLEDGE_STORE_COLLECTION", f"is {_shown(value)}; allowed are {allowlist.COLLECTIONS}.")
    return value


def _key_layout(source: _Source) -> KeyLayout:
    return KeyLayout(source.choice("HITL_KEY_LAYOUT", tuple(KeyLayout)) or KeyLayout.PLAIN)


def _state_dir(source: _Source) -> Path:
    value = source.text("HITL_STATE_DIR")
    import platformdirs

    folder = Path(value).expanduser() if value else platformdirs.user_data_path("hitl-desktop", appauthor=False)
    if folder.exists() and not folder.is_dir():
        raise SettingsError("HITL_STATE_DIR", f"is {str(folder)!r}, which is a file; allowed is a folder.")
    return folder.absolute()


def _key_file(source: _Source) -> Path | None:
    value = source.text("HITL_KEY_FILE")
    if not value:
        return None
    path = Path(value).expanduser()
    allowed = f"allowed is a file of {_KEY_BYTES} bytes that only its owner may read (mode 0600)"
    try:
        status = path.stat()
    except OSError:
        raise SettingsError("HITL_KEY_FILE", f"is {value!r}, which cannot be read; {allowed}.") from None
    if status.st_size != _KEY_BYTES:
        raise SettingsError("HITL_KEY_FILE", f"is {value!r}, which has {status.st_size} bytes; {allowed}.")
    if os.name == "posix" and status.st_mode & 0o077:
        raise SettingsError("HITL_KEY_FILE", f"is {value!r}, which others may read; {allowed}.")
    return path


def _evidence_folders(source: _Source, allowed: tuple[str, ...]) -> dict[str, Path]:
    """Return the folders by tenant; the one without a tenant is single-tenant mode's."""
    name = "HITL_EVIDENCE_FOLDERS"
    folders: dict[str, Path] = {}
    for pair in filter(None, (part.strip() for part in source.text(name).split(","))):
        tenant, equals, folder = pair.rpartition("=")
        if equals:
            _tenant(name, tenant, allowed)
        path = Path(folder).expanduser()
        if not path.is_dir():
            raise SettingsError(name, f"is {pair!r}, which names no folder; allowed are pairs of TENANT=FOLDER.")
        folders[tenant] = path.resolve()
    return folders


def _account() -> str:
    import getpass
    import socket

    return f"{getpass.getuser()}@{socket.gethostname()}"
