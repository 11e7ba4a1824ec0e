"""A password that is changed while decisions are sent, and a connection that breaks meanwhile: what is told is true."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from hashlib import sha1
from pathlib import Path
from typing import Any

import pytest
from keyring.errors import KeyringError
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError

from hitl_desktop.domain.outbox import Cause, OutboxEntry, OutboxState
from hitl_desktop.services import connection as module
from hitl_desktop.services.connection import Connection
from hitl_desktop.services.errors import Interrupted, LoginUnknown, ServiceError, Unavailable
from hitl_desktop.services.login import AtConnecting, log_in
from hitl_desktop.services.packing import packing_client
from hitl_desktop.services.scripts import Script
from hitl_desktop.session import open_backend, open_session
from hitl_desktop.session.credentials import server_of
from hitl_desktop.settings import read_settings
from hitl_desktop.settings.fleet import Place
from hitl_desktop.store.credentials import Login, Service, keep_login
from hitl_desktop.tenancy import TenantNames
from tests import keyrings
from tests.faults.ledger import ledger
from tests.faults.lives import settings_of
from tests.faults.proxy import Fault, Harm, Proxy, Way, proxy_before
from tests.faults.test_proxy import check_told, delivered, length, queued, waiting_gates
from tests.gates import TENANT
from tests.servers import Server

_TOGETHER = 3
_WRITTEN = b"*1\r\n$7\r\nwritten\r\n"


class Marks(dict[Way, int]):
    """Counts the bytes of either way, and keeps where each reply ended."""

    def __init__(self) -> None:
        super().__init__(dict.fromkeys(Way, 0))
        self.ends: list[int] = []

    def __setitem__(self, way: Way, count: int) -> None:
        super().__setitem__(way, count)
        if way is Way.DOWN:
            self.ends.append(count)


@pytest.fixture
async def proxy(valkey: Server) -> AsyncIterator[Proxy]:
    async with proxy_before(valkey.port) as before:
        yield before


async def disturbed(home: Path, server: Server, proxy: Proxy, after: int | None) -> tuple[set[Cause], list[int]]:
    """Break the sending of some decisions at one point, so that a new login is needed.

    Return what was told of those that are still queued, and where replies ended.
    """
    requests, gates = await waiting_gates(server, _TOGETHER)
    server.run("SCRIPT", "FLUSH")
    server.run("CONFIG", "SET", "requirepass", "one")
    settings = read_settings(settings_of(home, server, proxy.url.replace("//", "//:one@")))
    async with open_backend(settings) as backend, open_session(backend, TENANT, live=False) as session:
        entries = await queued(session, gates)
        names = {entry.decision_id for entry in entries}
        await session.count_pending()
        server.run("CONFIG", "SET", "requirepass", "two")  # who is logged in stays so
        proxy.arm(None if after is None else Fault(Harm.CUT, Way.DOWN, after))
        marks = Marks()
        proxy.passed = marks
        rows: list[OutboxEntry] = []
        for _ in range(2):  # what is left after the break needs a new login, at the latest the second time
            with suppress(ServiceError):
                await session.outbox.deliver()
            rows = [row for row in await session.outbox.entries() if row.decision_id in names]
            check_told(ledger(server, requests), rows)
        server.run("CONFIG", "SET", "requirepass", "one")
        proxy.arm(None)
        await delivered(session, names)
    server.run("CONFIG", "SET", "requirepass", "")
    books = ledger(server, requests)
    assert all(books.is_written_once(entry.request_id, entry.decision_id) for entry in entries)
    return {row.cause for row in rows if row.state is OutboxState.QUEUED}, marks.ends


async def test_whatever_is_told_of_a_decision_is_true(home: Path, valkey: Server, proxy: Proxy, *, full: bool) -> None:
    _, ends = await disturbed(home, valkey, proxy, None)
    points = range(1, ends[-1] + 1) if full else sorted({*ends, *(end - 1 for end in ends)})
    told: set[Cause] = set()
    for after in points:
        told |= (await disturbed(home, valkey, proxy, after))[0]
    assert Cause.CREDENTIALS in told


class Here:
    """The way to one server that may have replicas."""

    turn = 0

    async def find(self) -> Place:
        raise NotImplementedError

    def leave(self, turn: int) -> None:
        self.turn = turn + 1


@pytest.mark.parametrize("fails", [None, LoginUnknown("Locked."), Unavailable("Nobody can tell where it is.")], ids=str)
async def test_what_was_written_before_a_login_failed_may_have_been_written(
    valkey: Server, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, fails: ServiceError | None
) -> None:
    """The connection ends between a script and the question whether a replica has what it wrote."""
    valkey.run("CONFIG", "SET", "requirepass", "one")
    text = "return {redis.call('SET', KEYS[1], ARGV[1]).ok}"
    script = Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())
    monkeypatch.setattr(module, "_REPLICATED_WITHIN_MS", 1)
    known: list[tuple[str, str]] = [("default", "one")]

    async def credentials() -> tuple[str, str]:
        if not known:
            raise fails or AssertionError("nobody asks")
        return known[0]

    options: dict[str, Any] = {
        "protocol": 2,
        "retry": Retry(NoBackoff(), 0),
        "credential_provider": AtConnecting(credentials, proxy.url),
        "redis_connect_func": log_in,
    }
    client = packing_client(proxy.url, options)
    try:
        connection = Connection(client, "here", lambda: False, way=Here())

        async def alone() -> None:
            await connection.write(script, ["k"], ["v"])

        async def together() -> None:
            await connection.write_together(script, [(["k"], ["v"])])

        for write in (alone, together):
            proxy.arm(None)
            valkey.run("DEL", "k")
            assert await connection.write(script, ["k"], ["before"]) == [b"OK"]
            proxy.arm(Fault(Harm.CUT, Way.DOWN, len(b"+PONG\r\n*1\r\n$2\r\nOK\r\n")))
            if fails is None:
                valkey.run("CONFIG", "SET", "requirepass", "two")
            else:
                known.clear()
            with pytest.raises(Interrupted, match="unknown whether it was written"):
                await write()
            assert valkey.run("GET", "k") == b"v"
            valkey.run("CONFIG", "SET", "requirepass", "one")
            known[:] = [("default", "one")]
    finally:
        await client.aclose()
        valkey.run("CONFIG", "SET", "requirepass", "")


@pytest.mark.parametrize("is_refused", [True, False], ids=["refused", "unknown"])
@pytest.mark.parametrize("forgotten", [1, 2])
async def test_a_login_that_fails_midway_says_nothing_of_what_was_written(
    home: Path, valkey: Server, proxy: Proxy, forgotten: int, *, is_refused: bool
) -> None:
    """The server forgets the script while it is sent, and the last decisions need a login once more."""
    written = _TOGETHER - forgotten
    with valkey.client() as client, pytest.raises(NoScriptError) as missing:
        client.evalsha("0" * 40, 0)
    one, two = [(await length(home, valkey, proxy, count))[Way.UP] for count in (1, 2)]
    requests, gates = await waiting_gates(valkey, _TOGETHER)
    valkey.run("CONFIG", "SET", "requirepass", "one")
    settings = read_settings(settings_of(home, valkey, proxy.url))

    def forget() -> None:
        valkey.run("SCRIPT", "FLUSH")
        if is_refused:  # from the next connection on: who is logged in stays so
            valkey.run("CONFIG", "SET", "requirepass", "two")
        else:
            ring.error = KeyringError()
        proxy.arm(
            Fault(Harm.CUT, Way.DOWN, len(_WRITTEN) * written + len(f"-NOSCRIPT {missing.value}\r\n") * forgotten)
        )
        proxy.release()

    proxy.when_stalled = forget
    ring = keyrings.Failing()
    async with (
        AsyncExitStack() as stack,
        open_backend(settings) as backend,
        open_session(backend, TENANT, live=False) as session,
    ):
        stack.enter_context(keyrings.used(ring))
        keep_login(TenantNames(TENANT), "", Service.REDIS, Login(server_of(proxy.url), "one", "default"))
        entries = await queued(session, gates)
        await session.count_pending()
        proxy.arm(Fault(Harm.STALL, Way.UP, one + (two - one) * (written - 1)))
        with suppress(ServiceError):
            await session.outbox.deliver()
        found = {row.decision_id: row for row in await session.outbox.entries()}
        rows = [found[entry.decision_id] for entry in entries]
    valkey.run("CONFIG", "SET", "requirepass", "")
    books = ledger(valkey, requests)
    assert [books.has(entry.decision_id) for entry in entries] == [True] * written + [False] * forgotten
    check_told(books, rows)
    assert [row.cause for row in rows[written:]] == [Cause.CREDENTIALS] * forgotten
