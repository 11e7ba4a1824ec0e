"""Finding a tenant's server among several: the master of its slot in a cluster, or the one that sentinels name.

All keys of a tenant share one hash tag, so one slot and one master hold them all, and an ordinary client to that master
does for pipelines, transactions and scripts. Each new connection asks anew where the master is. What says that it is
elsewhere by now (a lost connection, MOVED, READONLY, ...) ends the connections that there are, each when it is next
used. Nothing is sent again here: whoever may repeat does so by id.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import redis.exceptions as fault
from redis.asyncio import ConnectionPool, Redis, SSLConnection
from redis.asyncio.connection import parse_url
from redis.crc import key_slot

from hitl_desktop.services.errors import Refused, Unavailable
from hitl_desktop.services.packing import PackingConnection, packing_client
from hitl_desktop.settings.fleet import Fleet, Place, written

_ASKED_WITHIN = 2.0
_ELSEWHERE = (fault.AskError, fault.TryAgainError, fault.ClusterDownError, fault.ReadOnlyError)
_UNBLOCKED = "UNBLOCKED"  # a blocked read's answer when its server became a replica

Options = Mapping[str, Any]


class NotHereError(fault.ResponseError):
    """The server asked is not, or not now, the one that takes this; it did nothing."""


class Way(Protocol):
    """How the server is found. `turn` changes whenever it was found elsewhere, or may be elsewhere."""

    turn: int

    async def find(self) -> Place:
        """Return where it is now.

        Raises:
            ServiceError: nobody could say it.
        """
        ...

    def leave(self, turn: int) -> None:
        """Note that what was found in `turn` is the server no more."""
        ...


class _Asking:
    """What both ways share: places to ask, the one that answered first."""

    def __init__(self, fleet: Fleet, options: Options) -> None:
        self.turn = 0
        self._fleet = fleet
        self._options = options
        self._places = list(fleet.seeds)
        self._latest: Place | None = None

    def leave(self, turn: int) -> None:
        """Note that what was found in `turn` is the server no more; another place is asked next."""
        if turn == self.turn:
            self.turn += 1
            self._places.append(self._places.pop(0))

    async def find(self) -> Place:
        """Return where the server is, by the first place that can tell.

        Raises:
            redis.exceptions.AuthenticationError: the user name or password is refused.
            Refused: a place asked is of another kind, or does not permit it.
            Unavailable: none could tell.
        """
        for place in tuple(self._places):
            try:
                found = await self._found(place)
            except fault.AuthenticationError:
                raise
            except fault.NoPermissionError as error:
                raise Refused(
                    f"The user may not ask where in {self._fleet.shown} the tenant's gates are, so nothing was read or "
                    f"written: {str(error).rstrip('.')}."
                ) from None
            except (fault.ConnectionError, fault.TimeoutError, OSError, asyncio.IncompleteReadError):
                continue  # ask the next: this one is away
            except fault.ResponseError as error:
                raise Refused(self._misplaced(str(error))) from None
            if found is not None:
                self._places.remove(place)
                self._places.insert(0, place)
                if self._latest not in {None, found}:
                    self.turn += 1
                self._latest = found
                return found
        raise Unavailable(
            f"No server of {self._fleet.shown} can tell where the tenant's gates are; nothing was written, try again "
            "when it is back."
        )

    async def _found(self, place: Place) -> Place | None:
        raise NotImplementedError

    def _misplaced(self, answer: str) -> str:
        raise NotImplementedError

    async def _ask(self, url: str, *command: str, **options: Any) -> Any:
        brief = {"socket_timeout": _ASKED_WITHIN, "socket_connect_timeout": _ASKED_WITHIN}
        client = packing_client(url, {**self._options, **brief, **options})
        try:
            return await client.execute_command(*command)  # type: ignore[no-untyped-call]
        finally:
            await client.aclose(close_connection_pool=True)


class _InCluster(_Asking):
    """The master of one key's slot, by any node of the cluster."""

    def __init__(self, fleet: Fleet, options: Options, key: str) -> None:
        super().__init__(fleet, options)
        self._slot = key_slot(key.encode())

    async def _found(self, place: Place) -> Place | None:
        found = None
        for first, last, *nodes in await self._ask(self._fleet.server_url(place), "CLUSTER", "SLOTS"):
            known = [_announced(node, place) for node in nodes]
            # A cluster outlives the nodes that the settings name.
            self._places += [node for node in known if node not in self._places]
            if first <= self._slot <= last:
                found = known[0]
        return found

    def _misplaced(self, answer: str) -> str:
        return (
            f"The server at {self._fleet.shown} is no Redis Cluster, so nothing was read or written: give "
            f"HITL_REDIS_URL as redis://, or as redis+sentinel://. It said: {answer}."
        )


