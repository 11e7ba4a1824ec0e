"""The connection to one tenant's Redis: retries off, bounded waits, errors typed by cause."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import urlsplit

import redis.exceptions as fault
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from hitl_desktop.services.errors import (
    FunctionsMissing,
    Interrupted,
    Malformed,
    Refused,
    ServiceError,
    TakesNoWrites,
    Unavailable,
)
from hitl_desktop.services.login import AtConnecting, Credentials, log_in, of_address, without_login
from hitl_desktop.services.scripting import Scripting, is_missing, is_unrun
from hitl_desktop.services.scripts import Script
from hitl_desktop.tenancy import TenantContext

ANSWER_WITHIN = 5.0
"""Seconds in which the server must answer; a blocking read must ask for less."""
_READ_SIZE = 256 * 1024
_FOR_NOW = frozenset({"OOM", "MISCONF", "READONLY", "NOREPLICAS", "BUSY"})
# How Redis 7.0 and, after it, Redis 7.2 and Valkey say what the user may not do inside a script, without NOPERM.
_DENIED_INSIDE = (
    "The user executing the script can't run this command or subcommand",
    "The user executing the script can't access at least one of the keys",
    "ACL failure in script: ",
)


class Connection:
    """A narrow way to one Redis-compatible server: commands by name, scripts by their text, never a raw client."""

    def __init__(self, client: Redis, address: str, is_named: Callable[[], bool]) -> None:
        self._client = client
        self._scripting = Scripting(client, is_named)
        self.address = address

    async def read(self, *command: bytes | str | float) -> Any:
        """Send one command that only reads, and return its reply as redis-py's RESP2 parser gives it.

        Raises:
            ServiceError: Unavailable, Refused or Malformed (the key holds another type).
        """
        with translated(self.address):
            return await self._client.execute_command(*command)  # type: ignore[no-untyped-call]

    async def read_together(self, commands: Sequence[tuple[bytes | str | float, ...]]) -> list[Any]:
        """Send several commands that only read as one transaction, and return their replies.

        Raises:
            ServiceError: as for `read`.
        """
        with translated(self.address):
            async with self._client.pipeline(transaction=True) as pipeline:
                for command in commands:
                    pipeline.execute_command(*command)
                return await pipeline.execute()

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[bytes | str | int]) -> Any:
        """Run a script that only reads, and return its reply.

        Raises:
            ServiceError: as for `read`.
        """
        with translated(self.address):
            return await self._evaluate(script, keys, arguments)

    async def write(self, script: Script, keys: Sequence[str], arguments: Sequence[bytes | str | int]) -> Any:
        """Run a script that writes, exactly once or not at all, and return its reply.

        Raises:
            Unavailable: nothing was sent.
            Interrupted: it was sent and may have run; only the ids in it can tell.
            ServiceError: otherwise as for `read`.
        """
        await self.read("PING")
        with translated(self.address, lost=Interrupted):
            return await self._evaluate(script, keys, arguments)

    async def write_together(
        self, script: Script, calls: Sequence[tuple[Sequence[str], Sequence[bytes | str | int]]]
    ) -> list[Any]:
        """Run a script that writes for each of `calls`, sent as one; return the reply or ServiceError of each.

        They are not one transaction: each runs exactly once or not at all, in their order.

        Raises:
            Unavailable: nothing was sent.
            Interrupted: it was sent, and each may have run; only the ids in them can tell.
        """
        await self.read("PING")
        with translated(self.address, lost=Interrupted):
            async with self._client.pipeline(transaction=False) as pipeline:
                for keys, arguments in calls:
                    self._scripting.add(pipeline, script, keys, arguments)
                replies = await pipeline.execute(raise_on_error=False)
            for place, (keys, arguments) in enumerate(calls):
                if is_unrun(replies[place]):
                    replies[place] = await self._evaluated(script, keys, arguments)
        return [self._error(reply) if isinstance(reply, Exception) else reply for reply in replies]

    async def _evaluated(self, script: Script, keys: Sequence[str], arguments: Sequence[bytes | str | int]) -> Any:
        try:
            return await self._evaluate(script, keys, arguments)
        except fault.ResponseError as error:
            return error

    def _error(self, reply: Exception) -> ServiceError:
        try:
            with translated(self.address):
                raise reply
        except ServiceError as error:
            return error

    async def _evaluate(self, script: Script, keys: Sequence[str], arguments: Sequence[bytes | str | int]) -> Any:
        return await self._scripting.run(script, keys, arguments)


@asynccontextmanager
async def connect(url: str, credentials: Credentials = of_address) -> AsyncIterator[Connection]:
    """Yield a connection to the server at `url` (redis, rediss or unix); connecting happens at the first command.

    `credentials` are asked at each connecting who logs in; the user name and password of `url` count where they return
    None.

    redis-py repeats a command up to ten times after a lost connection, which doubles every write that did run: retries
    are off here, and whoever may repeat does so by id.
    """
    login = AtConnecting(credentials, url)
    client: Redis = Redis.from_url(
        without_login(url),
        protocol=2,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=ANSWER_WITHIN,
        socket_connect_timeout=ANSWER_WITHIN,
        socket_read_size=_READ_SIZE,
        driver_info=None,
        credential_provider=login,
        redis_connect_func=log_in,
    )
    try:
        yield Connection(client, shown_address(url), lambda: login.is_named)
    finally:
        await client.aclose(close_connection_pool=True)


def shown_address(url: str) -> str:
    """Return `url` as it may be shown and logged: without user name and password."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return parts.path
    return f"{parts.hostname}:{parts.port or 6379}"


