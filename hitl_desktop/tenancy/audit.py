"""The audit record of tenants chosen, left and refused.

A tenant's own audit stream tells when a reviewer came and left, and never which other tenants there are: one client's
auditors must not learn who the other clients are. Both names stand only in the local log.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from hitl_desktop.domain.time import format_time


class TenantEvent(StrEnum):
    """What happened. Readers of the audit stream tolerate kinds of our own (wire.md, Audit); the event stream does not.

    Adopted: what single-tenant mode left became the tenant's. Refused and failed ones stay local: nothing is written to
    a tenant that may not, or could not, be entered.
    """

    SELECTED = "tenant_selected"
    LEFT = "tenant_left"
    REFUSED = "tenant_refused"
    FAILED = "tenant_failed"
    ADOPTED = "tenant_adopted"


@dataclass(frozen=True, slots=True)
class TenantRecord:
    """One thing that happened between a reviewer and a tenant.

    `tenant_id` is the tenant it is about, `other` the one before or after it; `session_id` is the window's. `reason`
    says why a tenant was refused or could not be entered, as the reviewer was told.
    """

    event: TenantEvent
    tenant_id: str
    other: str | None
    reviewer: str
    session_id: str
    at: datetime
    reason: str = ""

    def stream_fields(self) -> dict[str, str]:
        """Return what the tenant's own audit stream gets: nothing about any other tenant.

        Raises:
            ValueError: a refusal or a failure, which stays local.
        """
        if self.event in {TenantEvent.REFUSED, TenantEvent.FAILED}:
            raise ValueError(f"{self.event} stays local")
        return {
            "event": self.event.value,
            "tenant_id": self.tenant_id,
            "reviewer": self.reviewer,
            "session_id": self.session_id,
            "timestamp": format_time(self.at),
        }

    def log_fields(self) -> dict[str, str | None]:
        """Return what the local log gets: everything, with both names."""
        return {
            "event": self.event.value,
            "tenant_id": self.tenant_id,
            "other_tenant_id": self.other,
            "reviewer": self.reviewer,
            "session_id": self.session_id,
            "timestamp": format_time(self.at),
            "reason": self.reason,
        }
