"""`hitl-desktop gates`: list, show, approve and reject."""

from collections.abc import Sequence

import click

from hitl_desktop.cli.output import (
    decided_document,
    gate_document,
    now,
    plain,
    print_gate,
    print_gate_line,
    print_json,
    quarantined_document,
)
from hitl_desktop.cli.request import request
from hitl_desktop.cli.running import (
    DONE,
    USAGE,
    Failure,
    json_option,
    offline_option,
    run,
    session,
    tenant_option,
)
from hitl_desktop.cli.sync import sync
from hitl_desktop.domain.decision import Verdict
from hitl_desktop.domain.gate import Gate, Quarantined, Record
from hitl_desktop.services.errors import Unavailable
from hitl_desktop.services.evidence import inline_evidence
from hitl_desktop.session import ReviewSession
from hitl_desktop.session.export import entry_document
from hitl_desktop.session.outbox import Words


@click.group()
def gates() -> None:
    """List, read and decide gates; or post one."""


@gates.command("list")
@offline_option
@tenant_option
@json_option
def list_gates(tenant: str | None, *, offline: bool, as_json: bool) -> int:
    """List all gates that wait, soonest to expire first: as the server has them, else as this machine last had them."""
    return run(_list(tenant, offline=offline, as_json=as_json))


async def _list(tenant: str | None, *, offline: bool, as_json: bool) -> int:
    async with session(tenant) as opened:
        records, source = await _listed(opened, offline=offline)
        waiting = [record for record in records if isinstance(record, Gate)]
        damaged = [record for record in records if isinstance(record, Quarantined)]
        if as_json:
            documents = [
                gate_document(gate, opened.tenant_id, [inline_evidence(item) for item in gate.bundle.items or ()])
                for gate in waiting
            ]
            quarantined = [quarantined_document(record) for record in damaged]
            listing = {"tenant_id": opened.tenant_id, "source": source, "gates": documents}
            print_json({**listing, "quarantined": quarantined})
            return DONE
        moment = now()
        for gate in waiting:
            print_gate_line(gate, moment)
        for record in damaged:
            click.echo(f"Quarantined {plain(record.key)}: {plain(record.reason)}")
        if not records:
            click.echo(f"Nothing waits for you{f' in {opened.tenant_id}' if opened.tenant_id else ''}.")
    return DONE


async def _listed(opened: ReviewSession, *, offline: bool) -> tuple[Sequence[Record], str]:
    if offline:
        if not await opened.has_kept():
            notice = await opened.notice()
            raise Unavailable(notice or "No list of gates is kept on this machine yet: run `hitl-desktop gates sync`.")
        return await opened.pending_kept(), "cache"
    try:
        return await opened.pending(), "server"
    except Unavailable as error:
        if not await opened.has_kept():
            raise
        click.echo(f"{plain(str(error))} These are the gates as they were last seen.", err=True)
        return await opened.pending_kept(), "cache"


@gates.command()
@click.argument("request_id", metavar="ID")
@offline_option
@tenant_option
@json_option
def show(request_id: str, tenant: str | None, *, offline: bool, as_json: bool) -> int:
    """Show one gate with its evidence."""
    return run(_show(request_id, tenant, offline=offline, as_json=as_json))


async def _show(request_id: str, tenant: str | None, *, offline: bool, as_json: bool) -> int:
    async with session(tenant) as opened:
        found = await opened.open_gate(request_id, offline=offline)
        if as_json:
            print_json(gate_document(found.gate, opened.tenant_id, found.evidence))
        else:
            print_gate(found.gate, found.evidence, now())
    return DONE


_DECISION_OPTIONS = (
    click.argument("request_id", metavar="ID"),
    click.option("--reason", default="", metavar="TEXT", help="Why; needed to reject."),
    click.option("--condition", "conditions", multiple=True, metavar="TEXT", help="What it depends on; repeatable."),
    click.option("--feedback", default="", metavar="TEXT", help="More for the agent."),
    click.option(
        "--evidence-digest",
        metavar="D",
        help="The digest of the evidence you read; a bundle with another one is not decided.",
    ),
    offline_option,
    tenant_option,
    json_option,
)


def _decision_command(name: str, verdict: Verdict, explained: str) -> None:
    def command(
        request_id: str,
        reason: str,
        conditions: tuple[str, ...],
        feedback: str,
        evidence_digest: str | None,
        tenant: str | None,
        *,
        offline: bool,
        as_json: bool,
    ) -> int:
        words: Words = {"reason": reason, "conditions": conditions, "feedback": feedback}
        words["evidence_digest"] = evidence_digest
        decide = _queue if offline else _decide
        return run(decide(request_id, verdict, words, tenant, as_json=as_json))

    for option in reversed(_DECISION_OPTIONS):
        command = option(command)
    gates.command(name, help=explained)(command)


_decision_command("approve", Verdict.APPROVED, "Approve one gate.")
_decision_command("reject", Verdict.REJECTED, "Reject one gate, with a reason.")


async def _decide(request_id: str, verdict: Verdict, words: Words, tenant: str | None, *, as_json: bool) -> int:
    async with session(tenant) as opened:
        gate = (await opened.open_gate(request_id)).gate
        decided = await opened.decide(gate, verdict, **words)
        if as_json:
            print_json(decided_document(decided, opened.tenant_id, gate.bundle.digest))
        else:
            place = f" for {opened.tenant_id}" if opened.tenant_id else ""
            click.echo(f"{verdict.capitalize()}{place}: {plain(gate.summary) or request_id}")
    return DONE


async def _queue(request_id: str, verdict: Verdict, words: Words, tenant: str | None, *, as_json: bool) -> int:
    async with session(tenant) as opened:
        if not await opened.outbox.is_durable():
            raise Failure(await opened.notice(), USAGE)
        gate = (await opened.open_gate(request_id, offline=True)).gate
        entry = await opened.outbox.queue(gate, verdict, **words)
        if as_json:
            print_json(entry_document(entry, opened.tenant_id))
        else:
            place = f" for {opened.tenant_id}" if opened.tenant_id else ""
            summary = plain(gate.summary) or request_id
            click.echo(f"Queued{place}: {verdict}, {summary}. `hitl-desktop gates sync` delivers it.")
    return DONE


gates.add_command(request)
gates.add_command(sync)
