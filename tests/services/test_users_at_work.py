"""Tenants' users at work on real servers: all that the application does for its own tenant, and nothing for another."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgpack
import pytest

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
from hitl_desktop.settings import KeyLayout
from hitl_desktop.tenancy import TenantContext, TenantNames
from hitl_desktop.tenancy.audit import TenantEvent, TenantRecord
from tests.gates import TENANT, decision, gate_request, posted
from tests.servers import Server
from tests.users import forget_used_commands, load_functions, make_user, raw_client, used_commands

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
    assert (await health.run_id(), await health.stray_keys()) == ("", ())
    cursor = await events.newest()
    assert set(await gates.pending_ids()) == set(asked)
    assert await gates.count_pending() == len(asked)
    assert all([isinstance(record, Gate) async for page in gates.read_all(asked) for record in page])
    first, second, third, overdue = [await gates.get(request_id) for request_id in asked]
    await gates.decide(decision(first), first)
    together = [(decision(gate, Verdict.REJECTED), gate) for gate in (second, third)]
    assert [getattr(told, "status", told) for told in await gates.deliver(together)] == ["rejected", "rejected"]
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
    assert used_commands(server) == set(commands(Role.REVIEWER, KeyLayout.PLAIN))


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
