"""The tenants' own credentials for the servers: found in the keyring whenever they are needed, and never kept here."""

import asyncio
import time
from urllib.parse import urlsplit

from hitl_desktop.services.errors import LoginUnknown
from hitl_desktop.services.login import Credentials
from hitl_desktop.store.credentials import Login, Logins, Service, read_logins
from hitl_desktop.store.keyring import KeyringAbsentError, KeyringLockedError, KeyringUnusableError
from hitl_desktop.tenancy import TenantNames, require_tenant

ANSWERED_WITHIN = 30.0
"""Seconds for which a connection waits for a keyring that waits for a person."""
_ASKED_AGAIN = 300.0
_WAITING = "The keyring waits for somebody to unlock it"


class KeptCredentials:
    """What the keyring has for all sessions of this process.

    It is read in a thread, by one at a time. As long as it cannot be read, nobody logs in: who an address names may do
    what the tenant's own user may not. One that its person leaves locked is left alone for five minutes, since it asks
    a person each time; any other failure is looked at anew by the next connection.
    """

    def __init__(self, profile: str) -> None:
        self._profile = profile
        self._one_at_a_time = asyncio.Lock()
        self._reading: asyncio.Task[Logins | str] | None = None
        self._read_until = 0.0
        self._is_left_alone = False
        self._locked = ""
        self._locked_until = 0.0

    def leave_alone(self) -> None:
        """Let what stands in the addresses count from now on: an administrator's, who may do what no tenant may."""
        self._is_left_alone = True

    async def find(self, names: TenantNames, service: Service, url: str) -> Login | None:
        """Return the tenant's login for the server at `url`.

        None where there is none, or no keyring at all: what stands in the address counts then.

        Raises:
            LoginUnknown: there is a keyring, and it cannot be read now.
        """
        require_tenant(names.tenant_id)
        if names.tenant_id is None or self._is_left_alone:
            return None
        async with self._one_at_a_time:
            logins = await self._logins(names)
        if isinstance(logins, str):
            raise LoginUnknown(
                f"{logins.rstrip('.')}, so nobody logged in for {names.tenant_id}: nothing was read or written; "
                "unlock or start it, and it is asked again within five minutes."
            )
        login = logins.get(service)
        return login if login is not None and login.server == server_of(url) else None

    async def _logins(self, names: TenantNames) -> Logins | str:
        """Return what the keyring has, or why that cannot be told now."""
        # One whose connection was given up goes on, and may be another tenant's.
        if self._reading is not None and not await self._is_answered(self._reading):
            return _WAITING
        if time.monotonic() < self._locked_until:
            return self._locked
        self._reading, self._read_until = asyncio.create_task(self._read(names)), time.monotonic() + ANSWERED_WITHIN
        return self._reading.result() if await self._is_answered(self._reading) else _WAITING

    async def _is_answered(self, reading: asyncio.Task[Logins | str]) -> bool:
        """Wait for a reading as long as may be; once its person has answered, the next connection asks again."""
        await asyncio.wait([reading], timeout=max(0.0, self._read_until - time.monotonic()))
        return reading.done()

    async def _read(self, names: TenantNames) -> Logins | str:
        try:
            return await asyncio.to_thread(read_logins, names, self._profile)
        except KeyringAbsentError:
            return {}
        except KeyringLockedError as error:
            self._locked, self._locked_until = str(error), time.monotonic() + _ASKED_AGAIN
            return self._locked
        except KeyringUnusableError as error:
            return str(error)

    def for_redis(self, names: TenantNames, url: str) -> Credentials:
        """Return what a connection to the server at `url` asks who logs in."""

        async def found() -> tuple[str, str] | None:
            login = await self.find(names, Service.REDIS, url)
            return None if login is None else (login.user, login.secret)

        return found


def server_of(url: str) -> str:
    """Return the address to which a login is bound: scheme, host and port, or path; what a database number is not."""
    parts = urlsplit(url)
    path = "" if parts.scheme in {"redis", "rediss"} else parts.path.rstrip("/")
    return parts._replace(netloc=parts.netloc.rpartition("@")[2].lower(), path=path, query="", fragment="").geturl()
