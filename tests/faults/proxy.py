"""A proxy on loopback before a server, which breaks one exchange at a chosen byte and is faithful afterwards."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum


class Way(StrEnum):
    """Towards the server, or back."""

    UP = "up"
    DOWN = "down"


class Harm(StrEnum):
    """What happens at the byte: both sides are closed, both are reset, only the client's is closed while what it had
    sent still arrives, or nothing moves that way until `release`."""

    CUT = "cut"
    RESET = "reset"
    DEAF = "deaf"
    STALL = "stall"


@dataclass
class Fault:
    """One harm, after `after` more bytes have passed that way; `happened` says whether it came to that."""

    harm: Harm
    way: Way
    after: int
    happened: bool = False


@dataclass
class _Link:
    """One connection of a client: its two ends, and all that the client has said."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    said: bytearray = field(default_factory=bytearray)
    is_deaf: bool = False


class Proxy:
    """The proxy; `passed` counts the bytes of either way since it was armed.

    With `doubles`, all that a client says is said to the server on a second connection as well; with `refuses`, no
    connection is taken, or none after the fault where there is one. `when_stalled` is called when a stall begins.
    """

    def __init__(self, port: int) -> None:
        self.passed = dict.fromkeys(Way, 0)
        self.fault: Fault | None = None
        self.doubles = False
        self.refuses = False
        self.when_stalled: Callable[[], None] = lambda: None
        self._port = port
        self._links: list[_Link] = []
        self._open: list[_Link] = []
        self._released = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Where clients find it."""
        assert self._listener is not None
        return f"redis://127.0.0.1:{self._listener.sockets[0].getsockname()[1]}/0"

    def arm(self, fault: Fault | None) -> None:
        """Let a fault happen, counted from now."""
        self.fault = fault
        self.passed = dict.fromkeys(Way, 0)
        self._links.clear()
        self._released = asyncio.Event()

    def cut(self) -> None:
        """End all connections."""
        for link in self._open:
            link.client.transport.abort()
            link.server.transport.abort()

    @property
    def is_quiet(self) -> bool:
        """Whether all connections have ended."""
        return not self._tasks

    def release(self) -> None:
        """Let what is held go on."""
        self._released.set()

    async def replay(self) -> None:
        """Send all that clients have said since it was armed once more, each on a new connection, and await the end."""
        for link in tuple(self._links):
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            writer.write(bytes(link.said))
            writer.write_eof()
            while await reader.read(65_536):
                pass
            writer.close()

    async def start(self) -> None:
        """Listen on a free port."""
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def close(self) -> None:
        """End it with all its connections."""
        assert self._listener is not None
        self._listener.close()
        self._released.set()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._listener.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses and (self.fault is None or self.fault.happened):
            writer.transport.abort()
            return
        back, up = await asyncio.open_connection("127.0.0.1", self._port)
        link = _Link(writer, up)
        self._links.append(link)
        self._open.append(link)
        twin = await self._twin() if self.doubles else None
        pumps = (self._pump(link, reader, Way.UP, twin), self._pump(link, back, Way.DOWN, None))
        tasks = [asyncio.ensure_future(pump) for pump in pumps]
        self._tasks.update(tasks)
        await asyncio.wait(tasks)
        self._tasks.difference_update(tasks)
        self._open.remove(link)
        for end in (writer, up, twin):
            if end is not None:
                end.transport.abort()

    async def _twin(self) -> asyncio.StreamWriter:
        """Return a second connection to the server, on which everything is said as well and no answer is heard."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        task = asyncio.ensure_future(_drain(reader))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return writer

    async def _pump(
        self, link: _Link, reader: asyncio.StreamReader, way: Way, twin: asyncio.StreamWriter | None
    ) -> None:
        writer = link.server if way is Way.UP else link.client
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                if way is Way.UP:
                    link.said += data
                    if twin is not None:
                        twin.write(data)
                await self._pass(link, way, writer, data)
        if link.is_deaf and way is Way.UP:
            # The server still has what was said, and ends when it has done it.
            with contextlib.suppress(OSError):
                link.server.write_eof()
            return
        link.client.close()
        link.server.close()

    async def _pass(self, link: _Link, way: Way, writer: asyncio.StreamWriter, data: bytes) -> None:
        fault = self.fault
        if fault is None or fault.happened or fault.way is not way or self.passed[way] + len(data) < fault.after:
            self.passed[way] += len(data)
            if not (link.is_deaf and way is Way.DOWN):
                writer.write(data)
            return
        fault.happened = True
        before = fault.after - self.passed[way]
        self.passed[way] += len(data)
        writer.write(data[:before])
        await _flushed(writer)
        await self._harm(fault.harm, link, way, writer, data[before:])

    async def _harm(self, harm: Harm, link: _Link, way: Way, writer: asyncio.StreamWriter, rest: bytes) -> None:
        match harm:
            case Harm.CUT:
                link.client.close()
                link.server.close()
            case Harm.RESET:
                link.client.transport.abort()
                link.server.transport.abort()
            case Harm.DEAF:
                link.is_deaf = True
                link.client.close()
                if way is Way.UP:
                    link.server.write(rest)
                    await _flushed(link.server)
            case Harm.STALL:
                self.when_stalled()
                await self._released.wait()
                writer.write(rest)
                await _flushed(writer)


async def _flushed(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        await writer.drain()


async def _drain(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(OSError):
        while await reader.read(65_536):
            pass


@asynccontextmanager
async def proxy_before(port: int) -> AsyncIterator[Proxy]:
    """Yield a proxy before the server at `port`."""
    proxy = Proxy(port)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.close()
