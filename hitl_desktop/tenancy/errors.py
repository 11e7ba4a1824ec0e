"""Tenancy errors, by cause.

TenancyError
├── TenantNotSetError      nothing says for which tenant this runs
├── TenantNotAllowedError  the tenant is not on the allowlist, or its id is illegal
└── TenantMismatchError    code bound to one tenant runs in the context of another
"""


class TenancyError(Exception):
    """Something about tenants is wrong; nothing was read or written."""


class TenantNotSetError(TenancyError):
    """Nothing says for which tenant this runs. There is no default to fall back to."""

    def __init__(self, message: str = "No tenant is set here, so nothing was read or written.") -> None:
        super().__init__(message)


class TenantNotAllowedError(TenancyError):
    """The tenant is not on the allowlist, or its id is illegal."""

    def __init__(self, tenant_id: str, reason: str) -> None:
        super().__init__(reason)
        self.tenant_id = tenant_id


class TenantMismatchError(TenancyError):
    """Code bound to one tenant runs in the context of another: a bug, stopped before it touched anything."""

    def __init__(self, bound: str | None, current: str | None) -> None:
        super().__init__(f"bound to tenant {bound!r}, but the context says {current!r}")
        self.bound = bound
        self.current = current
