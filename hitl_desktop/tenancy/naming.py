"""Names made from a tenant: Redis keys, Chroma collections, keyring entries, files. Built here and nowhere else."""

from dataclasses import dataclass

from hitl_desktop.settings import KeyLayout

_SERVICE = "hitl-desktop"


@dataclass(frozen=True, slots=True)
class TenantNames:
    """The names of one tenant; `tenant_id` None is single-tenant mode, with names unprefixed (wire.md, Tenancy)."""

    tenant_id: str | None
    layout: KeyLayout = KeyLayout.PLAIN

    def key(self, base: str) -> str:
        """Return the Redis key for `base`, which begins `asdlc:`."""
        if self.tenant_id is None:
            return base
        tenant = f"{{{self.tenant_id}}}" if self.layout is KeyLayout.HASHTAG else self.tenant_id
        return f"tenant:{tenant}:{base}"

    def gate_request(self, request_id: str) -> str:
        """Return the key of a gate's hash."""
        return self.key(f"asdlc:gate_request:{request_id}")

    def evidence_bundle(self, bundle_id: str) -> str:
        """Return the key of a bundle's hash."""
        return self.key(f"asdlc:evidence_bundle:{bundle_id}")

    @property
    def pending_gates(self) -> str:
        """The sorted set of request ids that wait."""
        return self.key("asdlc:pending_gates")

    def decision_log(self, task_id: str) -> str:
        """Return the key of a task's list of requests and decisions."""
        return self.key(f"asdlc:decision_log:{task_id}")

    @property
    def audit(self) -> str:
        """The audit stream."""
        return self.key("asdlc:audit")

    @property
    def events(self) -> str:
        """The event stream."""
        return self.key("asdlc:events")

    def collection(self, base: str) -> str:
        """Return the Chroma collection for `base`: `{tenant}_{base}`, or the base alone in single-tenant mode."""
        return base if self.tenant_id is None else f"{self.tenant_id}_{base}"

    @property
    def keyring_entry(self) -> tuple[str, str]:
        """The service and user name under which this tenant's credentials stand in the operating system's keyring."""
        return _SERVICE, "single-tenant" if self.tenant_id is None else f"tenant:{self.tenant_id}"

    @property
    def file_stem(self) -> str:
        """The stem of this tenant's files; a single-tenant one cannot be a tenant's, whose ids have no underscore."""
        return "single_tenant" if self.tenant_id is None else f"tenant-{self.tenant_id}"


def unprefixed(base: str) -> str:
    """Return `base` as single-tenant mode has it, for the diagnosis that looks for unprefixed data."""
    return TenantNames(None).key(base)
