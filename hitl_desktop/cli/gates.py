"""`hitl-desktop gates`: list, show, approve and reject."""

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
from hitl_desktop.cli.running import DONE, json_option, run, session, tenant_option
from hitl_desktop.domain.decision import Verdict
from hitl_desktop.domain.gate import Gate, Quarantined
from hitl_desktop.services.evidence import inline_evidence


@click.group()
def gates() -> None:
    """List, read and decide gates; or post one."""


@gates.command("list")
@tenant_option
@json_option
def list_gates(tenant: str | None, *, as_json: bool) -> int:
    """List all gates that wait, soonest to expire first."""
    return run(_list(tenant, as_json=as_json))


async def _list(tenant: str | None, *, as_json: bool) -> int:
    async with session(tenant) as opened:
        records = await opened.pending()
        waiting = [record for record in records if isinstance(record, Gate)]
        damaged = [record for record in records if isinstance(record, Quarantined)]
        if as_json:
            documents = [
                gate_document(gate, opened.tenant_id, [inline_evidence(item) for item in gate.bundle.items or ()])
                for gate in waiting
            ]
            quarantined = [quarantined_document(record) for record in damaged]
            listing = {"tenant_id": opened.tenant_id, "source": "server", "gates": documents}
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


@gates.command()
@click.argument("request_id", metavar="ID")
@tenant_option
@json_option
def show(request_id: str, tenant: str | None, *, as_json: bool) -> int:
    """Show one gate with its evidence."""
    return run(_show(request_id, tenant, as_json=as_json))


async def _show(request_id: str, tenant: str | None, *, as_json: bool) -> int:
    async with session(tenant) as opened:
        found = await opened.open_gate(request_id)
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
        as_json: bool,
    ) -> int:
        words = (reason, conditions, feedback)
        return run(_decide(request_id, verdict, words, evidence_digest, tenant, as_json=as_json))

    for option in reversed(_DECISION_OPTIONS):
        command = option(command)
    gates.command(name, help=explained)(command)


_decision_command("approve", Verdict.APPROVED, "Approve one gate.")
_decision_command("reject", Verdict.REJECTED, "Reject one gate, with a reason.")


async def _decide(
    request_id: str,
    verdict: Verdict,
    words: tuple[str, tuple[str, ...], str],
    evidence_digest: str | None,
    tenant: str | None,
    *,
    as_json: bool,
) -> int:
    reason, conditions, feedback = words
    async with session(tenant) as opened:
        gate = (await opened.open_gate(request_id)).gate
        decided = await opened.decide(
            gate,
            verdict,
            reason=reason,
            conditions=conditions,
            feedback=feedback,
            evidence_digest=evidence_digest,
        )
        if as_json:
            print_json(decided_document(decided, opened.tenant_id, gate.bundle.digest))
        else:
            place = f" for {opened.tenant_id}" if opened.tenant_id else ""
            click.echo(f"{verdict.capitalize()}{place}: {plain(gate.summary) or request_id}")
    return DONE


gates.add_command(request)
