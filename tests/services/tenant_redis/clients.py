"""Clients of two tenants on one server, and what is known of the servers' commands."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from redis._parsers.encoders import Encoder

from hitl_desktop.services import TenantRedis
from hitl_desktop.services.tenant_redis.prefix import Prefix
from hitl_desktop.services.tenant_redis.rewriting import Rewriters
from hitl_desktop.settings import KeyLayout
from hitl_desktop.tenancy import TenantContext, TenantNames
from tests.servers import Server

TENANT = "acme-corp"
OTHER = "widgets-inc"
ENCODER: Any = Encoder("utf-8", "strict", decode_responses=False)  # type: ignore[no-untyped-call]
PREFIX = f"tenant:{TENANT}:".encode()


def client(server: Server, tenant: str | None = TENANT, **options: Any) -> Any:
    """Return a client of `tenant`, not connected yet; Any, since redis-py types some of its commands twice."""
    return TenantRedis(tenant, unix_socket_path=str(server.socket), **options)


@asynccontextmanager
async def clients(server: Server, **options: Any) -> AsyncIterator[tuple[Any, Any]]:
    """Yield the client of the tenant for which the test runs, and another tenant's."""
    async with client(server, **options) as ours, client(server, OTHER, **options) as theirs:
        yield ours, theirs


@contextmanager
def as_other() -> Iterator[None]:
    """Run for the other tenant."""
    with TenantContext.tenant_scope(OTHER):
        yield


def rewriters(tenant: str = TENANT, layout: KeyLayout = KeyLayout.PLAIN, *, in_pipeline: bool = True) -> Rewriters:
    """Return the rewriters of a tenant, with no server behind them."""
    return Rewriters(Prefix(TenantNames(tenant, layout), ENCODER), in_pipeline=in_pipeline)


def command_rows(server: Server) -> dict[str, tuple[int, list[dict[str, Any]]]]:
    """Return what the server says of all its commands and subcommands: full name to arity and key specifications."""
    with server.client(protocol=3, decode_responses=True) as raw:
        raw.response_callbacks.clear()
        rows = raw.execute_command("COMMAND")  # type: ignore[no-untyped-call]
    return {each[0].replace("|", " ").upper(): (each[1], each[8]) for row in rows for each in (row, *row[9])}
