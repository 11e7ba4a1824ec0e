"""A reviewer's session on a fleet, and agents who ask."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from hitl_desktop.domain.gate import Gate
from hitl_desktop.domain.outbox import OutboxEntry, OutboxState
from hitl_desktop.services.encoding import GateRequest
from hitl_desktop.session import ReviewSession, open_backend, open_session
from hitl_desktop.settings import KeyLayout, Settings
from hitl_desktop.tenancy import TenantNames
from tests import gates
from tests.environments import key_file
from tests.gates import TENANT, Written
from tests.scale.fleets import FAIL_OVER, Cluster, Watched
from tests.servers import Server
from tests.waiting import until

LAYOUT = KeyLayout.HASHTAG
NAMES = TenantNames(TENANT, LAYOUT)


@asynccontextmanager
async def reviewing(url: str, layout: KeyLayout = LAYOUT, *, live: bool = True) -> AsyncIterator[ReviewSession]:
    """Yield a session of `TENANT` with an outbox on the disk."""
    settings = Settings(
        Path(os.environ["HITL_STATE_DIR"]),
        "rev@example.org",
        redis_url=url,
        multi_tenancy=True,
        key_layout=layout,
        key_file=key_file(Path(os.environ["HOME"])),
    )
    async with open_backend(settings) as backend, open_session(backend, TENANT, live=live) as session:
        yield session


async def ask(fleet: Cluster | Watched, *requests: GateRequest) -> None:
    """Post gates as agents do."""
    await gates.ask(fleet.url, TENANT, *requests, layout=LAYOUT)


async def replicated(master: Server) -> None:
    """Wait until the replica has all that the master has: what it lacks when it is promoted is gone."""

    def is_equal() -> bool:
        told = master.run("INFO", "replication")
        return bool(told.get("slave0", {}).get("offset") == told["master_repl_offset"])

    await until(is_equal, "the replica has all that the master has")


async def read(session: ReviewSession, request: GateRequest) -> Gate:
    """Return a gate as the reviewer reads it."""
    return (await session.open_gate(request.request_id)).gate


async def delivered(session: ReviewSession, entry: OutboxEntry) -> None:
    """Wait until a decision is known to be delivered."""
    known = session.book.decisions
    await until(
        lambda: known[entry.request_id].state is OutboxState.DELIVERED, "the decision is delivered", within=FAIL_OVER
    )


def written(server: Server, request: GateRequest) -> Written:
    """Return what a server has about a gate."""
    return gates.written(server, TENANT, request, LAYOUT)


def is_written_once(server: Server, request: GateRequest, decision_id: str) -> bool:
    """Whether a server has this decision about a gate, in every record exactly once."""
    found = written(server, request)
    counts = (len(found.log), len(found.audit), len(found.events))
    return found.gate["decision_id"] == decision_id and not found.is_pending and counts == (1, 1, 1)
