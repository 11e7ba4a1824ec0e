"""Names made from a tenant: Redis keys, Chroma collections, keyring entries, files. Built here and nowhere else.

No two tenants that one allowlist admits share a name, or own one that begins as another's (`domain/allowlist.py`).
"""

import os
import re
from dataclasses import dataclass
from functools import cached_property

from hitl_desktop.domain.allowlist import is_collection, is_nameable
from hitl_desktop.settings import KeyLayout, read_naming
from hitl_desktop.tenancy.context import TenantContext
from hitl_desktop.tenancy.errors import TenantNotAllowedError

_SERVICE = "hitl-desktop"
_LONGEST_COLLECTION = 512
_SEPARATOR = re.compile(r"[:/|_#]+")
_GLOB = re.compile(r"[\\*?\[]")


@dataclass(frozen=True)
class TenantNames:
    """The names of one tenant; `tenant_id` None is single-tenant mode, with names unprefixed (wire.md, Tenancy).

    Raises:
        TenantNotAllowedError: no names can be made from `tenant_id`. Whether it may be worked for is the policy's.
    """

    tenant_id: str | None
    layout: KeyLayout = KeyLayout.PLAIN

    def __post_init__(self) -> None:
        """Refuse what would break out of a name, whoever asks."""
        if self.tenant_id is not None and not is_nameable(self.tenant_id):
            raise TenantNotAllowedError(self.tenant_id, f"{self.tenant_id[:80]!r} cannot be a tenant id.")

    def key(self, base: str) -> str:
        """Return the Redis key for `base`, which begins `asdlc:`."""
        return self.prefix + base

    @cached_property
    def prefix(self) -> str:
        """What every key and channel of this tenant begins with; empty in single-tenant mode."""
        return self.prefix_with(":")

    def prefix_with(self, separator: str) -> str:
        """Return the prefix as it is with another separator than `:`, which all of ours have."""
        if self.tenant_id is None:
            return ""
        tenant = f"{{{self.tenant_id}}}" if self.layout is KeyLayout.HASHTAG else self.tenant_id
        return f"tenant{separator}{tenant}{separator}"

    def pattern(self, glob: str = "*") -> str:
        """Return the pattern, as Redis matches them, of this tenant's keys or channels whose bases match `glob`."""
        return _GLOB.sub(r"\\\g<0>", self.prefix) + glob

    def gate_request(self, request_id: str) -> str:
        """Return the key of a gate's hash."""
        return self.key(f"asdlc:gate_request:{request_id}")

    def evidence_bundle(self, bundle_id: str) -> str:
        """Return the key of a bundle's hash."""
        return self.key(f"asdlc:evidence_bundle:{bundle_id}")

    @cached_property
    def pending_gates(self) -> str:
        """The sorted set of request ids that wait."""
        return self.key("asdlc:pending_gates")

    def decision_log(self, task_id: str) -> str:
        """Return the key of a task's list of requests and decisions."""
        return self.key(f"asdlc:decision_log:{task_id}")

    @cached_property
    def audit(self) -> str:
        """The audit stream."""
        return self.key("asdlc:audit")

    @cached_property
    def events(self) -> str:
        """The event stream."""
        return self.key("asdlc:events")

    @property
    def key_pattern(self) -> str:
        """The pattern of all of the tenant's keys and of nobody else's, for its users' rules on the server."""
        return self.key("asdlc:*")

    def collection(self, base: str) -> str:
        """Return the Chroma collection for `base`: `{tenant}_{base}`, or the base alone in single-tenant mode.

        Raises:
            ValueError: Chroma would not take the name.
        """
        if self.tenant_id is None:
            return base
        name = f"{self.tenant_id}_{base}"
        if not is_collection(name, _LONGEST_COLLECTION):
            raise ValueError(f"{base[:80]!r} is no base of a Chroma collection")
        return name

    def base_of_collection(self, name: str) -> str | None:
        """Return the base of which `name` is this tenant's collection; None if it is none of this tenant's.

        In single-tenant mode every name is its own base.
        """
        if self.tenant_id is None:
            return name
        base = name.removeprefix(f"{self.tenant_id}_")
        try:
            return base if self.collection(base) == name else None
        except ValueError:
            return None

    def redis_user(self, role: str) -> str:
        """Return the name of this tenant's user on the server in one role, `reviewer` or `agent`.

        Raises:
            ValueError: single-tenant mode has no such users.
        """
        if self.tenant_id is None:
            raise ValueError("only a tenant has users of its own on the server")
        return f"{self.tenant_id}-{role}"

    @property
    def keyring_entry(self) -> tuple[str, str]:
        """The service and user name under which this tenant's credentials stand in the operating system's keyring."""
        return _SERVICE, "single-tenant" if self.tenant_id is None else f"tenant:{_caseless(self.tenant_id)}"

    def credentials_entry(self, profile: str) -> tuple[str, str]:
        """Return where in the keyring this tenant's credentials stand under one profile of the settings, "" for none.

        Each profile has its own servers, and a tenant may be on several of them.
        """
        service, user = self.keyring_entry
        return service, f"{user}:profile:{profile}" if profile else user

    def data_key_entry(self, store_id: str) -> tuple[str, str]:
        """Return where in the keyring the key of this tenant's data in one folder of stores stands.

        `store_id` is the folder's own random id, hexadecimal: two folders have two keys.
        """
        service, user = self.keyring_entry
        return service, f"{user}:data:{store_id}"

    @property
    def file_stem(self) -> str:
        """The stem of this tenant's files; a single-tenant one cannot be a tenant's, which begin otherwise."""
        return "single_tenant" if self.tenant_id is None else f"tenant-{_caseless(self.tenant_id)}"


