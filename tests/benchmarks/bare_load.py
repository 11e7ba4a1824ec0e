"""Floor of load_100k: the same gates and bundles by synchronous pipelines of 1,000, in bytes, without Qt."""

import json
import sys
import time
from typing import Any

import redis

url, prefix = sys.argv[1], "tenant:acme-corp:asdlc"
started = time.perf_counter()
client: Any = redis.Redis.from_url(url)
names = client.zrange(f"{prefix}:pending_gates", 0, -1)
rows: list[Any] = []
for first in range(0, len(names), 1_000):
    pipeline = client.pipeline(transaction=False)
    for name in names[first : first + 1_000]:
        pipeline.hgetall(f"{prefix}:gate_request:".encode() + name)
    gates = pipeline.execute()
    pipeline = client.pipeline(transaction=False)
    for gate in gates:
        pipeline.hgetall(f"{prefix}:evidence_bundle:".encode() + gate[b"evidence_bundle_id"])
    rows += zip(gates, pipeline.execute(), strict=True)
print(json.dumps({"seconds": time.perf_counter() - started, "rows": len(rows)}))
