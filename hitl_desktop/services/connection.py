"""The connection to one tenant's Redis: retries off, bounded waits, errors typed by cause."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

import redis.exceptions as fault
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from hitl_desktop.services.errors import (
    FunctionsMissing,
    Interrupted,
    LoginRefused,
    Malformed,
    Refused,
    ServiceError,
    TakesNoWrites,
    Unavailable,
)
from hitl_desktop.services.login import AtConnecting, Credentials, log_in, of_address, without_login
from hitl_desktop.services.packing import packing_client
from hitl_desktop.services.pipelining import pipelined
from hitl_desktop.services.scripting import Call, Scripting, is_missing, is_unrun
from hitl_desktop.services.scripts import Script
from hitl_desktop.services.topology import NotHereError, Way, following_client
from hitl_desktop.settings.fleet import is_fleet, read_fleet
from hitl_desktop.tenancy import TenantContext

ANSWER_WITHIN = 5.0
"""Seconds in which the server must answer; a blocking read must ask for less."""
_READ_SIZE = 256 * 1024
_FOR_NOW = frozenset({"OOM", "MISCONF", "READONLY", "NOREPLICAS", "BUSY"})
_MISSHAPEN = (TypeError, ValueError, LookupError, AttributeError, RecursionError, OverflowError)
"""What a reply of another shape than agreed raises while it is taken apart."""
_NOT_CONNECTED = (fault.AuthenticationError, ServiceError)
"""What a connection that had to be made anew raises, on which nothing has run."""
_REPLICATED_WITHIN_MS = 500
# How Redis 7.0 and, after it, Redis 7.2 and Valkey say what the user may not do inside a script, without NOPERM.
_DENIED_INSIDE = (
    "The user executing the script can't run this command or subcommand",
    "The user executing the script can't access at least one of the keys",
    "ACL failure in script: ",
)

Reply = TypeVar("Reply")


class Connection:
    """A narrow way to one Redis-compatible server: commands by name, scripts by their text, never a raw client."""

    def __init__(
        self,
        client: Redis,
        address: str,
        is_named: Callable[[], bool],
        away: Callable[[], bool] = lambda: False,
        way: Way | None = None,
        *,
        is_cluster: bool = False,
    ) -> None:
        self._client = client
        self._scripting = Scripting(client, is_named)
        self._away = away
        self.address = address
        self.is_cluster = is_cluster
        self._way = way

    @property
    def turn(self) -> int:
        """A number that changes whenever another of several servers may be the tenant's; one alone stays the same."""
        return 0 if self._way is None else self._way.turn

    def _stay_offline(self) -> None:
        """Raise Unavailable while the reviewer works offline, so that nothing uses the network by oversight."""
        if self._away():
            raise Unavailable("You work offline, so the server was not asked; go online to do that.")

    async def read(self, *command: bytes | str | float) -> Any:
        """Send one command that only reads, and return its reply as redis-py's RESP2 parser gives it.

        Raises:
            ServiceError: Unavailable, Refused or Malformed (the key holds another type).
        """
        self._stay_offline()
        with translated(self.address):
            return await self._followed(self._client.execute_command, *command)

    async def read_together(self, commands: Sequence[tuple[bytes | str | float, ...]]) -> list[Any]:
        """Send several commands that only read as one transaction, and return their replies.

        Raises:
            ServiceError: as for `read`.
        """
        self._stay_offline()
        with translated(self.address):
            return await self._followed(self._transaction, commands)

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[bytes | str | int]) -> Any:
        """Run a script that only reads, and return its reply.

        Raises:
            ServiceError: as for `read`.
        """
        self._stay_offline()
        with translated(self.address):
            return await self._followed(self._evaluate, script, keys, arguments)

    async def write(self, script: Script, keys: Sequence[str], arguments: Sequence[bytes | str | int]) -> Any:
        """Run a script that writes, exactly once or not at all, and return its reply.

        Raises:
            Unavailable: nothing was sent.
            Interrupted: it was sent and may have run; only the ids in it can tell.
            ServiceError: otherwise as for `read`.
        """
        await self.read("PING")
        with translated(self.address, lost=Interrupted):
            reply = await self._followed(self._evaluate, script, keys, arguments)
            await self._replicated()
        return reply

    async def write_together(self, script: Script, calls: Sequence[Call]) -> list[Any]:
        """Run a script that writes for each of `calls`, sent as one; return the reply or ServiceError of each.

        They are not one transaction: each runs exactly once or not at all, in their order.

        Raises:
            Unavailable: nothing was sent.
            Interrupted: it was sent, and each may have run; only the ids in them can tell.
        """
        await self.read("PING")
        with translated(self.address, lost=Interrupted):
            replies = await self._run_together(script, calls)
            if unrun := [place for place, reply in enumerate(replies) if _did_nothing(reply)]:
                # Run alone, the first has the script loaded, or finds the way that is open.
                replies[unrun[0]] = await self._evaluated(script, *calls[unrun[0]])
                again = await self._run_together_again(script, [calls[place] for place in unrun[1:]])
                for place, reply in zip(unrun[1:], again, strict=True):
                    replies[place] = await self._evaluated(script, *calls[place]) if _did_nothing(reply) else reply
            await self._replicated()
        return [self._error(reply) if isinstance(reply, Exception) else reply for reply in replies]

    async def _run_together(self, script: Script, calls: Sequence[Call]) -> list[Any]:
        try:
            return await pipelined(self._client, self._scripting.commands(script, calls), ANSWER_WITHIN)
        except TimeoutError:
            if self._way is not None:
                self._way.leave(self._way.turn)
            raise

    async def _run_together_again(self, script: Script, calls: Sequence[Call]) -> list[Any]:
        try:
            return await self._run_together(script, calls)
        except _NOT_CONNECTED as error:  # these were not sent; the others did run
            return [error] * len(calls)

    async def _transaction(self, commands: Sequence[tuple[bytes | str | float, ...]]) -> list[Any]:
        async with self._client.pipeline(transaction=True) as pipeline:
            for command in commands:
                pipeline.execute_command(*command)
            return await pipeline.execute()

    async def _followed(self, send: Callable[..., Awaitable[Reply]], *arguments: Any) -> Reply:
        """Send, and once more where the tenant is elsewhere by now: who says so did nothing."""
        try:
            return await send(*arguments)
        except NotHereError:
            return await send(*arguments)

    async def _replicated(self) -> None:
        """Wait until a replica has what was written, so that a fail-over keeps it; without a replica, not for long.

        What no replica has confirmed counts all the same: the outbox looks for it once the server is another one.
        """
        if self._way is None:
            return
        async with self._client.pipeline(transaction=False) as pipeline:
            pipeline.execute_command("PING")  # WAIT is about the latest command of its own connection
            pipeline.execute_command("WAIT", 1, _REPLICATED_WITHIN_MS)
            try:
                waited = (await pipeline.execute(raise_on_error=False))[-1]
            except _NOT_CONNECTED as error:  # not even to the server that has written it
                raise fault.ConnectionError(type(error).__name__) from None
        if isinstance(waited, fault.ResponseError) and not isinstance(waited, fault.NoPermissionError):
            # It is a replica by now, and may have lost what it has just written.
            raise fault.ConnectionError(str(waited))

    async def _evaluated(self, script: Script, keys: Sequence[str], arguments: Sequence[bytes | str | int]) -> Any:
        try:
            return await self._evaluate(script, keys, arguments)
        except (fault.ResponseError, *_NOT_CONNECTED) as error:  # the other scripts did run
            return error

    def _error(self, reply: Exception) -> ServiceError:
        try:
            with translated(self.address, lost=Interrupted):
                raise reply
        except ServiceError as error:
            return error

    async def _evaluate(self, script: Script, keys: Sequence[str], arguments: Sequence[bytes | str | int]) -> Any:
        return await self._scripting.run(script, keys, arguments)


