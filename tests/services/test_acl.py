"""The tenants' users on real servers: all that their work needs is permitted, and nothing else."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.exceptions import NoPermissionError

from hitl_desktop.services import scripts
from hitl_desktop.services.acl import PASSWORD, Role, ServerKind, commands, is_other_database, set_user
from hitl_desktop.settings import KeyLayout
from hitl_desktop.tenancy import TenantNames
from tests.gates import TENANT
from tests.servers import Server
from tests.users import KINDS, SECRET, load_functions, make_user, raw_client

STRANGER = "widgets-inc"
layouts = pytest.mark.parametrize("layout", list(KeyLayout))
roles = pytest.mark.parametrize("role", list(Role))

# Each command with a key that a role names, as it may be called; `{key}` is a key of the type that the call needs.
CALLS: dict[str, tuple[str, ...]] = {
    "exists": ("EXISTS", "{string}"),
    "fcall": ("FCALL", scripts.AUDIT.function, "1", "{stream}", "\x92\xa1x\xa1y"),
    "get": ("GET", "{string}"),
    "hget": ("HGET", "{hash}", "f"),
    "hgetall": ("HGETALL", "{hash}"),
    "hincrby": ("HINCRBY", "{hash}", "n", "1"),
    "hmget": ("HMGET", "{hash}", "f"),
    "hset": ("HSET", "{hash}", "f", "v"),
    "hstrlen": ("HSTRLEN", "{hash}", "f"),
    "llen": ("LLEN", "{list}"),
    "lrange": ("LRANGE", "{list}", "0", "-1"),
    "rpush": ("RPUSH", "{list}", "x"),
    "set": ("SET", "{string}", "x", "EX", "604800"),
    "type": ("TYPE", "{string}"),
    "xack": ("XACK", "{stream}", "hitl-handlers", "1-1"),
    "xadd": ("XADD", "{stream}", "MAXLEN", "~", "10000", "*", "f", "v"),
    "xautoclaim": ("XAUTOCLAIM", "{stream}", "hitl-handlers", "me", "60000", "0"),
    "xclaim": ("XCLAIM", "{stream}", "hitl-handlers", "me", "60000", "1-1"),
    "xgroup|create": ("XGROUP", "CREATE", "{stream}", "another", "0", "MKSTREAM"),
    "xinfo|consumers": ("XINFO", "CONSUMERS", "{stream}", "hitl-handlers"),
    "xinfo|groups": ("XINFO", "GROUPS", "{stream}"),
    "xinfo|stream": ("XINFO", "STREAM", "{stream}"),
    "xlen": ("XLEN", "{stream}"),
    "xpending": ("XPENDING", "{stream}", "hitl-handlers", "-", "+", "100"),
    "xrange": ("XRANGE", "{stream}", "-", "+"),
    "xread": ("XREAD", "COUNT", "10", "STREAMS", "{stream}", "0"),
    "xreadgroup": ("XREADGROUP", "GROUP", "hitl-handlers", "me", "COUNT", "1", "STREAMS", "{stream}", ">"),
    "xrevrange": ("XREVRANGE", "{stream}", "+", "-", "COUNT", "1"),
    "zadd": ("ZADD", "{zset}", "inf", "m"),
    "zcard": ("ZCARD", "{zset}"),
    "zrange": ("ZRANGE", "{zset}", "0", "-1"),
    "zrem": ("ZREM", "{zset}", "m"),
    "zscore": ("ZSCORE", "{zset}", "m"),
}
BASES = {
    "string": "asdlc:processed:p",
    "hash": "asdlc:task:t",
    "list": "asdlc:decision_log:t",
    "stream": "asdlc:events",
    "zset": "asdlc:pending_gates",
}


@layouts
@roles
def test_each_command_named_works_on_the_tenants_own_keys_and_on_no_others(
    server: Server, role: Role, layout: KeyLayout
) -> None:
    names = TenantNames(TENANT, layout)
    load_functions(server)
    make_user(server, names, role)
    named = [name for name in commands(role, layout, KINDS[server.kind]) if name in CALLS]
    with raw_client(server, names.redis_user(role)) as mine:
        fill(server, names)
        for name in named:
            invoke(mine, name, names.key)
        for foreign in foreign_names(layout):
            for name in named:
                with pytest.raises(NoPermissionError, match=r"access (one of the keys|a key)"):
                    invoke(mine, name, foreign)
    assert server.run("KEYS", "*[!a-z]widgets-inc*") == []


def test_the_calls_are_of_every_command_that_takes_a_key(server: Server) -> None:
    keyed = {known.name for known in known_commands(server) if known.has_keys}
    named = {name for role in Role for name in commands(role, KeyLayout.HASHTAG)}
    assert named & keyed <= CALLS.keys()
    assert CALLS.keys() <= named


def fill(server: Server, names: TenantNames) -> None:
    """Write a key of each type, so that calls find one."""
    key = {kind: names.key(base) for kind, base in BASES.items()}
    server.run("HSET", key["hash"], "n", 1)
    server.run("RPUSH", key["list"], "x")
    server.run("ZADD", key["zset"], 1, "m")
    server.run("XADD", key["stream"], "1-1", "f", "v")
    server.run("XGROUP", "CREATE", key["stream"], "hitl-handlers", "0")


def invoke(user: redis.Redis, name: str, key: Any) -> Any:
    """Call the command `name` on the key that `key` makes of a base."""
    words = [word.encode("latin-1") for word in CALLS[name]]
    made = {f"{{{kind}}}".encode(): key(base).encode() for kind, base in BASES.items()}
    return user.execute_command(*(made.get(word, word) for word in words))  # type: ignore[no-untyped-call]


def foreign_names(layout: KeyLayout) -> Iterator[Any]:
    """Yield what makes of a base a key that is not the tenant's, also keys that look almost like its own."""
    others = [TenantNames(name, layout) for name in (STRANGER, f"{TENANT}2", TENANT[:-1], f"x-{TENANT}")]
    other_layout = next(each for each in KeyLayout if each is not layout)
    for names in (*others, TenantNames(TENANT, other_layout), TenantNames(None)):
        yield names.key
    own = TenantNames(TENANT, layout)
    for change in (str.upper, lambda key: f" {key}", lambda key: key.replace(":asdlc", ":other"), lambda key: key[1:]):
        yield lambda base, change=change: change(own.key(base))


