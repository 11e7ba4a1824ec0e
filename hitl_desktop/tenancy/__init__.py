"""Tenancy: who the running code works for, who it may work for, and every name that is made from a tenant."""

from hitl_desktop.tenancy.context import TenantContext, require_tenant
from hitl_desktop.tenancy.errors import (
    TenancyError,
    TenantMismatchError,
    TenantNotAllowedError,
    TenantNotSetError,
)
from hitl_desktop.tenancy.naming import TenantNames
from hitl_desktop.tenancy.policy import TenantConfig, validate_tenant

__all__ = [
    "TenancyError",
    "TenantConfig",
    "TenantContext",
    "TenantMismatchError",
    "TenantNames",
    "TenantNotAllowedError",
    "TenantNotSetError",
    "require_tenant",
    "validate_tenant",
]