@asynccontextmanager
async def connect(
    url: str, credentials: Credentials = of_address, away: Callable[[], bool] = lambda: False, *, key: str = ""
) -> AsyncIterator[Connection]:
    """Yield a connection to the server at `url`; connecting happens at the first command.

    redis-py repeats a command up to ten times after a lost connection, which doubles every write that did run: retries
    are off here, and whoever may repeat does so by id.

    Args:
        url: one server's (redis, rediss or unix), or a cluster's or sentinels' (`settings/fleet.py`).
        credentials: are asked at each connecting who logs in; where they return None, it is whom `url` names.
        away: while it returns True, the network is left alone and every call raises Unavailable.
        key: any key of the tenant, by which its server in a cluster is found.
    """
    fleet = read_fleet(url) if is_fleet(url) else None
    login = AtConnecting(credentials, url if fleet is None else fleet.server_url(fleet.seeds[0]))
    options: dict[str, Any] = {
        "protocol": 2,
        "retry": Retry(NoBackoff(), 0),
        "socket_timeout": ANSWER_WITHIN,
        "socket_connect_timeout": ANSWER_WITHIN,
        "socket_read_size": _READ_SIZE,
        "driver_info": None,
        "credential_provider": login,
        "redis_connect_func": log_in,
    }
    if fleet is None:
        client, way = packing_client(without_login(url), options), None
    else:
        client, way = following_client(fleet.without_login(), key, options)
    is_cluster = fleet is not None and fleet.is_cluster
    try:
        yield Connection(client, shown_address(url), lambda: login.is_named, away, way, is_cluster=is_cluster)
    finally:
        await _closed(client)