def get_tenant_prefixed_key(key: str, separator: str = ":") -> str:
    """Return `key` with the current tenant's prefix, for services beside the application.

    The environment is read at each call, two variables of it and no file: MULTI_TENANCY_ENABLED says whether there are
    prefixes at all (off: `key` unchanged), HITL_KEY_LAYOUT how they look. Stricter than the orchestrator's, which takes
    any separator: one that may stand in a tenant id would let two tenants meet in one key.

    Raises:
        TenantNotSetError: multi-tenancy is on, and no tenant is set.
        SettingsError: one of the two variables has a value that is not allowed.
        ValueError: `separator` is not made of `:`, `/`, `|`, `_` and `#`.
    """
    enabled, layout = read_naming(os.environ)
    if not enabled:
        return key
    if _SEPARATOR.fullmatch(separator) is None:
        raise ValueError(f"{separator!r} cannot separate a tenant from a key: allowed are `:`, `/`, `|`, `_` and `#`.")
    return TenantNames(TenantContext.get_current_tenant(), layout).prefix_with(separator) + key


def get_tenant_collection_name(base_name: str) -> str:
    """Return the current tenant's Chroma collection for `base_name`, for services beside the application.

    The environment is read at each call: MULTI_TENANCY_ENABLED off means `base_name` unchanged. Stricter than the
    orchestrator's, which builds names that Chroma refuses later.

    Raises:
        TenantNotSetError: multi-tenancy is on, and no tenant is set.
        SettingsError: the variable has a value that is not allowed.
        ValueError: Chroma would not take the name.
    """
    enabled, layout = read_naming(os.environ)
    return TenantNames(TenantContext.get_current_tenant(), layout).collection(base_name) if enabled else base_name


def _caseless(tenant_id: str) -> str:
    """Return `tenant_id` so that no two meet where letters' case does not count (file systems, keyrings).

    An id of the grammar stays as it is. In a legacy one, each other character becomes `_` and its code in hexadecimal.
    """
    return re.sub(r"[^a-z0-9-]", lambda found: f"_{ord(found[0]):02x}", tenant_id)


def tenant_of_stem(stem: str) -> str | None:
    """Return the tenant whose `file_stem` is `stem`.

    Raises:
        ValueError: it is nobody's; a file that somebody else put there.
    """
    if stem == TenantNames(None).file_stem:
        return None
    spelled = re.sub(r"_([0-9a-f]{2})", lambda found: chr(int(found[1], 16)), stem.removeprefix("tenant-"))
    if not is_nameable(spelled) or TenantNames(spelled).file_stem != stem:
        raise ValueError(f"{stem[:80]!r} names no tenant")
    return spelled


UNPREFIXED_KEYS = "asdlc:*"
"""The pattern of all keys that single-tenant mode writes."""


def is_session(key: str) -> bool:
    """Whether a single-tenant `key` is a session's, whose hash names a tenant (wire.md, Keys)."""
    return key.startswith("asdlc:session:")


def unprefixed(base: str) -> str:
    """Return `base` as single-tenant mode has it, for the diagnosis that looks for unprefixed data."""
    return TenantNames(None).key(base)
