"""Scripts by EVALSHA or functions by FCALL, whichever the user may, each once, and a sentence where it may neither."""

import contextlib
import itertools
from collections.abc import Iterator

import pytest

from hitl_desktop.domain.decision import Verdict
from hitl_desktop.domain.gate import GateStatus
from hitl_desktop.services import scripts
from hitl_desktop.services.acl import Role
from hitl_desktop.services.connection import connect
from hitl_desktop.services.errors import FunctionsMissing, Malformed, Refused, TakesNoWrites
from hitl_desktop.tenancy import TenantNames
from tests.gates import PREFIX, TENANT, decision, gate_request, opened, posted, written
from tests.processes import until
from tests.servers import Server
from tests.users import SECRET, address, forget_used_commands, load_functions, make_user, used_commands

NAMES = TenantNames(TENANT)
LOADING = "`hitl-desktop tenants acl --functions | redis-cli -x FUNCTION LOAD REPLACE`"
BY_SCRIPT, BY_FUNCTION = {"eval", "evalsha"}, {"fcall"}


@pytest.fixture(autouse=True)
def counted(server: Server) -> None:
    """Count the commands of the test alone."""
    forget_used_commands(server)


def weak(server: Server, *rules: str) -> str:
    """Make a user that may do all with the tenant's keys but what `rules` take, and return the address for it."""
    server.run("ACL", "SETUSER", "weak", "reset", "on", f">{SECRET}", f"~{NAMES.key_pattern}", "+@all", *rules)
    return address(server, "weak")


# --- which way --------------------------------------------------------------------------------------------------------


async def test_who_may_load_scripts_runs_scripts(server: Server) -> None:
    async with opened(server) as gates:
        gate = await posted(gates)
        await gates.decide(decision(gate), gate)
    assert used_commands(server) & BY_SCRIPT
    assert used_commands(server).isdisjoint(BY_FUNCTION)


async def test_a_named_administrator_without_the_functions_runs_scripts(server: Server) -> None:
    async with opened(server, weak(server)) as gates:
        gate = await posted(gates)
        assert (await gates.decide(decision(gate), gate)).status == "approved"
    assert used_commands(server) & BY_SCRIPT


@pytest.mark.parametrize("denied", [("-eval", "-evalsha"), ("-evalsha",), ("-eval",)], ids=" ".join)
@pytest.mark.parametrize("named", [True, False])
async def test_who_may_not_load_scripts_runs_functions(server: Server, denied: tuple[str, ...], *, named: bool) -> None:
    load_functions(server)
    if not named:
        server.run("ACL", "SETUSER", "default", *denied)
    request = gate_request("A gate")
    async with opened(server, weak(server, *denied) if named else server.url) as gates:
        gate = await posted(gates, request)
        assert (await gates.decide(decision(gate), gate)).status == "approved"
    assert used_commands(server) >= BY_FUNCTION
    assert used_commands(server).isdisjoint(BY_SCRIPT)
    found = written(server, TENANT, request)
    assert len(found.log) == len(found.audit) == len(found.events) == 1


@pytest.mark.parametrize("named", [True, False])
async def test_many_decisions_sent_as_one_are_each_written_once(server: Server, *, named: bool) -> None:
    load_functions(server)
    requests = [gate_request(f"Gate {number}") for number in range(20)]
    async with opened(server) as administrator:
        gates_asked = [await posted(administrator, request) for request in requests]
    if not named:
        server.run("ACL", "SETUSER", "default", "-eval", "-evalsha")
    async with opened(server, make_user(server, NAMES, Role.REVIEWER) if named else server.url) as gates:
        # The first thing on this connection, so that nothing is known yet of what the user may.
        together = [(decision(gate, Verdict.REJECTED), gate) for gate in gates_asked]
        first, again = [await gates.deliver(together) for _ in range(2)]
    assert first == again == [None] * len(requests)
    for (made, _), request in zip(together, requests, strict=True):
        found = written(server, TENANT, request)
        assert (found.gate["status"], found.gate["decision_id"]) == ("rejected", made.decision_id)
        assert len(found.log) == len(found.audit) == len(found.events) == 1


