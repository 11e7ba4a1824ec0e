"""The servers behind all sessions of a process: the configured ones, or the local workspace."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from hitl_desktop.local import LocalWorkspace, LocalWorkspaceError, open_workspace
from hitl_desktop.services.connection import shown_address
from hitl_desktop.services.errors import NotFound, Unavailable
from hitl_desktop.services.knowledge import connect_chroma
from hitl_desktop.services.login import Credentials, of_address
from hitl_desktop.session.credentials import KeptCredentials
from hitl_desktop.settings import ANY_TENANT, Settings
from hitl_desktop.tenancy import TenantConfig, TenantNames


class Backend:
    """The servers behind all sessions of this process: the configured ones, or the local workspace."""

    def __init__(self, settings: Settings, workspace: LocalWorkspace | None) -> None:
        self.settings = settings
        self._workspace = workspace
        self.credentials = KeptCredentials(settings.profile)
        self._chroma: Any = None
        self._offline = False
        self._switched: list[Callable[[bool], None]] = []
        self._claiming = asyncio.Lock()

    @property
    def config(self) -> TenantConfig:
        """The tenants that may be worked for, and the default."""
        return TenantConfig.of(self.settings, self.recorded_tenants)

    @property
    def recorded_tenants(self) -> tuple[str, ...]:
        """The tenants recorded in the local workspace; none for a configured server."""
        return () if self._workspace is None else self._workspace.tenants

    @property
    def known_tenants(self) -> tuple[str, ...]:
        """The tenants that can be named: the allowlist's, under `*` the default and the recorded ones."""
        config = self.config
        if not config.enabled:
            return ()
        listed = tuple(tenant for tenant in config.allowed_tenants if tenant != ANY_TENANT)
        default = (config.default_tenant,) if config.default_tenant else ()
        others = () if listed else (*default, *self.recorded_tenants)
        return tuple(dict.fromkeys((*listed, *others)))

    @property
    def is_offline(self) -> bool:
        """Whether the reviewer works offline by choice: no session of this process uses the network then."""
        return self._offline

    def work_offline(self, *, offline: bool) -> None:
        """Let every session of this process leave the network alone, or go back to it."""
        self._offline = offline
        for switched in tuple(self._switched):
            switched(offline)

    def on_switch(self, switched: Callable[[bool], None]) -> Callable[[], None]:
        """Call `switched` with every change of `is_offline`; return what ends that."""
        self._switched.append(switched)
        return lambda: self._switched.remove(switched)

    @property
    def place(self) -> str:
        """Where the gates are, as the screen says it."""
        return "local workspace" if self._workspace is not None else shown_address(self.redis_url)

    @property
    def redis_url(self) -> str:
        """Where Redis is."""
        return self.settings.redis_url or (self._workspace.redis_url if self._workspace else "")

    def credentials_for(self, names: TenantNames) -> Credentials:
        """Return what a connection of this tenant asks who logs in; in a local workspace nobody needs to."""
        if self.settings.is_embedded or names.tenant_id is None:
            return of_address
        return self.credentials.for_redis(names, self.redis_url)

    async def record_tenant(self, tenant_id: str) -> None:
        """Record a tenant in the local workspace; nothing to do for a configured server.

        Raises:
            LocalWorkspaceError: it cannot be written.
        """
        if self._workspace is not None:
            await self._workspace.record_tenant(tenant_id)

    async def recover(self) -> None:
        """Start the local workspace's server again if it is gone; a configured server is its keeper's to start.

        Raises:
            Unavailable: it does not start.
        """
        if self._workspace is None or self._offline:
            return
        try:
            await self._workspace.ensure_server()
        except LocalWorkspaceError as error:
            raise Unavailable(str(error)) from None

    async def chroma(self) -> Any:
        """Return the Chroma client that is the same for all sessions, without any tenant's token.

        Raises:
            NotFound: there is none: not configured, or the local one is another process's.
            ServiceError: it cannot be reached.
        """
        async with self._claiming:
            if self._chroma is None:
                self._chroma = await self._connect_chroma()
        return self._chroma

    async def _connect_chroma(self) -> Any:
        if self.settings.chroma_url:
            return await connect_chroma(self.settings.chroma_url)
        if self._workspace is None:
            raise NotFound("No knowledge store is configured, so there is nothing to search: set HITL_CHROMA_URL.")
        client = await self._workspace.chroma()
        if client is None:
            raise NotFound("Another process has the local knowledge store open; close it there to search here.")
        return client


@asynccontextmanager
async def open_backend(settings: Settings) -> AsyncIterator[Backend]:
    """Yield the servers that `settings` name. A configured Redis starts nothing embedded.

    Raises:
        LocalWorkspaceError: the local workspace cannot be used.
    """
    if settings.is_embedded:
        async with open_workspace(settings.state_dir / "workspace") as workspace:
            yield Backend(settings, workspace)
    else:
        yield Backend(settings, None)
