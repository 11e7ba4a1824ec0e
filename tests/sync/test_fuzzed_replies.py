"""Fuzzed replies of the server: no crash, one bad record costs only itself, and no row of the outbox is lost."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random

import msgpack
import pytest

from hitl_desktop.domain.decision import Verdict
from hitl_desktop.domain.event import Event
from hitl_desktop.domain.gate import Gate, Quarantined
from hitl_desktop.domain.outbox import AlreadyQueuedError, OutboxState
from hitl_desktop.services.codec import (
    BUNDLE_FIELDS,
    GATE_FIELDS,
    decode_event,
    decode_gates,
    decode_object,
    decode_texts,
)
from hitl_desktop.services.connection import understood
from hitl_desktop.services.errors import Malformed, ServiceError
from hitl_desktop.session import ReviewSession, open_backend, open_session
from hitl_desktop.settings import Settings
from hitl_desktop.sync.monitor import Phase
from tests.environments import key_file
from tests.fuzzing import cases, damaged, value
from tests.gates import TENANT, ask, gate_request, written
from tests.processes import DEADLINE
from tests.servers import Server


def packed_entry(name: str) -> list[object]:
    gate = ["b", name, "task", "session", "hitl_4_code", "pending", "2026-01-01T00:00:00+00:00", "agent", "", *[""] * 5]
    items = '[{"item_type": "artifact", "path": "a", "metadata": {"content": "x"}}]'
    return [gate[: len(GATE_FIELDS)], ["b", "A summary", items][: len(BUNDLE_FIELDS)], False, None]


def test_damaged_packs_of_gates(full: bool) -> None:  # noqa: FBT001 - a fixture
    names = ["first", "second", "third"]
    for told, random in cases("packs of gates", 1_500 if full else 150):
        entries = [packed_entry(name) for name in names]
        victim = entries[random.randrange(3)]
        part = victim[random.randrange(2)]
        assert isinstance(part, list)
        part[random.randrange(len(part))] = random.choice([value(random), "[" * 100_000, '[{"item_type": 1}]'])
        packed = msgpack.packb(entries, use_bin_type=False)
        if random.randrange(2):
            packed = damaged(random, packed)
        try:
            with understood("here"):
                records = decode_gates(names, names, packed)
        except Malformed:
            continue
        except Exception as error:  # noqa: BLE001 - whatever comes is told with its seed
            pytest.fail(f"{told}: {type(error).__name__}: {error}")
        assert all(isinstance(record, Gate | Quarantined) for record in records), told


@pytest.mark.parametrize("bad", [*range(-3, 3), b"\xff", "[" * 100_000, ["nested"], {"a": 1}, None, float("nan")])
def test_one_bad_gate_costs_no_other(bad: object) -> None:
    names = ["first", "second", "third"]
    entries = [packed_entry(name) for name in names]
    entries[1] = [bad, bad, bad, bad]
    records = decode_gates(names, names, msgpack.packb(entries, use_bin_type=False))
    assert [type(record) for record in records] == [Gate, Quarantined, Gate]


def test_damaged_events(full: bool) -> None:  # noqa: FBT001 - a fixture
    sound = {
        b"event_type": b"gate_requested",
        b"session_id": b"s",
        b"task_id": b"t",
        b"timestamp": b"2026-01-01T00:00:00+00:00",
        b"tenant_id": TENANT.encode(),
        b"metadata": b'{"request_id": "r", "conditions": []}',
    }
    for told, random in cases("events", 500 if full else 50):
        fields = dict(sound)
        name = random.choice(list(fields))
        fields[name] = random.choice([damaged(random, fields[name]), b"{" * 100_000, b'{"a":' * 50_000, b"", b"null"])
        decoded = decode_event("events", b"1-0", fields, TENANT)
        assert decoded is None or isinstance(decoded, Event | Quarantined), told
        decode_object(fields[name])
        decode_texts(fields[name])


OTHERWISE = (
    *(b":-1\r\n", b":99999999999999999\r\n", b"$-1\r\n", b"*-1\r\n", b"*0\r\n", b"+OK\r\n", b"-ERR no\r\n", b"-\r\n"),
    *(b"*1\r\n*1\r\n$1\r\na\r\n", b"*2\r\n$-1\r\n:1\r\n", b"$5\r\n\xff\xfe\xfd\xfc\xfb\r\n", b"$0\r\n\r\n", b"_\r\n"),
    *(
        b"-NOPERM no\r\n",
        b"-MOVED 1 127.0.0.1:1\r\n",
        b"-LOADING\r\n",
        b"*1\r\n$7\r\nwritten\r\n",
        b"*1\r\n$5\r\nearly\r\n",
    ),
    *(
        b"*2\r\n$7\r\ndecided\r\n*1\r\n$1\r\na\r\n",
        b"*1\r\n$8\r\nrepeated\r\n",
        b"garbage",
        b"$99999\r\nx\r\n",
        b"\r\n",
    ),
)


class Liar:
    """A proxy on loopback that passes some replies on, damages one, and ends the connection."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.random = Random(0)  # noqa: S311 - chooses cases, guards nothing
        self.honest = 0
        self._served: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        async with listener:
            yield f"redis://127.0.0.1:{listener.sockets[0].getsockname()[1]}/0"
        if self._served:
            await asyncio.wait(self._served, timeout=DEADLINE)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._served.add(task)
        task.add_done_callback(self._served.discard)
        with suppress(OSError):
            theirs, ours = await asyncio.open_connection("127.0.0.1", self._server.port)
            asking = asyncio.create_task(self._pass_on(reader, ours))
            try:
                while reply := await theirs.read(1 << 20):
                    lies, self.honest = self.honest == 0, self.honest - 1
                    writer.write(self._lie(reply) if lies else reply)
                    await writer.drain()
                    if lies:
                        # Time to go on after an answer that can be read, before the end.
                        await asyncio.sleep(self.random.choice([0, 0.005]))
                        break
            finally:
                asking.cancel()
                ours.close()
                writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while asked := await reader.read(1 << 20):
                writer.write(asked)
                await writer.drain()
        writer.close()

    def _lie(self, reply: bytes) -> bytes:
        if self.random.randrange(2):
            return self.random.choice(OTHERWISE)
        return damaged(self.random, reply)


