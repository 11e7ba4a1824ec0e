"""`hitl-desktop tenants import`: the tenants of a Helm chart's values, into the settings file."""

import asyncio
import os
from pathlib import Path
from typing import Any

import click

from hitl_desktop.cli.output import plain, print_json
from hitl_desktop.cli.running import DONE, USAGE, Failure, json_option, run
from hitl_desktop.settings import read_tenancy, settings_file
from hitl_desktop.settings.file import write_file

_BLOCK = "multiTenancy"
_LARGEST = 1024 * 1024
_DEFAULTS = {"enabled": False, "defaultTenant": "", "allowedTenants": "*", "tenantHeader": "X-Tenant-ID"}

Value = str | bool | tuple[str, ...]


@click.command("import")
@click.argument("values", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only show what would be set.")
@json_option
def import_tenants(values: Path, *, dry_run: bool, as_json: bool) -> int:
    """Set the tenants that a Helm chart's VALUES file names in its multiTenancy block.

    The settings file gets them; what else stands in it stays. Settings in the environment still come first.
    """
    return run(_import(values, dry_run=dry_run, as_json=as_json))


async def _import(values: Path, *, dry_run: bool, as_json: bool) -> int:
    changed = read_block(values)
    file = settings_file(os.environ)
    if not dry_run:
        await asyncio.to_thread(write_file, file, changed)
    shown = {name: list(value) if isinstance(value, tuple) else value for name, value in changed.items()}
    if as_json:
        print_json({"file": str(file), "written": not dry_run, "settings": shown})
    else:
        click.echo(f"{'Would set' if dry_run else 'Set'} in {file}:")
        for name, value in shown.items():
            click.echo(f"  {name} = {plain(str(value))}")
    return DONE


def read_block(file: Path) -> dict[str, Value]:
    """Return the settings that the `multiTenancy` block of a values file means, wherever in the file it stands.

    Raises:
        Failure: there is no such block, or it is not as agreed.
        SettingsError: a tenant in it is not allowed.
    """
    import yaml

    try:
        if file.stat().st_size > _LARGEST:
            raise Failure(f"{file} is too large to be a values file.", USAGE)
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError, RecursionError) as error:
        raise Failure(f"{file} cannot be read as YAML: {str(error).splitlines()[0]}.", USAGE) from None
    block = _find(document)
    if block is None:
        raise Failure(f"{file} has no {_BLOCK} block.", USAGE)
    if unknown := set(block) - set(_DEFAULTS):
        raise Failure(
            f"{_BLOCK} holds {', '.join(sorted(map(str, unknown)))}; allowed are {', '.join(_DEFAULTS)}.", USAGE
        )
    return _settings({**_DEFAULTS, **block})


def _settings(block: dict[str, Any]) -> dict[str, Value]:
    listed = block["allowedTenants"]
    named = {
        "MULTI_TENANCY_ENABLED": str(block["enabled"]),
        "DEFAULT_TENANT_ID": str(block["defaultTenant"]),
        "ALLOWED_TENANTS": ",".join(map(str, listed)) if isinstance(listed, list) else str(listed),
        "TENANT_HEADER": str(block["tenantHeader"]),
    }
    tenancy = read_tenancy(named)
    changed: dict[str, Value] = {
        "MULTI_TENANCY_ENABLED": tenancy.enabled,
        "ALLOWED_TENANTS": tenancy.allowed_tenants,
        "TENANT_HEADER": tenancy.tenant_header,
    }
    return changed if tenancy.default_tenant is None else changed | {"DEFAULT_TENANT_ID": tenancy.default_tenant}


def _find(document: Any) -> dict[Any, Any] | None:
    """Return the first `multiTenancy` block, looked for from the top down."""
    waiting = [document]
    while waiting:
        part = waiting.pop(0)
        if isinstance(part, dict):
            if isinstance(found := part.get(_BLOCK), dict):
                return found
            waiting.extend(part.values())
    return None
