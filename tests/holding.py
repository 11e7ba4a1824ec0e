"""A way to a server on which replies can be kept waiting, as on a slow network."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.servers import Server


class Way:
    """Passes everything on. While it holds, what comes back over the connections of that moment waits."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._open: dict[asyncio.StreamWriter, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""
        self.held = 0

    def hold(self) -> None:
        """Keep the replies of the connections that are open now."""
        for passing in self._open.values():
            passing.clear()

    def release(self) -> None:
        """Let what was kept go its way."""
        for passing in self._open.values():
            passing.set()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until either side ends it."""
        there = await asyncio.open_connection("127.0.0.1", self._server.port)
        passing = self._open[writer] = asyncio.Event()
        passing.set()
        ways = [
            asyncio.ensure_future(self._pass(reader, there[1], None)),
            asyncio.ensure_future(self._pass(there[0], writer, passing)),
        ]
        self._tasks.update(ways)
        await asyncio.wait(ways)
        for end in (there[1], writer):
            end.close()
        del self._open[writer]

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passing: asyncio.Event | None
    ) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                if passing is not None and not passing.is_set():
                    self.held += len(data)
                    await passing.wait()
                writer.write(data)
                await writer.drain()
        writer.close()

    async def end(self) -> None:
        """End all connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def way_to(server: Server) -> AsyncIterator[Way]:
    """Yield a way to `server`, with a URL of its own."""
    way = Way(server)
    async with await asyncio.start_server(way.take, "127.0.0.1", 0) as listening:
        way.url = f"redis://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        try:
            yield way
        finally:
            listening.close()
            await way.end()