async def _sync(session: ReviewSession) -> None:
    await session.sync()


async def _list(session: ReviewSession) -> None:
    for record in await session.pending():
        await session.open_gate(record.request_id if isinstance(record, Gate) else "absent")


async def _decide(session: ReviewSession) -> None:
    for record in await session.pending():
        if isinstance(record, Gate):
            with suppress(AlreadyQueuedError):
                await session.decide(record, Verdict.REJECTED, reason="No")


async def _follow(session: ReviewSession) -> None:
    session.start()
    try:
        await session.monitor.reached(Phase.ONLINE, Phase.OFFLINE, Phase.REFUSED)
    finally:
        await session.stop()


async def _look(session: ReviewSession) -> None:
    await session.next_events(await session.newest_event(), 1)
    await session.health.history_id()


WAYS: tuple[Callable[[ReviewSession], Awaitable[None]], ...] = (_sync, _sync, _list, _decide, _follow, _look)


@pytest.mark.parametrize("part", range(5))
async def test_a_server_that_answers_otherwise_than_agreed(
    valkey: Server,
    home: Path,
    full: bool,  # noqa: FBT001 - a fixture
    part: int,
) -> None:
    key, liar = key_file(home), Liar(valkey)
    async with liar.listening() as url:
        for told, random in cases(f"replies {part}", 300 if full else 10):
            valkey.flush()
            requests = [gate_request("Retry"), gate_request("Schema")]
            await ask(valkey.url, TENANT, *requests)
            common = {"multi_tenancy": True, "default_tenant": TENANT, "key_file": key}
            state = home / told.rpartition(" ")[2]
            direct = Settings(state_dir=state, redis_url=valkey.url, **common)  # type: ignore[arg-type]  # as named
            lying = Settings(state_dir=state, redis_url=url, **common)  # type: ignore[arg-type]  # as named
            async with open_backend(direct) as backend, open_session(backend, live=False) as session:
                await session.sync()
                gate = (await session.open_gate(requests[0].request_id)).gate
                queued = await session.outbox.queue(gate, Verdict.APPROVED, reason="Fine")
            liar.random, liar.honest = random, random.randrange(12)
            try:
                async with open_backend(lying) as backend, open_session(backend, live=False) as session:
                    with suppress(ServiceError):
                        await random.choice(WAYS)(session)
            except Exception as error:  # noqa: BLE001 - whatever comes is told with its seed
                pytest.fail(f"{told}: {type(error).__name__}: {error}")
            liar.honest = -1
            async with open_backend(direct) as backend, open_session(backend, live=False) as session:
                assert (await session.outbox.find(queued.decision_id)).decision == queued.decision, told
                await session.outbox.retry(queued.decision_id)
                await session.sync()
                assert not (await session.outbox.find(queued.decision_id)).state.is_open, told
                believed = (await session.outbox.find(queued.decision_id)).state is OutboxState.DELIVERED
            about = written(valkey, TENANT, requests[0])
            # A server that says it has written what it has not is believed until its next run.
            expected = 0 if believed and about.is_pending else 1
            assert len(about.events) == len(about.audit) == len(about.log) == expected, told