class _BySentinels(_Asking):
    """The master of a service, by any sentinel, if it is one: a sentinel that was cut off names the old one."""

    async def _found(self, place: Place) -> Place | None:
        named = await self._named(place)
        if named is None:
            raise Refused(
                f"The sentinels of {self._fleet.shown} know no master of that name; nothing was read or written, check "
                "HITL_REDIS_URL."
            )
        found = named[0].decode(), int(named[1])
        told = await self._ask(self._fleet.server_url(found), "HELLO")
        return found if dict(zip(told[::2], told[1::2], strict=True))[b"role"] == b"master" else None

    async def _named(self, place: Place) -> Any:
        # Whoever logs in to the servers is nobody to a sentinel.
        nobody: dict[str, Any] = {"credential_provider": None, "redis_connect_func": None}
        ask = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._fleet.service)
        try:
            return await self._ask(self._fleet.sentinel_url(place), *ask, **nobody)
        except fault.AuthenticationError:
            raise Refused(
                f"The sentinel at {written(*place)} refused the password, so nothing was read or written: give "
                "HITL_REDIS_URL its own as sentinel_password, with sentinel_username where it has users."
            ) from None

    def _misplaced(self, answer: str) -> str:
        return (
            f"A server of {self._fleet.shown} is no sentinel, so nothing was read or written: check HITL_REDIS_URL. It "
            f"said: {answer}."
        )


def _announced(node: list[Any], asked: Place) -> Place:
    """Return a node's address as it announces it; without one, it is the host that was asked."""
    host = (node[0] or b"").decode()
    return (asked[0] if host in {"", "?"} else host), int(node[1])


class _Follows(PackingConnection):
    """A connection to wherever the server is when it is made; it is made anew once the server is elsewhere."""

    def __init__(self, *, way: Way, **options: Any) -> None:
        super().__init__(**options)
        self._way = way
        self._turn = 0

    async def connect(self) -> None:
        """Connect, if not connected to where the server is."""
        if self.is_connected and self._turn != self._way.turn:
            await self.disconnect()
        if not self.is_connected:
            self.host, self.port = await self._way.find()
            self._turn = self._way.turn
        with self._leaving():
            await super().connect()  # type: ignore[no-untyped-call]

    async def read_response(self, *arguments: Any, **options: Any) -> Any:
        """Return the next reply; one that says that the server is elsewhere ends this connection when it is given back.

        Raises:
            NotHereError: the server is elsewhere, and this one did nothing.
        """
        with self._leaving():
            return await super().read_response(*arguments, **options)

    @contextmanager
    def _leaving(self) -> Iterator[None]:
        try:
            yield
        except (fault.ConnectionError, fault.TimeoutError):
            self._way.leave(self._turn)
            raise
        except fault.ResponseError as error:
            if not isinstance(error, _ELSEWHERE) and not str(error).startswith(_UNBLOCKED):
                raise
            self.mark_for_reconnect()  # type: ignore[no-untyped-call]
            self._way.leave(self._turn)
            raise NotHereError(str(error)) from None


class _FollowsOverTls(_Follows, SSLConnection):
    """The same over TLS."""


def following_client(fleet: Fleet, key: str, options: Options) -> tuple[Redis, Way]:
    """Return a client of the server that holds `key` in `fleet`, and how it is found; nothing is sent yet.

    Args:
        fleet: where to ask.
        key: any key of the tenant; in a cluster all of its keys must have one hash tag.
        options: redis-py's, for each connection to a server: timeouts, retries, user name and password.
    """
    way = _InCluster(fleet, options, key) if fleet.is_cluster else _BySentinels(fleet, options)
    given = {**options, **parse_url(fleet.server_url(fleet.seeds[0]))}
    is_tls = given.pop("connection_class", None) is not None
    kind = _FollowsOverTls if is_tls else _Follows
    return Redis.from_pool(ConnectionPool(connection_class=kind, way=way, **given)), way