async def _closed(client: Redis) -> None:
    """Close for certain: a cancellation that met redis-py's closing at its start would leave sockets open."""
    closing = asyncio.ensure_future(client.aclose(close_connection_pool=True))
    cancelled: asyncio.CancelledError | None = None
    while not closing.done():
        try:
            await asyncio.shield(closing)
        except asyncio.CancelledError as error:
            cancelled = error
    failure = closing.exception()
    if (ended_by := cancelled or failure) is not None:
        raise ended_by


def _did_nothing(reply: Any) -> bool:
    return is_unrun(reply) or isinstance(reply, NotHereError)


def shown_address(url: str) -> str:
    """Return `url` as it may be shown and logged: without user name and password."""
    if is_fleet(url):
        return read_fleet(url).shown
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
    except (NotHereError, fault.MasterDownError):
        raise Unavailable(
            f"The tenant's gates are moving to another server of {address}; nothing was written, try again shortly."
        ) from None
    except (fault.AskError, fault.TryAgainError, fault.ClusterDownError, fault.ClusterCrossSlotError):
        raise Refused(named_alone(address)) from None
    except (fault.ConnectionError, fault.TimeoutError, OSError, asyncio.IncompleteReadError) as error:
        raise _unavailable(address, error, lost) from None
    except fault.ResponseError as error:
        raise _answered(address, error) from None
    except fault.RedisError as error:
        if lost is Interrupted:
            raise _unavailable(address, error, lost) from None
        raise Malformed(f"The server at {address} answered in a way that cannot be read: {error}.") from None
    except _MISSHAPEN as error:  # redis-py takes some replies apart itself
        raise _misshapen(address, error, lost if lost is Interrupted else Malformed) from None


@contextmanager
def understood(address: str, *, else_: type[ServiceError] = Malformed) -> Iterator[None]:
    """Turn what a reply of another shape than agreed raises while it is taken apart into `else_`."""
    try:
        yield
    except _MISSHAPEN as error:
        raise _misshapen(address, error, else_) from None


def _misshapen(address: str, error: Exception, kind: type[ServiceError]) -> ServiceError:
    shape = f"{type(error).__name__}: {str(error)[:80]}"
    return kind(f"The server at {address} answered in a way that cannot be read ({shape}).")


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
    if "a non local key in a cluster" in text:
        return Refused(named_alone(address))
    if "WRONGTYPE" in text:
        return Malformed(f"A record at {address} has another type than agreed, so nothing was written: {text}.")
    if word in _FOR_NOW:
        return _takes_no_writes(address, text)
    return Refused(f"The server at {address} refused: {text}.")


def _takes_no_writes(address: str, text: str) -> TakesNoWrites:
    return TakesNoWrites(f"The server at {address} takes no writes at present, so nothing was written: {text}.")


def _not_permitted(address: str, text: str) -> Refused:
    return Refused(f"The server at {address} does not permit this, so nothing was written: {text}.")


def named_alone(address: str) -> str:
    """Return what to change where a node of a cluster was named as if it were alone."""
    return (
        f"The server at {address} is a node of a Redis Cluster, where a tenant's keys must be in one slot, which "
        f"another node may have; nothing was written: set HITL_REDIS_URL=redis+cluster://{address} here, and "
        "HITL_KEY_LAYOUT=hashtag and MULTI_TENANCY_ENABLED=true for agents and reviewers alike."
    )


def _wrong_password(address: str) -> LoginRefused:
    refused = f"The server at {address} refused the user name or password; nothing was read or written"
    if not TenantContext.is_set():
        return LoginRefused(f"{refused}, check HITL_REDIS_URL or REDIS_PASSWORD.")
    tenant_id = TenantContext.get_current_tenant()
    return LoginRefused(f"{refused}, give it the right ones with `hitl-desktop tenants login {tenant_id}`.")
