"""The command line's entry: its verbs, and what its exit codes mean."""

import sys
from collections.abc import Sequence

import click

from hitl_desktop import __version__
from hitl_desktop.cli.demo import demo
from hitl_desktop.cli.doctor import doctor
from hitl_desktop.cli.gates import gates
from hitl_desktop.cli.knowledge import knowledge
from hitl_desktop.cli.outbox import outbox
from hitl_desktop.cli.tenants import tenants

_EPILOG = """
Exit codes: 0 done, 1 this machine's disk or a damaged record, 2 usage or settings, 3 rejected and 4 expired (gates
request --wait), 5 conflict, 6 unreachable or refused by the server, 7 not found. Without a verb, the window opens.
"""


@click.group(epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="hitl-desktop")
def commands() -> None:
    """Review what software agents ask to be approved."""


commands.add_command(gates)
commands.add_command(tenants)
commands.add_command(outbox)
commands.add_command(knowledge)
commands.add_command(doctor)
commands.add_command(demo)


def main(arguments: Sequence[str]) -> int:
    """Run one verb and return its exit code; errors are one sentence on standard error."""
    try:
        result = commands.main(args=list(arguments), prog_name="hitl-desktop", standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("Interrupted.", err=True)
        return 130
    except click.ClickException as error:
        error.show(file=sys.stderr)
        return error.exit_code
    return result if isinstance(result, int) else 0
