"""Every command of both servers is known: rewritten, harmless or refused, by the servers' own account of it."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from hitl_desktop.services import CommandRefusedError
from hitl_desktop.services.tenant_redis.places import BY_HAND
from hitl_desktop.services.tenant_redis.replies import SHAPES
from hitl_desktop.services.tenant_redis.rewriting import HARMLESS, IN_PIPELINES, REFUSED
from hitl_desktop.services.tenant_redis.table import commands
from tests.servers import Server
from tests.services.tenant_redis.clients import command_rows, rewriters

# Without a key of their own, yet rewritten: by their channel, or by a pattern.
CHANNELS = {"PUBLISH", "SPUBLISH", "PUBSUB NUMSUB", "PUBSUB SHARDNUMSUB"}
PATTERNS = {"KEYS", "SCAN", "PUBSUB CHANNELS", "PUBSUB SHARDCHANNELS"}
KEYLESS = HARMLESS | {"DISCARD", "UNWATCH"}


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    specification = importlib.util.spec_from_file_location("command_table", Path("packaging/command_table.py"))
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def is_rewritten(name: str) -> bool:
    try:
        rewriters()[name]
    except CommandRefusedError:
        return False
    return name not in KEYLESS


def has_keys(specifications: list[dict[str, Any]]) -> bool:
    return any("not_key" not in each["flags"] for each in specifications)


def test_the_table_is_what_the_server_says(server: Server, generator: ModuleType) -> None:
    told = generator.told(server)
    assert len(told) > 350
    shipped = {name: None if keys is None else list(keys) for name, keys in commands().items()}
    assert {name: [_plain(each) for each in shipped[name] or ()] for name in told} == {
        name: [{"last": 0, "counted": False, **each} for each in keys or ()] for name, keys in told.items()
    }
    assert {name for name in told if shipped[name] is None} == {name for name, keys in told.items() if keys is None}


def _plain(keys: Any) -> dict[str, Any]:
    return {field: getattr(keys, field) for field in keys.__struct_fields__}


def test_servers_that_disagree_make_no_table(generator: ModuleType) -> None:
    with pytest.raises(ValueError, match="disagree about GET"):
        generator.merged([{"GET": [{"at": 1}]}, {"GET": [{"at": 2}]}])


def test_no_command_is_forgotten(server: Server) -> None:
    rows = command_rows(server)
    groups = {name.partition(" ")[0] for name in rows if " " in name}
    rewritten = {name for name in rows.keys() - groups if is_rewritten(name)}
    keyed = {name for name, (_, specifications) in rows.items() if has_keys(specifications)}
    assert rewritten == ((keyed - REFUSED.keys()) | CHANNELS | PATTERNS)
    refused = rows.keys() - groups - rewritten - KEYLESS
    for name in refused:
        with pytest.raises(CommandRefusedError):
            rewriters().rewrite((*name.split(), "asdlc:k", "1", "asdlc:k"))
        with pytest.raises(CommandRefusedError):
            rewriters().rewrite((name, "asdlc:k", "1", "asdlc:k"))
    # What the issue names, and what a mistake would cost most.
    assert refused >= {
        *("ACL SETUSER", "CLIENT KILL", "CLIENT LIST", "CLIENT TRACKING", "CONFIG GET", "CONFIG SET", "DBSIZE"),
        *("DEBUG", "EVAL", "EVALSHA", "EVALSHA_RO", "EVAL_RO", "FCALL", "FCALL_RO", "FLUSHALL", "FLUSHDB", "INFO"),
        *("FUNCTION LOAD", "HELLO", "AUTH", "MIGRATE", "MONITOR", "MULTI", "EXEC", "PSUBSCRIBE", "QUIT", "RANDOMKEY"),
        *("REPLICAOF", "RESET", "SCRIPT EXISTS", "SCRIPT FLUSH", "SCRIPT LOAD", "SELECT", "SHUTDOWN", "SLOWLOG GET"),
        *("SSUBSCRIBE", "SUBSCRIBE", "SWAPDB", "SYNC", "PUBSUB NUMPAT", "COMMAND GETKEYS", "CLUSTER GETKEYSINSLOT"),
    }


def test_a_group_of_commands_is_refused_without_the_command(server: Server) -> None:
    for name in {name.partition(" ")[0] for name in command_rows(server) if " " in name}:
        with pytest.raises(CommandRefusedError):
            rewriters().rewrite((name,))
        with pytest.raises(CommandRefusedError):
            rewriters().rewrite((name, "UNHEARD-OF", "asdlc:k"))


def test_what_is_written_by_hand_is_about_commands_that_there_are() -> None:
    by_hand = {*BY_HAND, *HARMLESS, *IN_PIPELINES, *REFUSED, *CHANNELS, *PATTERNS, *SHAPES}
    assert by_hand <= commands().keys()


@pytest.mark.parametrize("in_pipeline", [True, False])
def test_what_changes_a_connection_belongs_in_a_pipeline(in_pipeline: bool) -> None:  # noqa: FBT001 - a parameter of the test
    for name in IN_PIPELINES:
        if in_pipeline:
            assert rewriters(in_pipeline=True).rewrite((name, "k"))[0] == name
        else:
            with pytest.raises(CommandRefusedError, match="only a pipeline"):
                rewriters(in_pipeline=False).rewrite((name, "k"))


def test_however_a_command_is_spelled_its_own_name_is_sent_and_kept() -> None:
    made = rewriters()
    for name in ("get", b"GET", "gEt", " GET\n", b"get "):
        assert made.rewrite((name, "k")) == ("GET", b"tenant:acme-corp:k")
    for spelled in (("xinfo", b"stream"), ("XINFO STREAM",), (b"xinfo  stream",)):
        assert made.rewrite((*spelled, "k", "FULL")) == ("XINFO STREAM", b"tenant:acme-corp:k", "FULL")
    assert set(made) == {"GET", "XINFO STREAM"}
    # It equals the bytes, but redis-py would send it as it is.
    with pytest.raises(CommandRefusedError):
        made.rewrite((memoryview(b"GET"), "k"))
