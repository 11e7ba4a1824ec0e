"""`hitl-desktop demo`: a local workspace with something in it."""

import click

from hitl_desktop.cli.output import print_json
from hitl_desktop.cli.running import DONE, backend, json_option, run
from hitl_desktop.demo import fill_demo


@click.command()
@click.option("--open", "opens", is_flag=True, help="Open the window afterwards.")
@json_option
def demo(*, opens: bool, as_json: bool) -> int:
    """Fill the local workspace with demo tenants, gates and documents; running it twice adds nothing twice."""
    return run(_demo(opens=opens, as_json=as_json))


async def _demo(*, opens: bool, as_json: bool) -> int:
    async with backend() as servers:
        filled = await fill_demo(servers)
    if as_json:
        print_json({"tenants": [{"tenant_id": name, "gates_added": added} for name, added in filled.items()]})
    elif not opens:
        for name, added in filled.items():
            click.echo(f"{name}: {added} gates added.")
    return DONE
