"""Events and their tenants, for services that write to or read from streams.

Stricter than the orchestrator's on purpose. There, an event without a tenant was handled for the tenant `default`, an
id in an event was believed unread, and an event of one tenant could be sent on under the name of another.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from hitl_desktop.tenancy.context import TenantContext
from hitl_desktop.tenancy.errors import TenantMismatchError, TenantNotAllowedError, TenantNotSetError
from hitl_desktop.tenancy.policy import validate_tenant

_FIELD = "tenant_id"


def extract_tenant_from_event(event: Mapping[str, Any]) -> str | None:
    """Return the tenant that the event names; None if it names none (no such field, or a blank one).

    Raises:
        TenantNotAllowedError: it names what is no tenant id, or a tenant that is not on the environment's allowlist.
        SettingsError: the environment's allowlist is not valid.
    """
    tenant_id = event.get(_FIELD)
    if tenant_id is None or tenant_id == "":
        return None
    if not isinstance(tenant_id, str):
        raise TenantNotAllowedError(str(tenant_id), "The event's tenant_id is not a text.")
    validate_tenant(tenant_id)
    return tenant_id


def inject_tenant_into_event(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of the event that names the current tenant; `event` itself stays as it is.

    Raises:
        TenantNotSetError: no tenant is set.
        TenantMismatchError: the event already names another tenant.
    """
    current = TenantContext.get_current_tenant()
    named = event.get(_FIELD)
    if named not in (None, "", current):
        raise TenantMismatchError(current, str(named))
    return {**event, _FIELD: current}


async def process_event_with_tenant(
    event: Mapping[str, Any],
    handler: Callable[[Any], Awaitable[Any] | Any],
    default_tenant: str | None = None,
) -> Any:
    """Call `handler` with the event, inside the scope of the event's own tenant, and return what it returns.

    Args:
        event: the event's fields.
        handler: a plain or a coroutine function; both run wholly inside the scope.
        default_tenant: the tenant of an event that names none; None rejects such an event.

    Raises:
        TenantNotSetError: the event names no tenant and there is no default; the handler was not called.
        TenantNotAllowedError: its tenant, or the default, is illegal or not allowed; the handler was not called.
        SettingsError: the environment's allowlist is not valid.
    """
    tenant_id = extract_tenant_from_event(event) or default_tenant
    if tenant_id is None:
        raise TenantNotSetError("The event names no tenant, so it was not processed.")
    validate_tenant(tenant_id)
    with TenantContext.tenant_scope(tenant_id):
        result = handler(event)
        return await result if isinstance(result, Awaitable) else result
