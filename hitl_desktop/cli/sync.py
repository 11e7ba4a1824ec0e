"""`hitl-desktop gates sync`: both directions, once."""

import click

from hitl_desktop.cli.output import plain, print_json
from hitl_desktop.cli.running import CONFLICT, DONE, UNREACHABLE, json_option, run, session, tenant_option
from hitl_desktop.domain.outbox import OutboxState


@click.command()
@tenant_option
@json_option
def sync(tenant: str | None, *, as_json: bool) -> int:
    """Deliver the outbox, then keep on this machine what waits.

    Exit code 0: nothing is left to send. 5: decisions wait for your answer. 6: the server cannot be reached.
    """
    return run(_sync(tenant, as_json=as_json))


async def _sync(tenant: str | None, *, as_json: bool) -> int:
    async with session(tenant) as opened:
        before = {entry.decision_id for entry in await opened.outbox.entries() if entry.state.is_open}
        await opened.sync()
        if notice := await opened.notice():
            click.echo(plain(notice), err=True)
        entries = await opened.outbox.entries()
        left = [entry for entry in entries if entry.state.is_open]
        conflicts = [entry for entry in entries if entry.state.needs_answer]
        delivered = [e for e in entries if e.state is OutboxState.DELIVERED and e.decision_id in before]
        pending = len(opened.book.pending_ids)
        if as_json:
            counts = {"delivered": len(delivered), "queued": len(left), "conflicts": len(conflicts)}
            print_json({"tenant_id": opened.tenant_id, **counts, "pending": pending})
        else:
            click.echo(f"{len(delivered)} delivered, {len(left)} left to send, {pending} gates wait.")
            for entry in conflicts:
                click.echo(f"✕ {entry.decision_id} {plain(entry.gate.summary)}: {plain(entry.problem)}", err=True)
    return CONFLICT if conflicts else UNREACHABLE if left else DONE
