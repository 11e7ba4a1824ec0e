"""The gateway as a server: one process, until it is told to end."""

import socket
from collections.abc import Callable
from pathlib import Path

import uvicorn

from hitl_desktop.gateway import audit
from hitl_desktop.gateway.door import Gateway
from hitl_desktop.gateway.tokens import TokenFile
from hitl_desktop.gateway.upstream import connected
from hitl_desktop.tenancy import TenantConfig

_BACKLOG = 512
_END_WITHIN = 10


async def serve(
    chroma: str,
    tokens: TokenFile,
    config: TenantConfig,
    place: tuple[str, int],
    audit_file: Path,
    ready: Callable[[str], None],
) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        chroma: the address of the Chroma server.
        tokens: whose each token is.
        config: the allowlist and the header.
        place: the host and port to listen at; port 0 takes a free one.
        audit_file: where refusals are written.
        ready: called with the gateway's address once clients can connect.

    Raises:
        OSError: it cannot listen there, or cannot write the audit file.
    """
    handler = audit.start(audit_file)
    try:
        with _listening(place) as listening:
            async with connected(chroma) as upstream:
                server = uvicorn.Server(_options(Gateway(tokens, config, upstream)))
                host, port = listening.getsockname()[:2]
                ready(f"http://{f'[{host}]' if ':' in host else host}:{port}")
                await server.serve(sockets=[listening])
    finally:
        audit.stop(handler)


def _listening(place: tuple[str, int]) -> socket.socket:
    family = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
    made = socket.create_server(place, family=family, backlog=_BACKLOG)
    # asyncio switches Nagle's algorithm off only where the protocol is named, and an answer then waits 40 ms for an
    # acknowledgement of its first part.
    return socket.socket(made.family, made.type, socket.IPPROTO_TCP, fileno=made.detach())


def _options(app: Gateway) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        lifespan="off",
        # httptools takes a request line and headers of any length, from anybody; h11 takes 64 KiB.
        http="h11",
        ws="none",
        log_config=None,
        log_level="error",  # its warnings are about what clients send, as often as they like
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=_END_WITHIN,
    )
