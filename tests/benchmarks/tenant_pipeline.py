"""What TenantRedis costs: pipelines of 100 mixed commands through it, and the same through redis-py with whole keys.

They alternate in one process, a pipeline each, transactional and not, since 10 % is less than what two processes of a
busy machine differ by. Prints the ratio of the two, and the microseconds that a command takes, medians of all pairs.
"""

import asyncio
import json
import os
import sys
import time
from statistics import median
from typing import Any

from redis.asyncio import Redis

from hitl_desktop.services import TenantRedis
from hitl_desktop.tenancy import TenantContext, TenantNames

TENANT = "acme-corp"
COMMANDS = 100
PAIRS = 400


def queue(pipeline: Any, prefix: str) -> None:
    """Queue a hundred commands as an agent would send them: most about one key, some about more."""
    task, stream = f"{prefix}asdlc:task:42", f"{prefix}asdlc:stream"
    for _ in range(COMMANDS // 10):
        pipeline.set(f"{prefix}asdlc:text", "some text of no great length")
        pipeline.get(f"{prefix}asdlc:text")
        pipeline.hset(task, mapping={"status": "open", "task_id": "42"})
        pipeline.hgetall(task)
        pipeline.zadd(f"{prefix}asdlc:pending", {"42": 1.0})
        pipeline.xadd(stream, {"event_type": "task_created", "task_id": "42"}, maxlen=100)
        pipeline.xread({stream: "$"}, count=1)
        pipeline.mget([f"{prefix}asdlc:text", f"{prefix}asdlc:none"])
        pipeline.rpush(f"{prefix}asdlc:log", "entry")
        pipeline.ltrim(f"{prefix}asdlc:log", -10, -1)


async def once(client: Any, prefix: str, *, transaction: bool) -> float:
    """Return the seconds that one pipeline takes, from making it to its replies."""
    started = time.perf_counter()
    async with client.pipeline(transaction=transaction) as pipeline:
        queue(pipeline, prefix)
        await pipeline.execute()
    return time.perf_counter() - started


async def measured(url: str) -> dict[str, float]:
    """Return the microseconds per command of both."""
    whole = TenantNames(TENANT).prefix
    bare: list[float] = []
    bound: list[float] = []
    async with Redis.from_url(url) as plain, TenantRedis.from_url(url, tenant=TENANT) as tenant:
        for at in range(2 * PAIRS):
            bare.append(await once(plain, whole, transaction=at % 2 == 0))
            bound.append(await once(tenant, "", transaction=at % 2 == 0))
    ratio = median(tenant / bare for tenant, bare in zip(bound[20:], bare[20:], strict=True))
    per_command = 1e6 / COMMANDS
    return {"ratio": ratio, "bare": median(bare) * per_command, "tenant": median(bound) * per_command}


if __name__ == "__main__":
    os.environ["MULTI_TENANCY_ENABLED"] = "true"
    with TenantContext.tenant_scope(TENANT):
        print(json.dumps(asyncio.run(measured(sys.argv[1]))))
