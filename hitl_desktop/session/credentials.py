"""The tenants' own credentials for the servers: found in the keyring whenever they are needed, and never kept here."""

import asyncio
import math
import time
from urllib.parse import urlsplit

from hitl_desktop.services.login import Credentials
from hitl_desktop.store.credentials import Login, Logins, Service, read_logins
from hitl_desktop.store.keyring import KeyringUnusableError
from hitl_desktop.tenancy import TenantNames, require_tenant

ANSWERED_WITHIN = 30.0
"""Seconds for which a connection waits for a keyring that waits for a person."""
_ASKED_AGAIN = 300.0


class KeptCredentials:
    """What the keyring has for all sessions of this process.

    It is read in a thread, by one at a time. A keyring that cannot be used is left alone for five minutes: a locked one
    asks a person each time, who may just have said no.
    """

    def __init__(self, profile: str) -> None:
        self._profile = profile
        self._one_at_a_time = asyncio.Lock()
        self._reading: asyncio.Task[Logins | None] | None = None
        self._not_before = 0.0

    def leave_alone(self) -> None:
        """Let what stands in the addresses count from now on: an administrator's, who may do what no tenant may."""
        self._not_before = math.inf

    async def find(self, names: TenantNames, service: Service, url: str) -> Login | None:
        """Return the tenant's login for the server at `url`.

        None where there is none, or no keyring that can be used: what stands in the address counts then.
        """
        require_tenant(names.tenant_id)
        if names.tenant_id is None:
            return None
        async with self._one_at_a_time:
            login = (await self._logins(names)).get(service)
        return login if login is not None and login.server == server_of(url) else None

    async def _logins(self, names: TenantNames) -> Logins:
        if time.monotonic() < self._not_before or (self._reading is not None and not self._reading.done()):
            return {}
        self._reading = asyncio.create_task(self._read(names))
        try:
            async with asyncio.timeout(ANSWERED_WITHIN):
                logins = await asyncio.shield(self._reading)
        except TimeoutError:  # go on without: once the person has answered, the next connection asks again
            return {}
        if logins is None:
            self._not_before = time.monotonic() + _ASKED_AGAIN
        return logins or {}

    async def _read(self, names: TenantNames) -> Logins | None:
        try:
            return await asyncio.to_thread(read_logins, names, self._profile)
        except KeyringUnusableError:  # go on without: a diagnosis names the cause
            return None

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