@contextmanager
def translated(address: str, *, lost: type[Unavailable] = Unavailable) -> Iterator[None]:
    """Turn redis-py's errors into service errors; `lost` is what a lost connection becomes."""
    try:
        yield
    except fault.NoPermissionError as error:
        raise _not_permitted(address, str(error)) from None
    except (fault.AuthenticationError, fault.AuthorizationError):
        raise _wrong_password(address) from None
    except (fault.ConnectionError, fault.TimeoutError, OSError, asyncio.IncompleteReadError) as error:
        raise _unavailable(address, error, lost) from None
    except fault.ResponseError as error:
        raise _answered(address, error) from None
    except fault.RedisError as error:
        if lost is Interrupted:
            raise _unavailable(address, error, lost) from None
        raise Malformed(f"The server at {address} answered in a way that cannot be read: {error}.") from None


def _unavailable(address: str, error: Exception, lost: type[Unavailable]) -> ServiceError:
    if "AUTH" in str(error) or "invalid username-password" in str(error):
        return _wrong_password(address)
    if lost is Interrupted:
        return Interrupted(
            f"The connection to {address} was lost while writing, so it is unknown whether it was written."
        )
    if isinstance(error, fault.BusyLoadingError):
        return Unavailable(
            f"The server at {address} is still loading its data; nothing was written, try again shortly."
        )
    return Unavailable(f"The server at {address} cannot be reached; nothing was written, try again when it is back.")


def _answered(address: str, error: fault.ResponseError) -> ServiceError:
    text = str(error).rstrip(".")
    if is_missing(error):
        return FunctionsMissing(address)
    # redis-py takes the first word off the errors that it knows.
    if isinstance(error, (fault.OutOfMemoryError, fault.ReadOnlyError, fault.ClusterDownError, fault.TryAgainError)):
        return _takes_no_writes(address, text)
    return _by_word(address, text)


def _by_word(address: str, text: str) -> ServiceError:
    word = text.split(" ", 1)[0]
    if word in {"NOAUTH", "WRONGPASS"}:
        return _wrong_password(address)
    if word == "NOPERM" or text.startswith(_DENIED_INSIDE):
        return _not_permitted(address, text)
    if "WRONGTYPE" in text:
        return Malformed(f"A record at {address} has another type than agreed, so nothing was written: {text}.")
    if word in _FOR_NOW:
        return _takes_no_writes(address, text)
    return Refused(f"The server at {address} refused: {text}.")


def _takes_no_writes(address: str, text: str) -> TakesNoWrites:
    return TakesNoWrites(f"The server at {address} takes no writes at present, so nothing was written: {text}.")


def _not_permitted(address: str, text: str) -> Refused:
    return Refused(f"The server at {address} does not permit this, so nothing was written: {text}.")


def _wrong_password(address: str) -> Refused:
    refused = f"The server at {address} refused the user name or password; nothing was read or written"
    if not TenantContext.is_set():
        return Refused(f"{refused}, check HITL_REDIS_URL or REDIS_PASSWORD.")
    tenant_id = TenantContext.get_current_tenant()
    return Refused(f"{refused}, give it the right ones with `hitl-desktop tenants login {tenant_id}`.")
