"""`gates request --wait` before a server that goes away at any moment: it says that nothing was asked, or goes on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from hitl_desktop.cli.request import _request
from hitl_desktop.domain.decision import Verdict
from hitl_desktop.services.errors import Unavailable
from hitl_desktop.sync.cancelling import ended
from tests.environments import configured
from tests.faults.proxy import Fault, Harm, Proxy, Way, proxy_before
from tests.gates import PREFIX, decision, opened
from tests.servers import Server
from tests.waiting import until

_POINTS = 6
_ALL_POINTS = 120
_ASKED = {
    "task": "t-1",
    "session_id": "s-1",
    "gate_type": "hitl_4_code",
    "requested_by": "tests",
    "expires_in": None,
    "git_sha": "",
    "summary": "Waiting",
    "evidence": (),
}


@pytest.fixture
async def proxy(valkey: Server, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Proxy]:
    async with proxy_before(valkey.port) as before:
        for name, value in configured({}, before.url).items():
            monkeypatch.setenv(name, value)
        yield before


@asynccontextmanager
async def begun() -> AsyncIterator["asyncio.Task[int]"]:
    verb = asyncio.create_task(_request(None, _ASKED, wait=True, as_json=False))
    try:
        yield verb
    finally:
        await ended([verb])


def waiting(server: Server) -> list[str]:
    return [name.decode() for name in server.run("ZRANGE", f"{PREFIX}:pending_gates", 0, -1)]


async def approve(server: Server, request_id: str) -> None:
    async with opened(server) as gates:
        gate = await gates.get(request_id)
        await gates.decide(decision(gate, Verdict.APPROVED), gate)


async def length(server: Server, proxy: Proxy) -> dict[Way, int]:
    """Return how many bytes pass either way until the verb waits, undisturbed."""
    proxy.arm(None)
    async with begun() as verb:
        await until(lambda: server.run("INFO", "clients")["blocked_clients"], "the verb waits")
        passed = dict(proxy.passed)
        await approve(server, *waiting(server))
        assert await verb == 0
    return passed


async def disturbed(server: Server, proxy: Proxy, fault: Fault, capsys: pytest.CaptureFixture[str]) -> bool:
    """Let the server go away at one point, and come back once the verb has noticed; return whether it was asked."""
    server.run("FLUSHALL")
    proxy.arm(fault)
    proxy.refuses = True
    told = ""

    def has_noticed() -> bool:
        nonlocal told
        told += capsys.readouterr().err
        return "Still waiting" in told or verb.done()

    async with begun() as verb:
        await until(has_noticed, "the verb has noticed")
        proxy.refuses = False
        if verb.done():
            with pytest.raises(Unavailable, match="nothing was written"):
                verb.result()
            assert not waiting(server)
            return False
        await until(lambda: len(waiting(server)) == 1, "the gate is posted")
        await approve(server, *waiting(server))
        assert await verb == 0
    assert server.run("XLEN", f"{PREFIX}:events") == len(["requested", "approved"])
    return True


async def test_wherever_the_server_goes_away_nothing_was_asked_or_the_answer_is_waited_for(
    valkey: Server, proxy: Proxy, capsys: pytest.CaptureFixture[str], *, full: bool
) -> None:
    await length(valkey, proxy)  # from now on the server knows the scripts
    passed = await length(valkey, proxy)
    steps = {way: max(1, passed[way] // (_ALL_POINTS if full else _POINTS)) for way in Way}
    points = [(way, after) for way, step in steps.items() for after in range(1, passed[way] + 1, step)]
    asked = {await disturbed(valkey, proxy, Fault(Harm.CUT, way, after), capsys) for way, after in points}
    assert asked == {True, False}
