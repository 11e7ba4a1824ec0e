"""The command line on a cluster and with sentinels, and what it says where the settings do not fit the servers."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import redis

from hitl_desktop.services.acl import Role
from hitl_desktop.services.errors import Refused
from hitl_desktop.session.login import check_login
from hitl_desktop.settings import KeyLayout, read_settings
from hitl_desktop.store.credentials import Login, Service
from hitl_desktop.sync.monitor import Phase
from hitl_desktop.tenancy import TenantNames
from tests import gates
from tests.environments import key_file
from tests.gates import TENANT, gate_request
from tests.scale.fleets import Cluster, Watched
from tests.scale.reviewing import NAMES, ask, is_written_once, reviewing, written
from tests.servers import Server
from tests.users import SECRET, make_user
from tests.verbs import Answer, run_verb

# Each in the slots of another master.
TENANTS = ("acme-corp", "globex", "hooli")


Run = Callable[..., Awaitable[Answer]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], home: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    for name, value in {
        "MULTI_TENANCY_ENABLED": "true",
        "HITL_KEY_LAYOUT": "hashtag",
        "ALLOWED_TENANTS": ",".join(TENANTS),
        "DEFAULT_TENANT_ID": TENANT,
        "HITL_REVIEWER": "rev@example.org",
        "HITL_KEY_FILE": str(key_file(home)),
    }.items():
        monkeypatch.setenv(name, value)

    async def call(*arguments: str) -> Answer:
        return await asyncio.to_thread(run_verb, capsys, *arguments)

    return call


async def test_verbs_list_decide_and_sync(fleet: Cluster | Watched, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HITL_REDIS_URL", fleet.url)
    first, second = gate_request("Retry"), gate_request("Schema")
    await ask(fleet, first, second)
    listed = (await run("gates", "list", "--json")).document
    assert {gate["request_id"] for gate in listed["gates"]} == {first.request_id, second.request_id}
    approved = await run("gates", "approve", first.request_id, "--json")
    assert approved.code == 0
    assert is_written_once(fleet.master, first, approved.document["decision_id"])
    queued = await run("gates", "reject", second.request_id, "--reason", "No", "--offline", "--json")
    assert (await run("gates", "sync")).code == 0
    assert is_written_once(fleet.master, second, queued.document["decision_id"])
    assert (await run("gates", "approve", first.request_id)).code == 5
    checks = {check["name"]: check["status"] for check in (await run("doctor", "--json")).document["checks"]}
    assert (checks["tenant"], checks["server"], checks.get("cluster")) == ("ok", "ok", None)


async def test_each_tenant_is_found_on_its_own_master(
    cluster: Cluster, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HITL_REDIS_URL", cluster.url)
    for count, tenant in enumerate(TENANTS, 1):
        requests = [gate_request("Retry") for _ in range(count)]
        await gates.ask(cluster.url, tenant, *requests, layout=KeyLayout.HASHTAG)
    rows = (await run("tenants", "list", "--json")).document["tenants"]
    assert [(row["tenant_id"], row["pending"]) for row in rows] == [(TENANTS[0], 1), (TENANTS[1], 2), (TENANTS[2], 3)]
    assert all(server.run("DBSIZE") > 0 for server in cluster.masters)


def explains(told: Answer) -> bool:
    """Whether it says what to change, and nothing in the server's own words."""
    return "HITL_KEY_LAYOUT=hashtag" in told.err and not {"CROSSSLOT", "MOVED", "Traceback"} & set(told.err.split())