async def test_a_connection_goes_on_when_its_users_permissions_change(server: Server) -> None:
    load_functions(server)
    async with opened(server, weak(server)) as gates:
        for rules, used in (
            (("-fcall",), BY_SCRIPT),
            (("+fcall", "-eval", "-evalsha"), BY_FUNCTION),
            (("+@all",), BY_FUNCTION),
        ):
            server.run("ACL", "SETUSER", "weak", *rules)
            server.run("SCRIPT", "FLUSH")
            forget_used_commands(server)
            gate = await posted(gates)
            assert (await gates.decide(decision(gate), gate)).status == "approved"
            assert used_commands(server) & used


@pytest.mark.parametrize("named", [True, False])
async def test_whatever_a_user_may_a_script_runs_once_or_not_at_all(server: Server, *, named: bool) -> None:
    url = weak(server) if named else server.url
    user = "weak" if named else "default"
    for may_eval, may_evalsha, may_fcall, is_cached, is_loaded in itertools.product([True, False], repeat=5):
        for command in ("FUNCTION", "FLUSH"), ("SCRIPT", "FLUSH"), ("DEL", NAMES.audit):
            server.run(*command)
        if is_loaded:
            load_functions(server)
        if is_cached:
            server.run("SCRIPT", "LOAD", scripts.AUDIT.text)
        may = {"eval": may_eval, "evalsha": may_evalsha, "fcall": may_fcall}
        server.run("ACL", "SETUSER", user, *(f"{'+' if each else '-'}{name}" for name, each in may.items()))
        runs = (may_evalsha and (is_cached or may_eval)) or (may_fcall and is_loaded)
        refused = pytest.raises(
            Refused, match="lacks this version's functions" if may_fcall else "does not permit this"
        )
        async with connect(url) as connection:
            with contextlib.nullcontext() if runs else refused:
                await connection.write(scripts.AUDIT, [NAMES.audit], [b"\x92\xa5event\xa1x"])
        assert server.run("XLEN", NAMES.audit) == int(runs)


async def test_the_library_can_be_loaded_again(server: Server) -> None:
    for _ in range(2):
        load_functions(server)
    ((_, name, *_rest),) = server.run("FUNCTION", "LIST")
    assert name == scripts.LIBRARY.encode()


# --- neither way ------------------------------------------------------------------------------------------------------


def outdated() -> str:
    """Return the library of another version."""
    return scripts.function_library().replace(scripts.LIBRARY.removeprefix("hitl_desktop_"), "0123456789ab")


@pytest.mark.parametrize("loaded", ["nothing", "another version"])
async def test_missing_functions_are_a_sentence_that_says_how_to_load_them(server: Server, loaded: str) -> None:
    if loaded == "another version":
        server.run("FUNCTION", "LOAD", outdated())
    request = gate_request("A gate")
    async with opened(server) as administrator:
        gate = await posted(administrator, request)
    async with opened(server, make_user(server, NAMES, Role.REVIEWER)) as gates:
        for attempt in (lambda: gates.get(gate.request_id), lambda: gates.decide(decision(gate), gate)):
            with pytest.raises(FunctionsMissing) as told:
                await attempt()
            assert LOADING in str(told.value)
            assert "nothing was read or written" in str(told.value)
        # The outbox keeps what it could not deliver as long as a server takes no writes.
        assert [type(answer) for answer in await gates.deliver([(decision(gate), gate)])] == [FunctionsMissing]
        assert issubclass(FunctionsMissing, TakesNoWrites)
        assert written(server, TENANT, request).gate["status"] == "pending"
        load_functions(server)
        assert (await gates.decide(decision(gate), gate)).status == "approved"
    assert len(written(server, TENANT, request).events) == 1


async def test_versions_are_served_side_by_side(server: Server) -> None:
    server.run("FUNCTION", "LOAD", outdated())
    load_functions(server)
    assert len(server.run("FUNCTION", "LIST")) == 2
    async with opened(server, make_user(server, NAMES, Role.AGENT)) as gates:
        assert (await posted(gates)).status is GateStatus.PENDING


