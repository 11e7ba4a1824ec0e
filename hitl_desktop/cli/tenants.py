"""`hitl-desktop tenants`: which tenants there are."""

from typing import Any

import click

from hitl_desktop.cli.output import print_json
from hitl_desktop.cli.running import DONE, backend, json_option, run, tenant_option
from hitl_desktop.cli.tenants_acl import acl, revoke_users
from hitl_desktop.cli.tenants_adopt import adopt
from hitl_desktop.cli.tenants_forget import forget
from hitl_desktop.cli.tenants_gateway import gateway, gateway_token
from hitl_desktop.cli.tenants_import import import_tenants
from hitl_desktop.cli.tenants_login import login, logout
from hitl_desktop.services.errors import ServiceError
from hitl_desktop.session import Backend, open_session
from hitl_desktop.tenancy import validate_tenant

_GUIDE = """
\b
Configure: MULTI_TENANCY_ENABLED=true and ALLOWED_TENANTS=acme-corp,widgets-inc
  (environment or settings file), or `tenants import values.yaml` from the
  chart of the services. A profile for each client keeps their servers apart.

\b
Migrate from single-tenant keys: stop the agents, look with
  `tenants adopt acme-corp`, do it with `tenants adopt acme-corp --execute`,
  start the agents with multi-tenancy on. A killed run is gone on with.

\b
Add one: put it into ALLOWED_TENANTS of agents and reviewers, and give it
  users on the server with `tenants acl acme-corp` (the chart makes them for
  each tenant in its list). Each reviewer keeps the password with
  `tenants login acme-corp`.

\b
Remove one: take it out of ALLOWED_TENANTS, and its users off the server with
  `tenants revoke acme-corp`. What it has on the server stays until its
  administrator deletes it, what a reviewer's machine has until
  `tenants forget acme-corp`.
"""


@click.group(epilog=_GUIDE)
def tenants() -> None:
    """See and set up the tenants you may work for."""


@tenants.command("list")
@tenant_option
@json_option
def list_tenants(tenant: str | None, *, as_json: bool) -> int:
    """List the tenants, the default one marked, each with how many gates wait."""
    return run(_list(tenant, as_json=as_json))


async def _list(tenant: str | None, *, as_json: bool) -> int:
    async with backend() as servers:
        config = servers.config
        if tenant is not None:
            validate_tenant(tenant, config.allowed_tenants)
        names = servers.known_tenants if tenant is None else (tenant,)
        rows = [
            {
                "tenant_id": name,
                "default": name == config.default_tenant,
                "pending": await _pending(servers, name),
            }
            for name in names
        ]
    if as_json:
        print_json({"multi_tenancy": config.enabled, "tenants": rows})
        return DONE
    if not config.enabled:
        click.echo("Multi-tenancy is off.")
    elif not rows:
        click.echo("No tenant is known yet: name them in ALLOWED_TENANTS, or run `hitl-desktop demo`.")
    for row in rows:
        _print(row)
    return DONE


async def _pending(servers: Backend, tenant_id: str) -> int | None:
    try:
        async with open_session(servers, tenant_id, live=False) as session:
            return await session.count_pending()
    except ServiceError:  # drop: without permission for this tenant there is no number
        return None


def _print(row: dict[str, Any]) -> None:
    mark = " (default)" if row["default"] else ""
    waiting = "?" if row["pending"] is None else row["pending"]
    click.echo(f"{row['tenant_id']:<32} {waiting:>6} pending{mark}")


tenants.add_command(acl)
tenants.add_command(adopt)
tenants.add_command(forget)
tenants.add_command(gateway)
tenants.add_command(gateway_token)
tenants.add_command(import_tenants)
tenants.add_command(login)
tenants.add_command(logout)
tenants.add_command(revoke_users)
