"""Who a connection to Redis logs in as: asked for at each connecting, so that nothing keeps a password for longer."""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from redis.asyncio.connection import parse_url
from redis.credentials import CredentialProvider

Credentials = Callable[[], Awaitable[tuple[str, str] | None]]
"""Returns a user name and its password; None where those of the address count."""

_NAMES = ("username", "password")


async def of_address() -> None:
    """Leave it to the address."""


class AtConnecting(CredentialProvider):
    """redis-py's way to ask for a user name and password whenever it connects.

    `is_named` says whether the latest login was that of a user other than the default one.

    Args:
        credentials: is asked first.
        url: its own user name and password count where `credentials` returns None.
    """

    def __init__(self, credentials: Credentials, url: str) -> None:
        options: dict[str, Any] = dict(parse_url(url))
        user, password = (options.get(name) or "" for name in _NAMES)
        self._credentials = credentials
        self._own = (user, password) if user else (password,) if password else ()
        self.is_named = _is_named(self._own)

    async def get_credentials_async(self) -> Any:
        """Return what AUTH is sent with; nothing where there is no login."""
        sent = await self._credentials() or self._own
        self.is_named = _is_named(sent)
        return sent


def _is_named(login: tuple[str, ...]) -> bool:
    return len(login) == len(_NAMES) and login[0] != "default"


async def log_in(connection: Any) -> None:
    """Do what redis-py does on a new connection, and leave none open that has not logged in.

    redis-py closes it for errors of its own alone: one whose login was cancelled would be used again, without any.
    """
    try:
        await connection.on_connect()
    except BaseException:
        await connection.disconnect(nowait=True)
        raise


def without_login(url: str) -> str:
    """Return `url` without user name and password; redis-py refuses to have them twice."""
    parts = urlsplit(url)
    query = urlencode([pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] not in _NAMES])
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query=query).geturl()
