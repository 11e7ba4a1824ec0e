"""`hitl-desktop tenants login` and `logout`: a tenant's own credentials, into the keyring and out of it."""

import sys
from collections.abc import Mapping

import click

from hitl_desktop.cli.output import print_json
from hitl_desktop.cli.running import DONE, USAGE, Failure, failures, json_option, run
from hitl_desktop.session.credentials import server_of
from hitl_desktop.session.login import check_login, url_of
from hitl_desktop.settings import Settings, read_settings
from hitl_desktop.store.credentials import Login, Service, forget_logins, keep_login
from hitl_desktop.store.keyring import prove_keyring
from hitl_desktop.tenancy import TenantConfig, TenantNames

_ASKED = {Service.REDIS: "Password", Service.CHROMA: "Token"}
_NOWHERE = {
    Service.REDIS: "The local workspace has no passwords: set HITL_REDIS_URL to log in to a server.",
    Service.CHROMA: "No knowledge store is configured to log in to: set HITL_CHROMA_URL.",
}


@click.command("login")
@click.argument("tenant")
@click.option("--redis", is_flag=True, help="Ask for the password of the Redis user; so it is without --chroma.")
@click.option("--chroma", is_flag=True, help="Ask for the token of the gateway before Chroma.")
@click.option("--user", metavar="NAME", help="The Redis user; else TENANT-reviewer.")
@click.option("--no-check", is_flag=True, help="Keep it without asking the server, which may be away.")
@json_option
def login(tenant: str, *, redis: bool, chroma: bool, user: str | None, no_check: bool, as_json: bool) -> int:
    """Keep TENANT's own Redis password, or its Chroma token, in the keyring of the operating system.

    It is asked for without showing it, or read from standard input: one line, with --redis --chroma two, the password
    first. It is kept once the server takes it, for this server alone, and used by window and command line from the next
    connection on.
    """
    services = [Service.REDIS] * (redis or not chroma) + [Service.CHROMA] * chroma
    if user is not None and not _is_word(user):
        raise Failure("--user takes the name of a Redis user, which has no white space.", USAGE)
    if user is not None and Service.REDIS not in services:
        raise Failure("--user names a Redis user, and a token has none: leave it out, or add --redis.", USAGE)
    with failures():
        settings = read_settings()
        names = TenantNames(TenantConfig.of(settings).choose(tenant), settings.key_layout)
        servers = {service: _server(settings, service) for service in services}
        keyring = prove_keyring()
    name = names.redis_user("reviewer") if user is None else user
    logins = {
        service: Login(server, _asked(service, name), name if service is Service.REDIS else "")
        for service, server in servers.items()
    }
    return run(_login(settings, names, logins, keyring, check=not no_check, as_json=as_json))


def _server(settings: Settings, service: Service) -> str:
    url = url_of(settings, service)
    if url is None:
        raise Failure(_NOWHERE[service], USAGE)
    return server_of(url)


def _asked(service: Service, user: str) -> str:
    """Return the secret that a person types, or a pipe gives."""
    kind = _ASKED[service]
    if sys.stdin.isatty():
        of = f" of {user}" if service is Service.REDIS else ""
        secret = str(click.prompt(f"{kind}{of}", hide_input=True, err=True))
    else:
        secret = sys.stdin.readline().rstrip("\r\n")
    if not secret:
        raise Failure(f"No {kind.lower()} was given, so nothing was kept.", USAGE)
    if not (_is_sendable(secret) if service is Service.REDIS else _is_word(secret) and secret.isascii()):
        raise Failure(f"The {kind.lower()} has characters that cannot be sent, so nothing was kept.", USAGE)
    return secret


def _is_sendable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_word(text: str) -> bool:
    return bool(text) and text.isprintable() and not any(letter.isspace() for letter in text)


async def _login(
    settings: Settings,
    names: TenantNames,
    logins: Mapping[Service, Login],
    keyring: str,
    *,
    check: bool,
    as_json: bool,
) -> int:
    if check:
        for service, login in logins.items():
            await check_login(settings, names, service, login)
    for service, login in logins.items():
        keep_login(names, settings.profile, service, login)
    kept = [
        {"service": service.value, "user": login.user or None, "server": login.server, "checked": check}
        for service, login in logins.items()
    ]
    if as_json:
        print_json({"tenant_id": names.tenant_id, "keyring": keyring, "kept": kept})
        return DONE
    for service, login in logins.items():
        what = f"password of {login.user}" if service is Service.REDIS else "token"
        unchecked = "" if check else ", unchecked"
        click.echo(f"The {what} for {login.server} is kept in the keyring ({keyring}){unchecked}.")
    return DONE


@click.command("logout")
@click.argument("tenant")
@json_option
def logout(tenant: str, *, as_json: bool) -> int:
    """Delete TENANT's Redis password and Chroma token from the keyring; without any, those of the addresses count."""
    with failures():
        settings = read_settings()
        gone = forget_logins(TenantNames(tenant), settings.profile)
    if as_json:
        print_json({"tenant_id": tenant, "deleted": [service.value for service in gone]})
        return DONE
    for service, login in gone.items():
        what = f"The password of {login.user}" if service is Service.REDIS else "The token"
        click.echo(f"{what} for {login.server} is deleted from the keyring.")
    if not gone:
        click.echo(f"The keyring has no credentials of {tenant}.")
    return DONE
