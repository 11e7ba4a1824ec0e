"""Floor of event_to_row: plain asyncio that reads event, gate and bundle, and nothing else."""

import asyncio
import json
import sys
import time
from typing import Any

import redis.asyncio as redis


async def main(url: str, count: int) -> None:
    prefix = "tenant:acme-corp:asdlc"
    client: Any
    stream: Any
    client, stream = redis.Redis.from_url(url, protocol=2), redis.Redis.from_url(url, protocol=2)
    entries = await client.xrevrange(f"{prefix}:events", count=1)
    cursor = entries[0][0] if entries else "0-0"
    print("ready", flush=True)
    delays: list[int] = []
    while len(delays) < count:
        for _, found in await stream.xread({f"{prefix}:events": cursor}, block=2_000):
            for entry_id, fields in found:
                cursor = entry_id
                metadata = json.loads(fields[b"metadata"])
                await client.hgetall(f"{prefix}:gate_request:{metadata['request_id']}")
                bundle = await client.hgetall(f"{prefix}:evidence_bundle:{metadata['evidence_bundle_id']}")
                delays.append(time.monotonic_ns() - int(bundle[b"summary"]))
    await client.aclose()
    await stream.aclose()
    print(json.dumps(delays))


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
