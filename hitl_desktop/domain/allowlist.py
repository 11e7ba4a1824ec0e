"""The allowlist of tenants: which ids it admits, and why an id of another grammar may stand in it or not.

An id outside the grammar of `tenant.py` (a *legacy* id, such as `Acme_Corp`) is admitted only where it is listed by
name, never through `*`, and only where no name made from it can be, or begin as, one of another admitted tenant:

* its characters are those that Chroma takes in a collection's name, which leaves nothing that Redis reads as a pattern,
  a hash tag or the end of a tenant (`:`);
* a Chroma collection is `{tenant}_{base}`, so `a` with the base `b_documents` would be `a_b` with `documents`: of two
  tenants that are both admitted, none may be the other's beginning up to a `_`. Legal ids have no `_` and cannot meet.
"""

import re
from collections.abc import Iterator, Sequence

from hitl_desktop.domain.tenant import InvalidTenantIdError, parse_tenant_id

ANY_TENANT = "*"
LEGACY_GRAMMAR = (
    "1 to 63 letters, digits, dots, underscores and hyphens, with a letter or digit first and no two dots in a row"
)

_LEGACY_ID = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{0,62}")

COLLECTIONS = "3 to 448 letters, digits, dots, underscores and hyphens, with a letter or digit at both ends"
_LONGEST_BASE = 512 - 64  # what Chroma takes, less the longest tenant and its underscore
_COLLECTION = re.compile(r"(?!.*\.\.)(?!(?:[0-9]{1,3}\.){3}[0-9]{1,3}$)[A-Za-z0-9][A-Za-z0-9._-]{1,510}[A-Za-z0-9]")


def is_collection(text: str, longest: int = _LONGEST_BASE) -> bool:
    """Whether Chroma takes `text` as a collection's name; by default also behind the longest tenant."""
    return len(text) <= longest and _COLLECTION.fullmatch(text) is not None


def is_nameable(text: str) -> bool:
    """Whether names can be made from `text` at all: it is a tenant id, or has the form of a legacy one."""
    return _LEGACY_ID.fullmatch(text) is not None


def refusal(tenant_id: str, allowed: Sequence[str]) -> str | None:
    """Return why the allowlist does not admit `tenant_id`, as one sentence; None if it does.

    Args:
        tenant_id: the id as given.
        allowed: the allowlist; `*` in it admits every id of the grammar.
    """
    fault = _fault(tenant_id)
    listed = tenant_id in allowed and tenant_id != ANY_TENANT
    if fault is not None and not listed:
        return fault
    if fault is not None and not is_nameable(tenant_id):
        return f"{fault[:-1]}, or, where it is listed by name, {LEGACY_GRAMMAR}."
    if not listed and ANY_TENANT not in allowed:
        return f"Tenant {tenant_id!r} is not on the allowlist (ALLOWED_TENANTS): nothing was read or written."
    if (other := _neighbour(tenant_id, allowed, legacy=fault is not None)) is not None:
        return f"Tenants {tenant_id!r} and {other!r} could own the same collection: the allowlist may admit only one."
    return None


def refusals(allowed: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield each entry that the allowlist cannot admit, with the reason; without legacy ids there is none."""
    if any(_fault(entry) for entry in allowed if entry != ANY_TENANT):
        for entry in allowed:
            if entry != ANY_TENANT and (reason := refusal(entry, allowed)) is not None:
                yield entry, reason


def _fault(tenant_id: str) -> str | None:
    try:
        parse_tenant_id(tenant_id)
    except InvalidTenantIdError as error:
        return str(error)
    return None


def _neighbour(tenant_id: str, allowed: Sequence[str], *, legacy: bool) -> str | None:
    """Return another tenant that the allowlist admits and whose collections could be this one's."""
    for other in allowed:
        if other.startswith(f"{tenant_id}_") or tenant_id.startswith(f"{other}_"):
            return other
    if not legacy or ANY_TENANT not in allowed:
        return None
    heads = (tenant_id[:at] for at, letter in enumerate(tenant_id) if letter == "_")
    return next((head for head in heads if _fault(head) is None), None)