async def test_what_is_no_function_is_refused_to_who_may_load_no_scripts(server: Server) -> None:
    async with opened(server, weak(server, "-eval", "-evalsha")) as gates:
        with pytest.raises(Refused, match="does not permit this, so nothing was written"):
            await gates._connection.write(scripts.ADOPT_REMOVE, [NAMES.events, NAMES.audit], [TENANT, 0])


# --- what the servers say ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["script", "function"])
@pytest.mark.parametrize("denied", ["-hgetall", "-type", "-time", "resetkeys ~tenant:acme-corp:asdlc:[!d]*"])
async def test_a_denial_inside_a_script_is_known_as_one(server: Server, way: str, denied: str) -> None:
    load_functions(server)
    request = gate_request("A gate", expires_in=3600)
    async with opened(server) as administrator:
        gate = await posted(administrator, request)
    before = written(server, TENANT, request)
    closed = {"script": ["-fcall"], "function": ["-eval", "-evalsha"]}[way]
    async with opened(server, weak(server, *closed, *denied.split())) as gates:
        with pytest.raises(Refused, match="does not permit this, so nothing was written"):
            await gates.decide(decision(gate), gate)
    assert written(server, TENANT, request) == before


async def test_a_key_that_talks_of_permissions_is_not_taken_for_a_denial(server: Server) -> None:
    request = gate_request("A gate")
    hostile = "ACL failure in script: permission, Function not found"
    async with opened(server) as gates:
        gate = (await posted(gates, request))._replace(task_id=hostile)
        server.run("HSET", f"{PREFIX}:gate_request:{request.request_id}", "task_id", hostile)
        server.run("SET", f"{PREFIX}:decision_log:{hostile}", "in the way")
        with pytest.raises(Malformed, match="another type than agreed"):
            await gates.decide(decision(gate), gate)


@contextlib.contextmanager
def full(server: Server) -> Iterator[None]:
    server.run("CONFIG", "SET", "maxmemory", "1")
    yield
    server.run("CONFIG", "SET", "maxmemory", "0")


@contextlib.contextmanager
def read_only(server: Server) -> Iterator[None]:
    server.run("REPLICAOF", "127.0.0.1", "1")
    yield
    server.run("REPLICAOF", "NO", "ONE")


@pytest.mark.parametrize("state", [full, read_only])
@pytest.mark.parametrize("way", ["script", "function"])
async def test_a_server_that_takes_no_writes_still_answers_and_says_so(server: Server, way: str, state: object) -> None:
    load_functions(server)
    request = gate_request("A gate")
    async with opened(server) as administrator:
        gate = await posted(administrator, request)
    url = server.url if way == "script" else make_user(server, NAMES, Role.REVIEWER)
    async with opened(server, url) as gates:
        with state(server):  # type: ignore[operator]  # one of the two above
            assert (await gates.get(request.request_id)).status is GateStatus.PENDING
            with pytest.raises(TakesNoWrites, match="takes no writes at present, so nothing was written"):
                await gates.decide(decision(gate), gate)
        assert (await gates.decide(decision(gate), gate)).status == "approved"


async def test_a_promoted_replica_has_the_functions(server: Server) -> None:
    load_functions(server)
    request = gate_request("A gate")
    async with opened(server) as administrator:
        gate = await posted(administrator, request)
    server.run("CONFIG", "SET", "repl-diskless-sync-delay", "0")
    with contextlib.closing(Server(server.kind)) as replica:
        replica.start()
        with server.client() as connected:
            user = connected.connection_pool.connection_kwargs["username"]
        replica.run("CONFIG", "SET", "masteruser", user, "masterauth", user)
        replica.run("REPLICAOF", server.host, server.port)
        until(lambda: bool(replica.run("EXISTS", NAMES.events)), "the replica has what its master has")
        replica.run("REPLICAOF", "NO", "ONE")
        # Users are each server's own.
        async with opened(replica, make_user(replica, NAMES, Role.REVIEWER)) as gates:
            assert (await gates.decide(decision(gate), gate)).status == "approved"
        assert len(written(replica, TENANT, request).events) == 1
