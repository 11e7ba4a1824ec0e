"""`hitl-desktop tenants forget`: nothing of a tenant stays on this machine."""

import click

from hitl_desktop.cli.output import print_json
from hitl_desktop.cli.running import CONFLICT, DONE, Failure, failures, json_option
from hitl_desktop.settings import Settings, read_settings
from hitl_desktop.store.credentials import forget_logins
from hitl_desktop.store.errors import InUseError, UndeliveredError
from hitl_desktop.store.keyring import KeyringUnusableError
from hitl_desktop.store.removal import remove_store
from hitl_desktop.store.windows import WindowStore
from hitl_desktop.tenancy import TenantNames

_DISCARD = "Deliver or answer them (`hitl-desktop outbox list`), or add --discard-decisions."


@click.command("forget")
@click.argument("tenant")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--discard-decisions", is_flag=True, help="Also decisions that were not delivered.")
@json_option
def forget(tenant: str, *, yes: bool, discard_decisions: bool, as_json: bool) -> int:
    """Remove all that this machine keeps of TENANT: gates, evidence, drafts, outbox, credentials.

    The key that they are encrypted with goes first. TENANT need not be on the allowlist any more. What the server has
    stays there, and so does the local log of switches. Exit code 5: decisions were not delivered, or a window has it
    open; nothing was removed.
    """
    with failures():
        settings = read_settings()
        names = TenantNames(tenant)
    if not yes:
        click.confirm(f"Remove all that this machine keeps of {tenant}?", abort=True, err=True)
    with failures():
        had_data = _remove(settings, names, discard=discard_decisions)
        logins = _forget_logins(settings, names)
        _forget_windows(settings, tenant)
    if as_json:
        print_json({"tenant_id": tenant, "data": had_data, "credentials": logins})
        return DONE
    found = " and ".join(["gates and decisions"] * had_data + ["credentials"] * bool(logins))
    click.echo(f"Removed of {tenant}: {found}." if found else f"Nothing of {tenant} was kept on this machine.")
    return DONE


def _remove(settings: Settings, names: TenantNames, *, discard: bool) -> bool:
    try:
        return remove_store(settings, names, discard=discard)
    except UndeliveredError as error:
        raise Failure(f"{error} {_DISCARD}", CONFLICT) from None
    except InUseError as error:
        raise Failure(str(error), CONFLICT) from None


def _forget_logins(settings: Settings, names: TenantNames) -> list[str]:
    try:
        return [service.value for service in forget_logins(names, settings.profile)]
    except KeyringUnusableError as error:  # go on: where there is no keyring, there is nothing in it
        click.echo(f"{error} Credentials in it, if there are any, were not deleted.", err=True)
        return []


def _forget_windows(settings: Settings, tenant: str) -> None:
    try:
        WindowStore(settings.state_dir).forget(tenant)
    except OSError as error:  # go on: only the tenant's name is in it
        click.echo(f"The list of windows still names {tenant}: {error.strerror}.", err=True)
