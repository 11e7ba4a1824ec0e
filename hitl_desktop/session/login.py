"""Asking a server whether it takes a login, before the login is kept."""

import asyncio

from hitl_desktop.services.chroma import connect_chroma, gateway_headers
from hitl_desktop.services.connection import connect
from hitl_desktop.services.errors import Refused
from hitl_desktop.services.gates import Gates
from hitl_desktop.services.knowledge import KnowledgeStore
from hitl_desktop.settings import Settings
from hitl_desktop.store.credentials import Login, Service
from hitl_desktop.tenancy import TenantContext, TenantNames


def url_of(settings: Settings, service: Service) -> str | None:
    """Return the configured address of a service; None where there is nothing to log in to."""
    return settings.redis_url if service is Service.REDIS else settings.chroma_url


async def check_login(settings: Settings, names: TenantNames, service: Service, login: Login) -> None:
    """Ask the server whether it takes `login` for this tenant, which is on the allowlist.

    Raises:
        Refused: it does not, or the user may not read the tenant's gates.
        ServiceError: it cannot be reached, or read.
    """
    with TenantContext.tenant_scope(names.tenant_id or "", settings.allowed_tenants):
        try:
            await (_check_redis if service is Service.REDIS else _check_chroma)(settings, names, login)
        except Refused as error:
            raise Refused(f"{error} Nothing was kept.") from None


async def _check_redis(settings: Settings, names: TenantNames, login: Login) -> None:
    async def given() -> tuple[str, str]:
        return login.user, login.secret

    async with connect(url_of(settings, Service.REDIS) or "", given) as connection:
        await Gates(connection, names).count_pending()


async def _check_chroma(settings: Settings, names: TenantNames, login: Login) -> None:
    headers = gateway_headers(names.tenant_id or "", login.secret, settings.tenant_header)
    client = await connect_chroma(url_of(settings, Service.CHROMA) or "", headers=headers)
    try:
        await KnowledgeStore(client, names).probe()
    finally:
        await asyncio.to_thread(client.close)