async def test_a_cluster_with_the_plain_layout_is_refused_before_anything_is_asked(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HITL_REDIS_URL", "redis+cluster://nowhere.invalid:1")
    monkeypatch.setenv("HITL_KEY_LAYOUT", "plain")
    told = await run("gates", "list")
    assert (told.code, explains(told)) == (2, True)


async def test_one_node_with_the_plain_layout_is_told_what_to_change(
    cluster: Cluster, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HITL_KEY_LAYOUT", "plain")
    for node in cluster.masters:
        monkeypatch.setenv("HITL_REDIS_URL", node.url)
        asked = ("gates", "request", "--type", "code", "--task", "t", "--session", "s", "--summary", "x")
        read = ("gates", "show", half_on(node))
        for verb in (asked, read):
            told = await run(*verb)
            assert (told.code, explains(told)) == (6, True), (verb, told)
            assert f"HITL_REDIS_URL=redis+cluster://{node.host}:{node.port}" in told.err
    # The window of a reviewer says it, too.
    pending = TenantNames(TENANT).pending_gates
    other = next(node for node in cluster.masters if not has(node, pending))
    async with reviewing(other.url, KeyLayout.PLAIN) as session:
        assert "HITL_KEY_LAYOUT=hashtag" in (await session.monitor.reached(Phase.REFUSED)).problem


def has(node: Server, key: str) -> bool:
    """Whether a node has a key's slot."""
    try:
        node.run("EXISTS", key)
    except redis.exceptions.MovedError:
        return False
    return True


def half_on(node: Server) -> str:
    """Write a gate in the plain layout whose hash is on `node` and whose bundle is not; return its id."""
    names = TenantNames(TENANT)
    requests = (gate_request("Half here") for _ in itertools.count())
    ours = (one for one in requests if has(node, names.gate_request(one.request_id)))
    request = next(one for one in ours if not has(node, names.evidence_bundle(one.bundle["bundle_id"])))
    fields = {"request_id": request.request_id, "evidence_bundle_id": request.bundle["bundle_id"], "status": "pending"}
    node.run("HSET", names.gate_request(request.request_id), *(part for pair in fields.items() for part in pair))
    return request.request_id


async def test_one_node_with_the_right_layout_is_told_or_warned_of(
    cluster: Cluster, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, own = cluster.servers[0], cluster.master
    monkeypatch.setenv("HITL_REDIS_URL", other.url)
    assert explains(await run("gates", "list"))
    monkeypatch.setenv("HITL_REDIS_URL", own.url)
    request = gate_request("Retry")
    await ask(cluster, request)
    assert (await run("gates", "approve", request.request_id)).code == 0
    assert written(own, request).gate["status"] == "approved"
    warned = await run("doctor")
    assert warned.code == 0
    assert f"HITL_REDIS_URL=redis+cluster://{own.host}:{own.port}" in warned.out


async def test_users_are_each_servers_own(cluster: Cluster, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for server in cluster.servers:
        make_user(server, NAMES, Role.REVIEWER)
    login = Login("", SECRET, NAMES.redis_user(Role.REVIEWER))
    monkeypatch.setenv("HITL_REDIS_URL", cluster.url)
    await check_login(read_settings(), NAMES, Service.REDIS, login)
    told = await run("tenants", "revoke", TENANT)
    assert (told.code, "nothing was switched off" in told.err) == (2, True)
    for server in cluster.servers:
        monkeypatch.setenv("HITL_REDIS_URL", server.url)
        assert (await run("tenants", "revoke", TENANT)).code == 0
    with pytest.raises(Refused):
        await check_login(read_settings(), NAMES, Service.REDIS, login)


async def test_adopting_is_refused_in_a_cluster(cluster: Cluster, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HITL_REDIS_URL", cluster.url)
    told = await run("tenants", "adopt", TENANT)
    assert told.code == 6
    assert "adopt on a single server" in told.err


async def test_servers_of_another_kind_are_named(
    watched: Watched, valkey: Server, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for url, reason in {
        f"redis+cluster://{valkey.host}:{valkey.port}": "is no Redis Cluster",
        f"redis+sentinel://{valkey.host}:{valkey.port}/gates": "is no sentinel",
        watched.url.replace("/gates", "/other"): "know no master of that name",
    }.items():
        monkeypatch.setenv("HITL_REDIS_URL", url)
        told = await run("gates", "list")
        assert told.code == 6
        assert reason in told.err
