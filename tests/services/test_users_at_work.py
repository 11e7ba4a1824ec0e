"""Tenants' users at work on real servers: all that the application does for its own tenant, and nothing for another."""

import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgpack
import pytest
import redis

from hitl_desktop.domain.decision import Verdict
from hitl_desktop.domain.event import Event
from hitl_desktop.domain.gate import Gate
from hitl_desktop.services import scripts
from hitl_desktop.services.acl import Role, commands
from hitl_desktop.services.connection import Connection, connect
from hitl_desktop.services.errors import AlreadyDecided, Refused
from hitl_desktop.services.events import Events
from hitl_desktop.services.gates import Gates
from hitl_desktop.services.health import Health
from hitl_desktop.services.history import History
from hitl_desktop.session import ReviewSession, open_backend, open_session
from hitl_desktop.settings import KeyLayout, Settings
from hitl_desktop.sync.monitor import Phase
from hitl_desktop.tenancy import TenantContext, TenantNames
from hitl_desktop.tenancy.audit import TenantEvent, TenantRecord
from tests.gates import TENANT, decision, gate_request, posted
from tests.servers import Server
from tests.users import SECRET, forget_used_commands, load_functions, make_user, raw_client, used_commands
from tests.waiting import until

STRANGER = "widgets-inc"
layouts = pytest.mark.parametrize("layout", list(KeyLayout))
roles = pytest.mark.parametrize("role", list(Role))


@asynccontextmanager
async def working(url: str, names: TenantNames) -> AsyncIterator[Connection]:
    """Yield a connection by `url`, in the context of the tenant of `names`."""
    async with connect(url) as connection:
        with TenantContext.tenant_scope(names.tenant_id or ""):
            yield connection


def came(names: TenantNames, gate: Gate) -> TenantRecord:
    """Return the record of a reviewer who came."""
    return TenantRecord(TenantEvent.SELECTED, names.tenant_id or "", None, "rev@example.org", "s", gate.requested_at)


async def review(connection: Connection, names: TenantNames, asked: list[str]) -> None:
    """Do all that a reviewer's application does with the four gates `asked`; the last has expired."""
    gates, events, history = Gates(connection, names), Events(connection, names), History(connection, names)
    health = Health(connection, names)
    assert (await health.version()).split()[0] in {"Redis", "Valkey"}
    assert (await health.history_id(), await health.stray_keys()) == ("", ())
    cursor = await events.newest()
    assert set(await gates.pending_ids()) == set(asked)
    assert await gates.count_pending() == len(asked)
    assert all([isinstance(record, Gate) async for page in gates.read_all(asked) for record in page])
    first, second, third, overdue = [await gates.get(request_id) for request_id in asked]
    await gates.decide(decision(first), first)
    together = [(decision(gate, Verdict.REJECTED), gate) for gate in (second, third)]
    assert await gates.deliver(together) == [None, None]
    assert [(await gates.get(gate.request_id)).status for gate in (second, third)] == ["rejected", "rejected"]
    with pytest.raises(AlreadyDecided):
        await gates.decide(decision(third), third)
    await gates.standing(together)
    assert (await gates.outcome((await gates.get(asked[0]))._replace(reviewer=""))).reviewer == "rev@example.org"
    await gates.expire(overdue)
    seen = [entry.event_type for entry in (await events.after(cursor))[1] if isinstance(entry, Event)]
    assert seen == ["gate_approved", "gate_rejected", "gate_rejected", "gate_expired"]
    assert len(await history.recent()) == 3
    await history.record(came(names, first))


async def ask_four(connection: Connection, names: TenantNames) -> list[str]:
    """Ask for four decisions, the last one too late."""
    gates = Gates(connection, names)
    requests = [gate_request(f"Gate {number}") for number in range(3)] + [gate_request("Too late", expires_in=-1)]
    for request in requests:
        assert await gates.request(request)
    return [request.request_id for request in requests]


# --- what a role's work needs -----------------------------------------------------------------------------------------


@layouts
async def test_a_reviewer_does_all_its_work_by_the_commands_that_are_named(server: Server, layout: KeyLayout) -> None:
    names = TenantNames(TENANT, layout)
    load_functions(server)
    url = make_user(server, names, Role.REVIEWER)
    async with working(server.url, names) as connection:
        asked = await ask_four(connection, names)
    forget_used_commands(server)
    async with working(url, names) as connection:
        await review(connection, names, asked)
    assert used_commands(server) | {"wait"} == set(commands(Role.REVIEWER, KeyLayout.PLAIN))


