"""The way of one session to Chroma: by the process's own client, or with the tenant's token by one of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from hitl_desktop.services.chroma import connect_chroma, gateway_headers
from hitl_desktop.session.backend import Backend
from hitl_desktop.store.credentials import Service
from hitl_desktop.tenancy import TenantNames


class Library:
    """A client with a token is one tenant's, so no two sessions share it; it ends with the session or the token."""

    def __init__(self, backend: Backend, names: TenantNames) -> None:
        self._backend = backend
        self._names = names
        self._token = ""
        self._own: Any = None
        self._connecting = asyncio.Lock()

    async def client(self) -> Any:
        """Return the client, connected with the token that the keyring has now.

        Raises:
            NotFound: there is no knowledge store here.
            ServiceError: it cannot be reached, or refuses the token.
        """
        async with self._connecting:
            token = await self._kept_token()
            if token != self._token or self._own is None:
                await self._close()
                self._own = await self._connected(token) if token else None
                self._token = token
            return self._own if token else await self._backend.chroma()

    async def close(self) -> None:
        """Close the client that is this session's own."""
        async with self._connecting:
            await self._close()

    async def _kept_token(self) -> str:
        url = self._backend.settings.chroma_url
        found = await self._backend.credentials.find(self._names, Service.CHROMA, url) if url else None
        return found.secret if found else ""

    async def _connected(self, token: str) -> Any:
        settings, tenant_id = self._backend.settings, self._names.tenant_id
        headers = gateway_headers(tenant_id or "", token, settings.tenant_header)
        return await connect_chroma(settings.chroma_url or "", headers=headers)

    async def _close(self) -> None:
        if self._own is not None:
            own, self._own = self._own, None
            await asyncio.to_thread(own.close)


@asynccontextmanager
async def open_library(backend: Backend, names: TenantNames) -> AsyncIterator[Library]:
    """Yield a session's way to Chroma, and close what it opened."""
    library = Library(backend, names)
    try:
        yield library
    finally:
        await library.close()
