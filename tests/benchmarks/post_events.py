"""Posts gates one by one, as an agent does, each with the moment of its event in its summary."""

import json
import sys
import time
import uuid
from typing import Any

import redis

url, count = sys.argv[1], int(sys.argv[2])
prefix = "tenant:acme-corp:asdlc"
client: Any = redis.Redis.from_url(url)
for _ in range(count):
    request_id, bundle_id, at = str(uuid.uuid4()), str(uuid.uuid4()), "2026-01-01T00:00:00+00:00"
    pipeline = client.pipeline(transaction=False)
    gate = {
        "request_id": request_id,
        "task_id": "task-1",
        "session_id": "session-1",
        "gate_type": "hitl_4_code",
        "status": "pending",
        "evidence_bundle_id": bundle_id,
        "requested_by": "tdd",
        "requested_at": at,
    }
    pipeline.hset(f"{prefix}:gate_request:{request_id}", mapping=gate)
    pipeline.zadd(f"{prefix}:pending_gates", {request_id: "inf"})
    metadata = {"request_id": request_id, "gate_type": "hitl_4_code", "evidence_bundle_id": bundle_id}
    event = {
        "event_type": "gate_requested",
        "session_id": "session-1",
        "timestamp": at,
        "mode": "normal",
        "tenant_id": "acme-corp",
        "metadata": json.dumps(metadata),
    }
    pipeline.execute()
    bundle = {"bundle_id": bundle_id, "items": "[]", "created_at": at, "summary": str(time.monotonic_ns())}
    pipeline = client.pipeline(transaction=False)
    pipeline.hset(f"{prefix}:evidence_bundle:{bundle_id}", mapping=bundle)
    pipeline.xadd(f"{prefix}:events", event)
    pipeline.execute()
    time.sleep(0.004)
