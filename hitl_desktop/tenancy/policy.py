"""Which tenants this application may work for."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hitl_desktop.domain.tenant import InvalidTenantIdError, parse_tenant_id
from hitl_desktop.settings import ANY_TENANT, Settings, read_settings
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

    @classmethod
    def from_env(cls, environment: Mapping[str, str] | None = None) -> "TenantConfig":
        """Return the configuration that the environment and the settings file name.

        Raises:
            SettingsError: a value is not allowed.
        """
        settings = read_settings(os.environ if environment is None else environment)
        return cls.of(settings)

    @classmethod
    def of(cls, settings: Settings, recorded: Sequence[str] = ()) -> "TenantConfig":
        """Return the configuration of `settings`; `recorded` are the tenants of the local workspace.

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
        """Whether the allowlist has `tenant_id`."""
        return _listed(tenant_id, self.allowed_tenants)

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
    """Return True if the tenant may be worked for; otherwise raise. `*` in the allowlist allows every legal id.

    Args:
        tenant_id: the id as given.
        allowed_tenants: the allowlist; None takes the one that is configured.

    Raises:
        TenantNotAllowedError: the id is illegal or not on the allowlist.
        SettingsError: the configured allowlist is not valid.
    """
    allowed = TenantConfig.from_env().allowed_tenants if allowed_tenants is None else tuple(allowed_tenants)
    try:
        parse_tenant_id(tenant_id)
    except InvalidTenantIdError as error:
        raise TenantNotAllowedError(tenant_id, str(error)) from None
    if not _listed(tenant_id, allowed):
        reason = f"Tenant {tenant_id!r} is not on the allowlist (ALLOWED_TENANTS): nothing was read or written."
        raise TenantNotAllowedError(tenant_id, reason)
    return True


def _listed(tenant_id: str, allowed: Sequence[str]) -> bool:
    return ANY_TENANT in allowed or tenant_id in allowed


def _server_default(allowed: Sequence[str]) -> str | None:
    if _listed(ORCHESTRATOR_DEFAULT, allowed):
        return ORCHESTRATOR_DEFAULT
    return next(iter(allowed), None)
