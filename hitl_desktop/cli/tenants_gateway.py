"""`hitl-desktop tenants gateway`: the border between tenants before a Chroma server, and its tokens."""

from pathlib import Path

import click

from hitl_desktop.cli.output import print_json
from hitl_desktop.cli.running import DONE, UNREACHABLE, USAGE, Failure, json_option, run
from hitl_desktop.gateway.tokens import TokenFile, TokenFileError, digest_of, new_token
from hitl_desktop.settings import SettingsError, read_settings
from hitl_desktop.tenancy import TenancyError, TenantConfig, validate_tenant

_HIGHEST_PORT = 65535
_EXTRA = frozenset({"uvicorn", "httpx"})


@click.command("gateway")
@click.option("--chroma", "url", required=True, metavar="URL", help="The Chroma server that stands behind it.")
@click.option(
    "--tokens",
    "file",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The digests of the tokens, a TOML file of mode 0600 (see gateway-token).",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "--port", default=8001, show_default=True, type=click.IntRange(0, _HIGHEST_PORT), help="0 for a free one."
)
@click.option(
    "--audit",
    "audit_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where refusals are written; else log/gateway.jsonl in the state folder.",
)
def gateway(url: str, file: Path, host: str, port: int, audit_file: Path | None) -> int:
    """Stand before a Chroma server and let each tenant reach its own collections alone.

    A request needs a tenant's token (Authorization: Bearer) and the tenant's id in the tenant header. All else gets 403
    and a line in the audit file. Let nothing but the gateway reach Chroma itself, and put TLS before the gateway.
    """
    try:
        from hitl_desktop.gateway.server import serve
        from hitl_desktop.gateway.upstream import is_address
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA:
            raise
        raise Failure(f"The gateway needs {error.name}: pip install 'hitl-desktop[gateway]'.", USAGE) from None
    if not is_address(url):
        raise Failure("--chroma takes http:// or https:// with a host, and neither a user nor a query.", USAGE)
    try:
        settings = read_settings()
        config = TenantConfig(
            enabled=True, allowed_tenants=settings.allowed_tenants, tenant_header=settings.tenant_header
        )
        tokens = TokenFile(file, config)
    except (SettingsError, TokenFileError) as error:
        raise Failure(str(error), USAGE) from None

    async def work() -> int:
        log = audit_file or settings.state_dir / "log" / "gateway.jsonl"
        await serve(url, tokens, config, (host, port), log, _ready)
        return DONE

    try:
        return run(work())
    except OSError as error:
        file_too = f": {error.filename}" if error.filename else ""
        raise Failure(f"The gateway cannot start: {error.strerror or error}{file_too}.", UNREACHABLE) from None


def _ready(address: str) -> None:
    click.echo(f"The gateway listens at {address}.")


@click.command("gateway-token")
@click.argument("tenant")
@json_option
def gateway_token(tenant: str, *, as_json: bool) -> int:
    """Make a token for TENANT: print it, this once, and the line for the gateway's token file.

    A tenant with two tokens has them as a list in its line. A line taken out is refused from the next request on.
    """
    try:
        validate_tenant(tenant, read_settings().allowed_tenants)
    except (SettingsError, TenancyError) as error:
        raise Failure(str(error), USAGE) from None
    token = new_token()
    digest = digest_of(token)
    if as_json:
        print_json({"tenant_id": tenant, "token": token, "digest": digest})
        return DONE
    click.echo(token)
    click.echo(f'"{tenant}" = "{digest}"')
    return DONE
