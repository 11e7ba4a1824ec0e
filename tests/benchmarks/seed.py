"""Fills a server with pending gates, as agents would have left them; plain pipelines, since this is not measured."""

import hashlib
import json
import sys
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import redis

KINDS = ("hitl_1_backlog", "hitl_2_design", "hitl_3_plan", "hitl_4_code", "hitl_5_validation", "hitl_6_release")
TENANT = "acme-corp"
_START = datetime(2026, 1, 1, tzinfo=UTC)


def seed(url: str, count: int, tenant: str = TENANT) -> None:
    """Write `count` pending gates as the orchestrator does: evidence items name a path, their content is elsewhere."""
    prefix = f"tenant:{tenant}:asdlc"
    client: Any = redis.Redis.from_url(url)
    content = "x = 1\n" * 40
    digest = hashlib.sha256(content.encode()).hexdigest()
    for first in range(0, count, 1_000):
        pipeline = client.pipeline(transaction=False)
        for number in range(first, min(first + 1_000, count)):
            request_id, bundle_id, task_id = str(uuid.uuid4()), str(uuid.uuid4()), f"task-{number}"
            at = (_START + timedelta(seconds=(number * 7919) % count)).isoformat()
            kind = KINDS[number % len(KINDS)]
            items = [
                {
                    "item_type": item_type,
                    "path": f"src/module_{number}.{suffix}",
                    "description": "What the agent made",
                    "content_hash": digest,
                    "metadata": {},
                }
                for item_type, suffix in (("artifact", "py"), ("test_result", "xml"))
            ]
            pipeline.hset(
                f"{prefix}:gate_request:{request_id}",
                mapping={
                    "request_id": request_id,
                    "task_id": task_id,
                    "session_id": "session-1",
                    "gate_type": kind,
                    "status": "pending",
                    "evidence_bundle_id": bundle_id,
                    "requested_by": "tdd_orchestrator",
                    "requested_at": at,
                },
            )
            pipeline.hset(
                f"{prefix}:evidence_bundle:{bundle_id}",
                mapping={
                    "bundle_id": bundle_id,
                    "task_id": task_id,
                    "gate_type": kind,
                    "git_sha": "4f1c2ab",
                    "items": json.dumps(items),
                    "created_at": at,
                    "summary": f"Change number {number} of the payment client",
                },
            )
            pipeline.zadd(f"{prefix}:pending_gates", {request_id: "inf"})
        pipeline.execute()
    client.close()


if __name__ == "__main__":
    seed(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
