"""Tenancy: who the running code works for, who it may work for, and every name that is made from a tenant.

What stands here is also for services beside the application; importing it brings the standard library alone.
"""

from hitl_desktop.tenancy.context import TenantContext, refuse_other_tenant, require_tenant
from hitl_desktop.tenancy.errors import (
    TenancyError,
    TenantMismatchError,
    TenantNotAllowedError,
    TenantNotSetError,
)
from hitl_desktop.tenancy.events import (
    extract_tenant_from_event,
    inject_tenant_into_event,
    process_event_with_tenant,
)
from hitl_desktop.tenancy.middleware import TenantMiddleware
from hitl_desktop.tenancy.naming import TenantNames, get_tenant_collection_name, get_tenant_prefixed_key
from hitl_desktop.tenancy.policy import TenantConfig, validate_tenant

__all__ = [
    "TenancyError",
    "TenantConfig",
    "TenantContext",
    "TenantMiddleware",
    "TenantMismatchError",
    "TenantNames",
    "TenantNotAllowedError",
    "TenantNotSetError",
    "extract_tenant_from_event",
    "get_tenant_collection_name",
    "get_tenant_prefixed_key",
    "inject_tenant_into_event",
    "process_event_with_tenant",
    "refuse_other_tenant",
    "require_tenant",
    "validate_tenant",
]
