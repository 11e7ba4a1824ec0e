"""The tenant of the running code, in a contextvar: the tripwire behind the binding by construction."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, Token

from hitl_desktop.domain.tenant import InvalidTenantIdError, parse_tenant_id
from hitl_desktop.tenancy.errors import TenantMismatchError, TenantNotSetError
from hitl_desktop.tenancy.policy import validate_tenant

_current: ContextVar[str | None] = ContextVar("hitl_desktop_tenant", default=None)


class TenantContext:
    """For which tenant the running code runs: per asyncio task, thread and callback, as contextvars are.

    Stricter than the orchestrator's on purpose: an id is checked when it is set, since names are built from what stands
    here; `clear` leaves nothing behind; and no default takes the place of a tenant that somebody forgot.
    """

    @classmethod
    def set_tenant(cls, tenant_id: str, allowed_tenants: Sequence[str] | None = None) -> Token[str | None]:
        """Set the tenant and return the token that `reset` takes.

        Args:
            tenant_id: the tenant. One of the grammar is taken as it is, since the allowlist was asked at the door; a
                legacy id is taken only if it is listed by name, in `allowed_tenants` or the environment's list.
            allowed_tenants: an allowlist that `tenant_id` must be on; None asks for none.

        Raises:
            TenantNotAllowedError: `tenant_id` is outside the grammar and not listed, or not on `allowed_tenants`.
            SettingsError: the environment's allowlist was needed and is not valid.
        """
        if allowed_tenants is not None or not _is_legal(tenant_id):
            validate_tenant(tenant_id, allowed_tenants)
        return _current.set(tenant_id)

    @classmethod
    def get_current_tenant(cls) -> str:
        """Return the tenant.

        Raises:
            TenantNotSetError: none is set. There is no default to fall back to.
        """
        tenant_id = _current.get()
        if tenant_id is None:
            raise TenantNotSetError
        return tenant_id

    @classmethod
    def get_current_tenant_or_default(cls, default: str) -> str:
        """Return the tenant, or the `default` that the caller names, unchecked: it is for showing, not for names."""
        return _current.get() or default

    @classmethod
    def is_set(cls) -> bool:
        """Whether a tenant is set."""
        return _current.get() is not None

    @classmethod
    def reset(cls, token: Token[str | None]) -> None:
        """Restore what was set before the `set_tenant` that gave `token`."""
        _current.reset(token)

    @classmethod
    def clear(cls) -> None:
        """Unset the tenant, so that whatever runs next here is refused."""
        _current.set(None)

    @classmethod
    @contextmanager
    def tenant_scope(cls, tenant_id: str, allowed_tenants: Sequence[str] | None = None) -> Iterator[str]:
        """Set the tenant for the block; scopes nest, and leaving one restores the outer.

        Raises:
            TenantNotAllowedError: as for `set_tenant`.
        """
        token = cls.set_tenant(tenant_id, allowed_tenants)
        try:
            yield tenant_id
        finally:
            cls.reset(token)


def require_tenant(bound: str | None) -> None:
    """Check that the running code runs for `bound`: a tenant id, or None where multi-tenancy is off.

    Every service call begins with it.

    Raises:
        TenantNotSetError: the service is bound to a tenant, the context to none.
        TenantMismatchError: they differ.
    """
    current = _current.get()
    if current == bound:
        return
    if current is None:
        raise TenantNotSetError
    raise TenantMismatchError(bound, current)


def refuse_other_tenant(bound: str) -> None:
    """Check that the running code does not run for another tenant than `bound`, which its caller has named.

    Raises:
        TenantMismatchError: it does.
    """
    current = _current.get()
    if current is not None and current != bound:
        raise TenantMismatchError(bound, current)


def _is_legal(tenant_id: str) -> bool:
    try:
        parse_tenant_id(tenant_id)
    except (InvalidTenantIdError, TypeError):
        return False
    return True
