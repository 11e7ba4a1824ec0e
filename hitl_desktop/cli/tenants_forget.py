"""`hitl-desktop tenants forget`: take what is kept of a tenant off this machine."""

import asyncio

import click

from hitl_desktop.cli.output import print_json
from hitl_desktop.cli.running import CONFLICT, DONE, Failure, backend, json_option, run
from hitl_desktop.services.errors import NotFound
from hitl_desktop.settings import Settings
from hitl_desktop.store.tenant_store import kept_tenants, open_store, remove_store
from hitl_desktop.tenancy import TenantNames


@click.command()
@click.argument("tenant")
@click.option("--undelivered", is_flag=True, help="Even if decisions in its outbox were never delivered.")
@json_option
def forget(tenant: str, *, undelivered: bool, as_json: bool) -> int:
    """Destroy the key of what is kept of TENANT on this machine, then its files. The server keeps what it has.

    Close its windows first. Decisions that are not delivered are lost with it, so it refuses while there are any.
    """
    return run(_forget(tenant, undelivered=undelivered, as_json=as_json))


async def _forget(tenant: str, *, undelivered: bool, as_json: bool) -> int:
    async with backend() as servers:
        settings, names = servers.settings, TenantNames(tenant)
        if tenant not in kept_tenants(settings):
            raise NotFound(f"Nothing of {tenant!r} is kept on this machine.")
        if not undelivered and (lost := await _lost(settings, names)):
            raise Failure(lost, CONFLICT)
        await asyncio.to_thread(remove_store, settings, names)
    if as_json:
        print_json({"tenant_id": tenant, "forgotten": True})
    else:
        click.echo(f"Nothing of {tenant} is kept on this machine any more.")
    return DONE


async def _lost(settings: Settings, names: TenantNames) -> str:
    """Return a sentence about decisions that would be lost; empty where there are none."""
    async with open_store(settings, names) as disk:
        left, notice = await disk(lambda store: (len(store.outbox.entries()), store.notice))
    if left:
        return (
            f"{left} decisions for {names.tenant_id} are not delivered and would be lost: deliver them (`gates sync`), "
            "export them (`outbox export`), or say --undelivered."
        )
    return f"{notice} Decisions in it would be lost: say --undelivered if that is meant." if notice else ""
