"""The tenant of the running code, in a contextvar: the tripwire behind the binding by construction."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token

from hitl_desktop.domain.tenant import InvalidTenantIdError, parse_tenant_id
from hitl_desktop.tenancy.errors import TenantMismatchError, TenantNotAllowedError, TenantNotSetError

_current: ContextVar[str | None] = ContextVar("hitl_desktop_tenant", default=None)


class TenantContext:
    """For which tenant the running code runs: per asyncio task, thread and callback, as contextvars are."""

    @classmethod
    def set_tenant(cls, tenant_id: str) -> Token[str | None]:
        """Set the tenant and return the token that `reset` takes.

        Raises:
            TenantNotAllowedError: `tenant_id` is outside the grammar.
        """
        try:
            return _current.set(parse_tenant_id(tenant_id))
        except InvalidTenantIdError as error:
            raise TenantNotAllowedError(tenant_id, str(error)) from None

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
        """Return the tenant, or the `default` that the caller names."""
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
    def tenant_scope(cls, tenant_id: str) -> Iterator[str]:
        """Set the tenant for the block; scopes nest, and leaving one restores the outer.

        Raises:
            TenantNotAllowedError: `tenant_id` is outside the grammar.
        """
        token = cls.set_tenant(tenant_id)
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
