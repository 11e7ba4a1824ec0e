"""TenantRedis: redis-py's client within one tenant, for other code than the application's own.

`table` and `places` know where a command's keys stand, `prefix` puts the tenant before them, `rewriting` says which
commands there are, `replies` takes the tenant off; `client`, `pipeline`, `pubsub` and `script` are what a caller holds.
"""

from hitl_desktop.services.tenant_redis.client import TenantRedis
from hitl_desktop.services.tenant_redis.errors import CommandRefusedError, ForeignNameError, TenantRedisError

__all__ = ["CommandRefusedError", "ForeignNameError", "TenantRedis", "TenantRedisError"]