@layouts
async def test_an_agent_asks_and_waits_by_the_commands_that_are_named(server: Server, layout: KeyLayout) -> None:
    names = TenantNames(TENANT, layout)
    load_functions(server)
    url = make_user(server, names, Role.AGENT)
    forget_used_commands(server)
    async with working(url, names) as connection:
        asked = await ask_four(connection, names)
        await review(connection, names, asked)
    assert {"zadd", "exists", "fcall"} <= used_commands(server) <= set(commands(Role.AGENT, KeyLayout.PLAIN))


@layouts
def test_the_orchestrator_does_all_its_work_as_the_agents_user(server: Server, layout: KeyLayout) -> None:
    names = TenantNames(TENANT, layout)
    make_user(server, names, Role.AGENT)
    request = gate_request("A gate")
    task, processed = names.key("asdlc:task:t-1"), names.key("asdlc:processed:k")
    # As redis-py comes, with its own greeting; the server's refusal of a part of that is overlooked by it.
    user = {"username": names.redis_user(Role.AGENT), "password": SECRET, "client_name": "hitl-handlers"}
    with redis.Redis(server.host, server.port, decode_responses=True, **user) as client:  # type: ignore[arg-type]
        assert client.ping()
        if not client.exists(names.events):
            client.xadd(names.events, {"_init": "true", "timestamp": "now"}, maxlen=1000)
        for group in ("discovery-handlers", "hitl-handlers"):
            client.xgroup_create(names.events, group, id="0", mkstream=True)
        client.hset(task, mapping={"task_id": "t-1", "state": "pending"})
        client.hincrby(task, "fail_count", 1)
        gate = names.gate_request(request.request_id)
        client.hset(gate, mapping={"request_id": request.request_id, "status": "pending"})
        client.hset(names.evidence_bundle(request.bundle["bundle_id"]), mapping=dict(request.bundle))
        client.zadd(names.pending_gates, {request.request_id: float("inf")})
        client.rpush(names.decision_log("t-1"), "{}")
        client.xadd(names.audit, {"event": "gate_requested"}, maxlen=100_000)
        client.xadd(names.events, {"event_type": "gate_requested"}, maxlen=10_000)
        ((_, entries),) = client.xreadgroup("hitl-handlers", "worker-1", {names.events: ">"}, count=10, block=1000)
        assert client.exists(processed) == 0
        client.set(processed, entries[-1][0], ex=604_800)
        client.xack(names.events, "hitl-handlers", entries[-1][0])
        left = client.xpending_range(names.events, "hitl-handlers", "-", "+", 100)
        claimed = client.xclaim(names.events, "hitl-handlers", "worker-2", 0, [one["message_id"] for one in left])
        assert len(claimed) == len(left) == 1
        assert {group["name"] for group in client.xinfo_groups(names.events)} == {"discovery-handlers", "hitl-handlers"}
        assert client.xinfo_stream(names.events)["length"] == 2
        assert client.zrange(names.pending_gates, 0, -1) == [request.request_id]
        assert client.hgetall(gate)["status"] == "pending"
        client.hset(gate, "status", "approved")
        client.zrem(names.pending_gates, request.request_id)
        assert client.lrange(names.decision_log("t-1"), 0, -1) == ["{}"]


async def test_the_whole_of_a_reviewers_work_leaves_the_servers_log_of_refusals_alone(server: Server) -> None:
    names = TenantNames(TENANT)
    load_functions(server)
    url = make_user(server, names, Role.REVIEWER)
    async with working(server.url, names) as connection:
        asked = await ask_four(connection, names)
    server.run("ACL", "LOG", "RESET")
    async with working(url, names) as connection:
        await review(connection, names, asked)
    refused = {bytes(entry[entry.index(b"object") + 1]) for entry in server.run("ACL", "LOG")}
    # What a diagnosis asks, and does without.
    assert refused == {b"info", b"exists"}


# --- a session that follows the server --------------------------------------------------------------------------------


@asynccontextmanager
async def following(url: str, layout: KeyLayout) -> AsyncIterator[ReviewSession]:
    """Yield a session as the window has one, by `url`."""
    folder = Path(os.environ["HITL_STATE_DIR"])
    settings = Settings(folder, "rev@example.org", redis_url=url, multi_tenancy=True, key_layout=layout)
    async with open_backend(settings) as backend, open_session(backend, TENANT) as session:
        yield session


