"""Visits are recorded behind the window's back: a server that hangs holds no switch, and the order stays right."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from hitl_desktop.app import visits as recording
from hitl_desktop.app.visits import Visits
from hitl_desktop.session import open_backend
from hitl_desktop.settings import read_settings
from tests.driving import open_gate, running, switch
from tests.environments import keeping
from tests.gates import ask, gate_request
from tests.servers import Server
from tests.waiting import until

A, B = "acme-corp", "widgets-inc"
_CALLS = 40


@pytest.fixture
def environment(home: Path, valkey: Server) -> dict[str, str]:
    return keeping(home, valkey.url)


@contextmanager
def hanging(server: Server) -> Iterator[None]:
    """Let the server take connections, and answer nothing meanwhile."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


def logged(environment: dict[str, str]) -> list[tuple[str, str]]:
    """Return event and tenant of each line of the local log."""
    log = Path(environment["HITL_STATE_DIR"]) / "log" / "tenants.jsonl"
    lines = map(json.loads, log.read_text().splitlines() if log.exists() else ())
    return [(line["event"].removeprefix("tenant_"), line["tenant_id"]) for line in lines]


def audited(server: Server, tenant_id: str) -> list[tuple[str, str]]:
    """Return event and window of each visit in a tenant's stream."""
    entries = server.run("XRANGE", f"tenant:{tenant_id}:asdlc:audit", "-", "+")
    told = [fields for _, fields in entries]
    return [
        (fields[b"event"].removeprefix(b"tenant_").decode(), fields[b"session_id"].decode())
        for fields in told
        if fields[b"event"].startswith(b"tenant_")
    ]


def events(server: Server, tenant_id: str) -> list[str]:
    return [event for event, _ in audited(server, tenant_id)]


async def test_a_server_that_hangs_holds_no_switch(valkey: Server, environment: dict[str, str]) -> None:
    await ask(valkey.url, A, gate_request("Retry with jitter"))
    async with running(environment) as window:
        await open_gate(window, "Retry with jitter")
        await until(lambda: events(valkey, A) == ["selected"], "the coming is recorded")
        with hanging(valkey):
            await switch(window, B)
            await switch(window, A)
            # Nothing has been given up: it was not waited for.
            visited = [("selected", A), ("left", A), ("selected", B), ("left", B), ("selected", A)]
            await until(lambda: logged(environment) == visited, "the local log has it all")
        await until(lambda: events(valkey, A) == ["selected", "left", "selected"], "the streams have it, too")
    assert events(valkey, A) == ["selected", "left", "selected", "left"]
    assert events(valkey, B) == ["selected", "left"]
    assert "failed" not in {event for event, _ in logged(environment)}


async def test_at_the_end_the_server_is_waited_for_a_moment_only(
    valkey: Server, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "_AT_THE_END", 0.1)
    async with running(environment) as window:
        await until(lambda: events(valkey, A) == ["selected"], "the coming is recorded")
        os.kill(valkey.pid, signal.SIGSTOP)
        await switch(window, B)
    os.kill(valkey.pid, signal.SIGCONT)
    told = logged(environment)
    assert [one for one in told if one[0] != "failed"] == [
        ("selected", A),
        ("left", A),
        ("selected", B),
        ("left", B),
    ]
    assert sorted(tenant for event, tenant in told if event == "failed") == [A, B, B]
    assert (events(valkey, A), events(valkey, B)) == (["selected"], [])


async def test_a_record_that_nobody_takes_is_given_up(
    valkey: Server, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "_WITHIN", 0.1)
    settings = read_settings(environment)
    visits = Visits(settings)
    async with open_backend(settings) as backend:
        with hanging(valkey):
            await visits.entered(backend, "one", A)
            await until(lambda: ("failed", A) in logged(environment), "it is given up")
        monkeypatch.setattr(recording, "_WITHIN", 10.0)
        await visits.left(backend, "one", A, None)
        await visits.settled()
    assert events(valkey, A) == ["left"], "what follows is recorded"
    assert logged(environment) == [("selected", A), ("failed", A), ("left", A)]


async def test_whatever_windows_do_each_stream_has_it_in_its_order(
    valkey: Server, environment: dict[str, str], seed: int
) -> None:
    random, settings = Random(seed), read_settings(environment)  # noqa: S311 - a walk, no secret
    visits, at, made = Visits(settings), dict.fromkeys(("one", "two", "three"), ""), []
    async with open_backend(settings) as backend:
        for _ in range(_CALLS):
            window = random.choice(list(at))
            if at[window]:
                made.append(("left", at[window], window))
                await visits.left(backend, window, at[window], None)
                at[window] = ""
            else:
                at[window] = random.choice((A, B))
                made.append(("selected", at[window], window))
                await visits.entered(backend, window, at[window])
        await visits.settled()
    assert logged(environment) == [(event, tenant_id) for event, tenant_id, _ in made]
    for tenant_id in (A, B):
        assert audited(valkey, tenant_id) == [(event, window) for event, where, window in made if where == tenant_id]
