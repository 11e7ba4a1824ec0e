"""Tenant ids: one grammar that is legal for Redis keys, Chroma collections, the keyring and file names alike."""

import re
from zlib import crc32

GRAMMAR = "1 to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends"
HUES = 12

_TENANT_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


class InvalidTenantIdError(ValueError):
    """The text is no tenant id; the message names it and the grammar."""


def parse_tenant_id(text: str) -> str:
    """Return `text` if it is a legal tenant id.

    The orchestrator leaves ids unchecked (wire.md, faults, 9). Here `_` and `:` are refused, because they end a
    tenant's prefix in Chroma and Redis: with them tenant `a` and tenant `a_b` could own the same collection.

    Raises:
        InvalidTenantIdError: `text` is outside the grammar.
    """
    if _TENANT_ID.fullmatch(text) is None:
        shown = text if len(text) <= 80 else text[:80] + "…"  # noqa: PLR2004 - room for one line
        raise InvalidTenantIdError(f"{shown!r} is not a tenant id: allowed are {GRAMMAR}.")
    return text


def hue(tenant_id: str) -> int:
    """Return the tenant's colour as an index into a palette of twelve hues, the same on every machine."""
    return crc32(tenant_id.encode()) % HUES