# --- nothing else -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Known:
    """A command of the server; `arity` is how many words it has at least."""

    name: str
    arity: int
    is_for_all: bool
    has_keys: bool


def known_commands(server: Server) -> list[Known]:
    """Return all commands of the server, of containers their subcommands."""
    with server.client() as connected:
        connected.set_response_callback("COMMAND", lambda reply, **_: reply)
        reply: Any = connected.execute_command("COMMAND")  # type: ignore[no-untyped-call]
    return list(leaves(reply))


def leaves(reply: list[Any]) -> Iterator[Known]:
    for name, arity, flags, first, _last, _step, _categories, _tips, specs, inner in reply:
        if inner:
            yield from leaves(inner)
        else:
            yield Known(name.decode(), abs(arity), b"no_auth" in flags, bool(first or specs))


@layouts
@roles
def test_of_all_that_the_server_knows_what_is_named_is_permitted(server: Server, role: Role, layout: KeyLayout) -> None:
    names = TenantNames(TENANT, layout)
    make_user(server, names, role)
    named = set(commands(role, layout, KINDS[server.kind]))
    known = [each for each in known_commands(server) if not each.is_for_all]
    assert len(known) > 300
    permitted = set()
    with server.client() as administrator:
        for each in known:
            words = [*each.name.split("|"), *[names.events] * each.arity][: each.arity]
            answer: Any = administrator.acl_dryrun(names.redis_user(role), *words)
            if answer == b"OK":
                permitted.add(each.name)
            else:
                assert f"has no permissions to run the '{each.name}' command" in answer.decode()
    assert permitted == {each.name for each in known if {each.name, each.name.split("|")[0]} & named}
    # Greeting and logging in are for everybody; COMMAND has subcommands and is none itself.
    assert named - permitted <= {"auth", "hello", "command"}


REFUSED = [
    "SCAN 0",
    "KEYS *",
    "RANDOMKEY",
    "DBSIZE",
    "CLIENT TRACKING ON BCAST",
    "CLIENT LIST",
    "DEL tenant:acme-corp:asdlc:events",
    "UNLINK tenant:acme-corp:asdlc:events",
    "XTRIM tenant:acme-corp:asdlc:audit MAXLEN 0",
    "XDEL tenant:acme-corp:asdlc:audit 1-1",
    "EXPIRE tenant:acme-corp:asdlc:audit 1",
    "RENAME tenant:acme-corp:asdlc:audit tenant:acme-corp:asdlc:x",
    "EVAL return 0",
    "EVALSHA 0 0",
    "SCRIPT LOAD return",
    "FUNCTION LIST",
    "FUNCTION LOAD x",
    "SUBSCRIBE x",
    "PUBLISH x y",
    "MONITOR",
    "INFO",
    "CONFIG GET *",
    "ACL WHOAMI",
    "FLUSHALL",
    "SELECT 1",
]


