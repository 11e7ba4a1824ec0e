"""`hitl-desktop tenants acl` and `tenants revoke`: each tenant's own users on the server."""

import click

from hitl_desktop.cli.output import print_json
from hitl_desktop.cli.running import DONE, USAGE, Failure, json_option, run
from hitl_desktop.services.acl import Role, ServerKind, is_other_database, revoke, set_user
from hitl_desktop.services.connection import connect
from hitl_desktop.services.errors import NotFound
from hitl_desktop.services.scripts import LIBRARY, function_library
from hitl_desktop.settings import Settings, SettingsError, read_settings
from hitl_desktop.settings.fleet import is_fleet
from hitl_desktop.tenancy import TenancyError, TenantContext, TenantNames, validate_tenant

_ROLES = click.Choice([role.value for role in Role])
_SERVERS = click.Choice([kind.value for kind in ServerKind])
_LOADING = "\b\nThe functions: hitl-desktop tenants acl --functions | redis-cli -x FUNCTION LOAD REPLACE"
_FOR_A_RESTART = (
    "A restart reads the users from the server's ACL file or configuration: take them out there, too (ACL SAVE). "
    "Each node of a cluster and each replica has users of its own."
)


@click.command("acl", epilog=_LOADING)
@click.argument("tenant", required=False)
@click.option("--role", type=_ROLES, help="A human who decides, or the agents; else both.")
@click.option("--server", type=_SERVERS, default=ServerKind.REDIS7.value, show_default=True, help="For which server.")
@click.option("--functions", is_flag=True, help="Print the functions that such users run; needs no tenant.")
@json_option
def acl(tenant: str | None, role: str | None, server: str, *, functions: bool, as_json: bool) -> int:
    """Print the commands that make TENANT's users on the server, one a line, for redis-cli.

    Replace <PASSWORD> first, with a long random one. Such a user reaches TENANT's keys and nothing else, and runs no
    scripts of its own: load the functions once, and again with each new version.

    The lines for redis7 work on both servers.
    """
    if functions:
        if tenant is not None:
            raise Failure("--functions prints what is the same for all tenants: leave the tenant out.", USAGE)
        return _print_functions(as_json=as_json)
    if tenant is None:
        raise Failure("Name the tenant whose users are to be made, or --functions.", USAGE)
    settings, names = _named(tenant)
    selects = settings.redis_url is not None and is_other_database(settings.redis_url)
    made = {names.redis_user(each): set_user(names, each, ServerKind(server), selects=selects) for each in _roles(role)}
    if as_json:
        print_json({"tenant_id": tenant, "users": [{"user": user, "command": line} for user, line in made.items()]})
        return DONE
    for line in made.values():
        click.echo(line)
    return DONE


def _print_functions(*, as_json: bool) -> int:
    if as_json:
        print_json({"library": LIBRARY, "code": function_library()})
    else:
        click.echo(function_library(), nl=False)
    return DONE


@click.command("revoke")
@click.argument("tenant")
@click.option("--role", type=_ROLES, help="A human who decides, or the agents; else both.")
@json_option
def revoke_users(tenant: str, role: str | None, *, as_json: bool) -> int:
    """Switch TENANT's users off on the server, and end their open connections.

    HITL_REDIS_URL must be an administrator's. Exit code 7: the server has no such user.
    """
    return run(_revoke(tenant, role, as_json=as_json))


async def _revoke(tenant: str, role: str | None, *, as_json: bool) -> int:
    settings, names = _named(tenant)
    if settings.redis_url is None:
        raise Failure("The local workspace has no users: name the server in HITL_REDIS_URL.", USAGE)
    if is_fleet(settings.redis_url):
        raise Failure(
            "Each of several servers has users of its own, so nothing was switched off: run this for one after the "
            "other, each named as HITL_REDIS_URL=redis://….",
            USAGE,
        )
    ended: dict[str, int] = {}
    absent: list[NotFound] = []
    with TenantContext.tenant_scope(tenant, settings.allowed_tenants):
        async with connect(settings.redis_url) as connection:
            for each in _roles(role):
                try:
                    ended[names.redis_user(each)] = await revoke(connection, names, each)
                except NotFound as error:  # go on: the tenant's other user may be there
                    absent.append(error)
    if not ended:
        raise absent[0]
    if as_json:
        revoked = [{"user": user, "connections_ended": count} for user, count in ended.items()]
        print_json({"tenant_id": tenant, "revoked": revoked})
        return DONE
    for user, count in ended.items():
        click.echo(f"{user} is switched off; {count} of its connections were ended.")
    click.echo(_FOR_A_RESTART, err=True)
    return DONE


def _named(tenant: str) -> tuple[Settings, TenantNames]:
    """Return the settings and the tenant's names as they lay them out."""
    try:
        settings = read_settings()
        validate_tenant(tenant, settings.allowed_tenants)
    except (SettingsError, TenancyError) as error:
        raise Failure(str(error), USAGE) from None
    return settings, TenantNames(tenant, settings.key_layout)


def _roles(role: str | None) -> tuple[Role, ...]:
    return tuple(Role) if role is None else (Role(role),)
