"""A tenant's users on a test's server, made by the very commands that the application prints."""

from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from hitl_desktop.services.acl import PASSWORD, Role, ServerKind, set_user
from hitl_desktop.services.scripts import function_library
from hitl_desktop.tenancy import TenantNames
from tests.servers import Server

SECRET = "a-test-password"  # noqa: S105 - the server lives as long as the test
KINDS = {"redis": ServerKind.REDIS7, "valkey": ServerKind.VALKEY9}


def address(server: Server, user: str) -> str:
    """Return the address for `user`, one of `make_user`."""
    return server.url.replace("redis://", f"redis://{user}:{SECRET}@")


def make_user(server: Server, names: TenantNames, role: Role) -> str:
    """Make the tenant's user by the line for this server, and return the address for it."""
    line = set_user(names, role, KINDS[server.kind]).replace(PASSWORD, SECRET)
    assert server.run(*line.split()) == b"OK"
    return address(server, names.redis_user(role))


def raw_client(server: Server, user: str, secret: str = SECRET, **options: Any) -> redis.Redis:
    """Return another program's client that never retries, logged in as `user`, one of `make_user`."""
    once = Retry(NoBackoff(), 0)
    given = {"username": user, "password": secret, "protocol": 2, "retry": once, **options}
    return redis.Redis(server.host, server.port, **given)


def load_functions(server: Server) -> None:
    """Load the functions, as an administrator does."""
    server.run("FUNCTION", "LOAD", "REPLACE", function_library())


def used_commands(server: Server) -> set[str]:
    """Return the commands that succeeded since `forget_used_commands`, those inside scripts too."""
    with server.client() as client:
        told = client.info("commandstats")
    assert isinstance(told, dict)
    done = {name for name, numbers in told.items() if numbers["calls"] > numbers["failed_calls"]}
    return {name.removeprefix("cmdstat_") for name in done} - _OUR_OWN


def forget_used_commands(server: Server) -> None:
    """Begin counting for `used_commands`."""
    server.run("CONFIG", "RESETSTAT")


_OUR_OWN = {"config|resetstat", "info", "client|setinfo"}
