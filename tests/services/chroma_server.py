"""A real Chroma server of its own process, and servers that only look like one."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.servers import free_port

START_WITHIN = 60.0


@dataclass(frozen=True)
class ChromaServer:
    url: str
    process: "subprocess.Popen[bytes]"

    @contextmanager
    def stalled(self) -> Iterator[None]:
        """Let the server accept connections and answer nothing for the block."""
        self.process.send_signal(signal.SIGSTOP)
        # The signal is taken a little later; until then, the server might still answer.
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


@contextmanager
def chroma_server(folder: Path) -> Iterator[ChromaServer]:
    """Run `chroma run` over `folder` and yield it once it accepts connections."""
    port = free_port()
    command = [str(Path(sys.executable).with_name("chroma")), "run", "--path", str(folder / "data")]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)], cwd=folder, stdout=log, stderr=log
        )
        try:
            _await_port(process, port, folder / "server.log")
            yield ChromaServer(f"http://127.0.0.1:{port}", process)
        finally:
            process.kill()
            process.wait()


def _await_port(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + START_WITHIN
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            try:
                process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
            raise RuntimeError(f"chroma ended at start: {log.read_text()}") from None
        else:
            return
    raise RuntimeError(f"chroma did not start within {START_WITHIN} s: {log.read_text()}")


class Impostor:
    """An HTTP server with one answer to everything; `requests` are what it was asked."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[str] = []


@asynccontextmanager
async def impostor(status: str | None, body: str = "{}") -> AsyncIterator[Impostor]:
    """Serve `status` and `body` to every request; with None accept connections and never answer."""
    answer = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there.requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
            if status is None:
                await reader.read()
            else:
                writer.write(answer)
                await writer.drain()
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    there = Impostor(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    async with server:
        yield there


@asynccontextmanager
async def recorded(url: str) -> AsyncIterator[Impostor]:
    """Pass each request on to the server at `url`, one a connection, and keep its head."""
    place = urlsplit(url)
    relaying: set[asyncio.Task[None] | None] = set()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        relaying.add(asyncio.current_task())
        head = await reader.readuntil(b"\r\n\r\n")
        there.requests.append(head.decode())
        length = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b":0")
        body = await reader.readexactly(int(length.partition(b":")[2]))
        answers, asks = await asyncio.open_connection(place.hostname, place.port)
        asks.write(head.replace(b"keep-alive", b"close") + body)
        writer.write(await answers.read())
        for end in (asks, writer):
            end.close()
            await end.wait_closed()

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    there = Impostor(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    async with server:
        yield there
        await asyncio.gather(*filter(None, relaying))


def sent(there: Impostor, header: str) -> set[tuple[str, ...]]:
    """Return the values of `header` in each request."""
    heads = [request.split("\r\n")[1:] for request in there.requests]
    return {
        tuple(line.partition(":")[2].strip() for line in head if line.lower().startswith(f"{header.lower()}:"))
        for head in heads
    }
