"""Which tenants this application may work for."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hitl_desktop.domain import allowlist
from hitl_desktop.settings import ANY_TENANT, Settings, read_tenancy
from hitl_desktop.tenancy.errors import TenantNotAllowedError, TenantNotSetError

ORCHESTRATOR_DEFAULT = "default"
"""What the orchestrator takes where DEFAULT_TENANT_ID is unset (wire.md, Tenancy)."""


@dataclass(frozen=True, slots=True)
class TenantConfig:
    """The allowlist and the default; `default_tenant` None means that there is none."""

    enabled: bool = False
    default_tenant: str | None = None
    allowed_tenants: tuple[str, ...] = (ANY_TENANT,)
    tenant_header: str = "X-Tenant-ID"

    def __post_init__(self) -> None:
        """Take any sequence as the allowlist, but a single text, in which every part of a name would be a member."""
        object.__setattr__(self, "allowed_tenants", _sequence(self.allowed_tenants))

    @classmethod
    def from_env(cls, environment: Mapping[str, str] | None = None) -> "TenantConfig":
        """Return what the environment alone says, for services beside the application; no file is read.

        `default_tenant` is DEFAULT_TENANT_ID or None. The orchestrator takes `default` where it is unset, and so works
        for a tenant that nobody named; here a service refuses what names no tenant.

        Raises:
            SettingsError: a value is not allowed.
        """
        return cls(*read_tenancy(os.environ if environment is None else environment))

    @classmethod
    def of(cls, settings: Settings, recorded: Sequence[str] = ()) -> "TenantConfig":
        """Return the application's configuration; `recorded` are the tenants of the local workspace.

        The local workspace is always multi-tenant, and the first tenant recorded in it is its default. For a configured
        server the default is the orchestrator's, where the allowlist has it, else the first tenant listed.
        """
        if settings.is_embedded:
            default = settings.default_tenant or next(
                (t for t in recorded if _listed(t, settings.allowed_tenants)), None
            )
            return cls(True, default, settings.allowed_tenants, settings.tenant_header)  # noqa: FBT003 - the field's name says it
        default = settings.default_tenant or _server_default(settings.allowed_tenants)
        return cls(settings.multi_tenancy, default, settings.allowed_tenants, settings.tenant_header)

    def allows(self, tenant_id: str) -> bool:
        """Whether the allowlist admits `tenant_id`."""
        return allowlist.refusal(tenant_id, self.allowed_tenants) is None

    def choose(self, tenant_id: str | None) -> str | None:
        """Return the tenant to work for: `tenant_id`, or the default where none is asked for; None if tenancy is off.

        Raises:
            TenantNotAllowedError: it is illegal, not on the allowlist, or named although multi-tenancy is off.
            TenantNotSetError: none is asked for and there is no default.
        """
        if not self.enabled:
            if tenant_id is not None:
                reason = f"Multi-tenancy is off, so there is no tenant {tenant_id!r}: set MULTI_TENANCY_ENABLED=true."
                raise TenantNotAllowedError(tenant_id, reason)
            return None
        chosen = self.default_tenant if tenant_id is None else tenant_id
        if chosen is None:
            raise TenantNotSetError("No tenant is named and there is no default: name one, or set DEFAULT_TENANT_ID.")
        validate_tenant(chosen, self.allowed_tenants)
        return chosen


def validate_tenant(tenant_id: str, allowed_tenants: Sequence[str] | None = None) -> bool:
    """Return True if the tenant may be worked for; otherwise raise.

    Stricter than the orchestrator's, which takes every text under `*`: an id must be of the grammar, or be listed by
    name and free of collision with the other tenants that the list admits (`domain/allowlist.py`).

    Args:
        tenant_id: the id as given.
        allowed_tenants: the allowlist, in which `*` admits every id of the grammar; None takes the environment's
            (ALLOWED_TENANTS), where the orchestrator's takes none.

    Raises:
        TenantNotAllowedError: the id is illegal or not on the allowlist.
        SettingsError: the environment's allowlist is not valid.
    """
    allowed = TenantConfig.from_env().allowed_tenants if allowed_tenants is None else _sequence(allowed_tenants)
    if not isinstance(tenant_id, str):
        raise TenantNotAllowedError(str(tenant_id), "A tenant id is a text, and this is none.")
    if (reason := allowlist.refusal(tenant_id, allowed)) is not None:
        raise TenantNotAllowedError(tenant_id, reason)
    return True


def _sequence(allowed: Sequence[str]) -> tuple[str, ...]:
    if isinstance(allowed, str):
        raise TypeError("an allowlist is a sequence of tenant ids, not one text")
    return tuple(allowed)


def _listed(tenant_id: str, allowed: Sequence[str]) -> bool:
    return ANY_TENANT in allowed or tenant_id in allowed


def _server_default(allowed: Sequence[str]) -> str | None:
    if _listed(ORCHESTRATOR_DEFAULT, allowed):
        return ORCHESTRATOR_DEFAULT
    return next(iter(allowed), None)