@roles
def test_what_tells_of_others_or_destroys_is_refused(server: Server, role: Role) -> None:
    names = TenantNames(TENANT)
    make_user(server, names, role)
    with raw_client(server, names.redis_user(role)) as mine:
        for command in REFUSED:
            with pytest.raises(NoPermissionError):
                mine.execute_command(*command.split())


@roles
def test_what_the_rules_cannot_prevent_is_as_security_md_says(server: Server, role: Role) -> None:
    names = TenantNames(TENANT)
    make_user(server, names, role)
    server.run("XADD", names.audit, "*", "event", "gate_decision")
    with raw_client(server, names.redis_user(role)) as mine:
        mine.hset(names.gate_request("r"), "status", "approved")
        mine.xadd(names.audit, {"event": "x"}, maxlen=0, approximate=False)
    assert server.run("XLEN", names.audit) == 0
    told = Path("SECURITY.md").read_text()
    assert "Force decisions through the function" in told
    assert "XADD takes MAXLEN" in told


# --- the lines --------------------------------------------------------------------------------------------------------


@layouts
@roles
@pytest.mark.parametrize("kind", list(ServerKind))
def test_a_line_names_commands_alone_and_one_pattern(role: Role, layout: KeyLayout, kind: ServerKind) -> None:
    line = set_user(TenantNames(TENANT, layout), role, kind).split()
    shown = {KeyLayout.PLAIN: TENANT, KeyLayout.HASHTAG: f"{{{TENANT}}}"}[layout]
    head = ["ACL", "SETUSER", f"{TENANT}-{role}", "reset", "on", f">{PASSWORD}", f"~tenant:{shown}:asdlc:*"]
    assert line[: len(head)] == head
    rules = line[len(head) :]
    assert all(rule.startswith("+") and "@" not in rule for rule in rules)
    assert len(rules) == len(set(rules))
    forbidden = {"del", "unlink", "xtrim", "xdel", "scan", "keys", "eval", "evalsha", "script", "info"}
    assert not forbidden & {rule[1:].split("|")[0] for rule in rules}


@roles
def test_the_line_for_redis7_works_on_every_server_and_the_other_on_its_own_alone(server: Server, role: Role) -> None:
    lines = {kind: set_user(TenantNames(TENANT), role, kind).split() for kind in ServerKind}
    server.run(*lines[ServerKind.REDIS7])
    if server.kind == "redis" and role is Role.AGENT:
        with pytest.raises(redis.ResponseError, match=r"client\|setinfo"):
            server.run(*lines[ServerKind.VALKEY9])
    else:
        server.run(*lines[ServerKind.VALKEY9])


def test_a_line_leaves_nothing_of_what_the_user_had(server: Server) -> None:
    names = TenantNames(TENANT)
    user = names.redis_user(Role.REVIEWER)
    server.run("ACL", "SETUSER", user, "on", "nopass", "~*", "&*", "+@all", "(+get ~x)")
    make_user(server, names, Role.REVIEWER)
    with raw_client(server, user) as mine, pytest.raises(NoPermissionError):
        mine.get("x")
    with raw_client(server, user, SECRET[1:]) as guessing, pytest.raises(redis.AuthenticationError):
        guessing.ping()


@pytest.mark.parametrize(
    ("url", "is_other"),
    [
        ("redis://h:1/0", False),
        ("redis://h:1", False),
        ("redis://h:1/", False),
        ("redis://u:p@h:1/3", True),
        ("rediss://h/12?ssl_cert_reqs=none", True),
        ("unix:///run/redis.sock", False),
        ("unix:///run/3?db=0", False),
        ("unix:///run/redis.sock?db=3", True),
        ("redis://h:1/0?db=4", True),
        ("redis+sentinel://h:1,i:1/service", False),
        ("redis+sentinel://h:1,i:1/service?db=4", True),
    ],
)
def test_another_database_is_seen_in_the_address(url: str, *, is_other: bool) -> None:
    assert is_other_database(url) is is_other


async def test_in_another_database_the_users_may_select_it(server: Server) -> None:
    names = TenantNames(TENANT)
    user = names.redis_user(Role.REVIEWER)
    line = set_user(names, Role.REVIEWER, selects=True).replace(PASSWORD, SECRET)
    assert [word for word in line.split() if word not in set_user(names, Role.REVIEWER).split()][-1] == "+select"
    server.run(*line.split())
    with raw_client(server, user, db=3) as mine:
        assert mine.zcard(names.pending_gates) == 0
        with pytest.raises(NoPermissionError):
            mine.zcard(TenantNames(STRANGER).pending_gates)
