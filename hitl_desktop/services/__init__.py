"""The async service layer: Redis gates, streams and decisions, Chroma knowledge, evidence content. One tenant each.

For other code it has `TenantRedis` and its errors, imported when asked for: they bring redis along.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hitl_desktop.services.tenant_redis import CommandRefusedError, ForeignNameError, TenantRedis, TenantRedisError

__all__ = ["CommandRefusedError", "ForeignNameError", "TenantRedis", "TenantRedisError"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from hitl_desktop.services import tenant_redis

    return getattr(tenant_redis, name)