@layouts
async def test_a_reviewers_session_follows_what_happens_and_decides(server: Server, layout: KeyLayout) -> None:
    names = TenantNames(TENANT, layout)
    load_functions(server)
    request = gate_request("A gate")
    async with (
        following(make_user(server, names, Role.REVIEWER), layout) as session,
        working(make_user(server, names, Role.AGENT), names) as agent,
    ):
        await session.monitor.reached(Phase.ONLINE)
        await Gates(agent, names).request(request)
        await until(lambda: request.request_id in session.book.pending_ids, "the gate has come")
        opened = await session.open_gate(request.request_id)
        await session.decide(opened.gate, Verdict.APPROVED)
        await until(lambda: session.book.gates[request.request_id].status == "approved", "the echo has come back")
        assert (await Gates(agent, names).get(request.request_id)).reviewer == "rev@example.org"


async def test_a_session_without_the_functions_says_so_and_goes_on_once_they_are_loaded(server: Server) -> None:
    names = TenantNames(TENANT)
    async with working(server.url, names) as connection:
        asked = await ask_four(connection, names)
    async with following(make_user(server, names, Role.REVIEWER), KeyLayout.PLAIN) as session:
        await session.monitor.reached(Phase.REFUSED)
        assert "FUNCTION LOAD REPLACE" in session.monitor.now.problem
        load_functions(server)
        await session.refresh()
        await session.monitor.reached(Phase.ONLINE)
        assert set(session.book.pending_ids) == set(asked)


# --- for another tenant -----------------------------------------------------------------------------------------------


@layouts
@roles
async def test_the_same_code_with_a_wrong_prefix_is_refused(server: Server, role: Role, layout: KeyLayout) -> None:
    load_functions(server)
    url = make_user(server, TenantNames(TENANT, layout), role)
    others = TenantNames(STRANGER, layout)
    async with working(server.url, others) as connection:
        asked = await ask_four(connection, others)
        gate, overdue = [await Gates(connection, others).get(asked[place]) for place in (0, 3)]
    before = dump(server)
    async with working(url, others) as connection:
        gates, history = Gates(connection, others), History(connection, others)
        for attempt in (
            gates.pending_ids,
            gates.count_pending,
            lambda: gates.read(asked),
            lambda: gates.get(asked[0]),
            lambda: gates.decide(decision(gate), gate),
            lambda: gates.expire(overdue),
            lambda: gates.request(gate_request("A gate")),
            lambda: gates.standing([(decision(gate), gate)]),
            lambda: gates.outcome(gate),
            Events(connection, others).newest,
            lambda: Events(connection, others).after("0"),
            history.recent,
            lambda: history.record(came(others, gate)),
        ):
            with pytest.raises(Refused, match="does not permit this, so nothing was written"):
                await attempt()
        told = await gates.deliver([(decision(gate), gate)])
        assert [type(answer) for answer in told] == [Refused]
    assert dump(server) == before


async def test_what_a_function_reads_by_itself_is_refused_too(server: Server) -> None:
    load_functions(server)
    names, others = TenantNames(TENANT), TenantNames(STRANGER)
    make_user(server, names, Role.REVIEWER)
    async with working(server.url, others) as connection:
        secret = await posted(Gates(connection, others))
    # A bundle id of which a client that leaves the prefix out makes another tenant's key.
    server.run("HSET", names.gate_request("r"), "evidence_bundle_id", others.evidence_bundle(secret.evidence_bundle_id))
    arguments = (16384, 524288, "", 1, 1, "evidence_bundle_id", "summary", "items")
    with raw_client(server, names.redis_user(Role.REVIEWER)) as mine:
        packed = mine.fcall(scripts.READ_GATES.function, 1, names.gate_request("r"), *arguments)
    [[_gate, bundle, left_out, whole]] = msgpack.unpackb(packed, raw=True)
    assert (left_out, whole) == (False, False)
    assert re.search(rb"can't access at least one of the keys|No permissions to access a key", bundle)


def dump(server: Server) -> dict[bytes, bytes]:
    """Return all that the server has."""
    return {key: server.run("DUMP", key) for key in server.run("KEYS", "*")}
