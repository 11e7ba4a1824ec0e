"""`hitl-desktop outbox`: decisions on their way, and those that could not be delivered. It needs no server."""

import json
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import click

from hitl_desktop.cli.output import plain, print_json
from hitl_desktop.cli.running import DONE, backend, json_option, run, tenant_option
from hitl_desktop.domain.outbox import OutboxEntry, decisions
from hitl_desktop.services.errors import NotFound
from hitl_desktop.session.export import entry_document, export_document
from hitl_desktop.store.outbox import DELIVERED_KEPT
from hitl_desktop.store.tenant_store import StoreThread, kept_tenants, open_store
from hitl_desktop.tenancy import TenantNames, TenantNotAllowedError


@click.group()
def outbox() -> None:
    """See decisions that are on their way, and answer those that could not be delivered."""


@asynccontextmanager
async def _store(tenant: str | None) -> AsyncIterator[tuple[StoreThread, str | None]]:
    """Yield a tenant's store. A tenant that may no longer be worked for still has its own rows here."""
    async with backend() as servers:
        try:
            chosen = servers.config.choose(tenant)
        except TenantNotAllowedError:
            if tenant is None or tenant not in kept_tenants(servers.settings):
                raise
            chosen = tenant
        async with open_store(servers.settings, TenantNames(chosen)) as disk:
            yield disk, chosen


@outbox.command("list")
@click.option("--all", "everything", is_flag=True, help="Delivered ones of the last 30 days, too.")
@tenant_option
@json_option
def list_outbox(tenant: str | None, *, everything: bool, as_json: bool) -> int:
    """List decisions that are not delivered."""
    return run(_list(tenant, everything=everything, as_json=as_json))


async def _list(tenant: str | None, *, everything: bool, as_json: bool) -> int:
    since = time.time() - DELIVERED_KEPT if everything else None
    async with _store(tenant) as (disk, chosen):
        entries = await disk(lambda store: store.outbox.entries(since))
        notice = await disk(lambda store: store.notice)
    if notice:
        click.echo(plain(notice), err=True)
    if as_json:
        print_json({"tenant_id": chosen, "decisions": [entry_document(entry, chosen) for entry in entries]})
        return DONE
    for entry in entries:
        _print(entry)
    if not entries:
        click.echo(f"Nothing is in the outbox{f' of {chosen}' if chosen else ''}.")
    return DONE


@outbox.command()
@click.argument("decision_id", metavar="ID")
@tenant_option
@json_option
def show(decision_id: str, tenant: str | None, *, as_json: bool) -> int:
    """Show one decision, and why it could not be delivered."""
    return run(_show(decision_id, tenant, as_json=as_json))


async def _show(decision_id: str, tenant: str | None, *, as_json: bool) -> int:
    async with _store(tenant) as (disk, chosen):
        entry = await _find(disk, decision_id)
    if as_json:
        print_json(entry_document(entry, chosen))
        return DONE
    _print(entry)
    for name, text in (("Reason", entry.decision.reason), ("Theirs", str(entry.theirs or ""))):
        if text:
            click.echo(f"  {name}: {plain(text)}")
    for condition in entry.decision.conditions:
        click.echo(f"  Condition: {plain(condition)}")
    return DONE


@outbox.command()
@click.argument("decision_id", metavar="[ID]", required=False)
@tenant_option
@json_option
def retry(decision_id: str | None, tenant: str | None, *, as_json: bool) -> int:
    """Queue a decision that could not be delivered again; without ID, all that the server refused."""
    return run(_retry(decision_id, tenant, as_json=as_json))


async def _retry(decision_id: str | None, tenant: str | None, *, as_json: bool) -> int:
    async with _store(tenant) as (disk, chosen):
        if decision_id is not None:
            await _find(disk, decision_id)
        count = await disk(lambda store: store.outbox.retry(decision_id))
    if as_json:
        print_json({"tenant_id": chosen, "queued": count})
    else:
        click.echo(f"{count} queued again; `hitl-desktop gates sync` delivers them.")
    return DONE


@outbox.command()
@click.argument("decision_id", metavar="ID")
@tenant_option
@json_option
def withdraw(decision_id: str, tenant: str | None, *, as_json: bool) -> int:
    """Take a decision back that was not sent, or could not be delivered."""
    return run(_withdraw(decision_id, tenant, as_json=as_json))


async def _withdraw(decision_id: str, tenant: str | None, *, as_json: bool) -> int:
    async with _store(tenant) as (disk, chosen):
        entry = await _find(disk, decision_id)
        await disk(lambda store: store.outbox.withdraw(decision_id))
    if as_json:
        print_json({**entry_document(entry, chosen), "state": "withdrawn"})
    else:
        click.echo(f"Withdrawn: {entry.decision.verdict}, {plain(entry.gate.summary) or entry.request_id}")
    return DONE


@outbox.command()
@click.argument("decision_ids", metavar="[ID]...", nargs=-1)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="A new file, for your eyes alone.")
@tenant_option
@json_option
def export(decision_ids: tuple[str, ...], output: Path | None, tenant: str | None, *, as_json: bool) -> int:
    """Write decisions, with the evidence they were made on, as one JSON document; without ID, all in the outbox."""
    return run(_export(decision_ids, output, tenant, as_json=as_json))


async def _export(decision_ids: Sequence[str], output: Path | None, tenant: str | None, *, as_json: bool) -> int:
    async with _store(tenant) as (disk, chosen):
        entries = [await _find(disk, name) for name in decision_ids]
        if not decision_ids:
            entries = await disk(lambda store: store.outbox.entries())
        exported: list[dict[str, Any]] = []
        for entry in entries:
            fields = await disk(lambda store, name=entry.decision_id: store.outbox.fields(name))  # type: ignore[misc]
            exported.append(export_document(entry, chosen, fields))
    document = {"tenant_id": chosen, "decisions": exported}
    if output is None:
        print_json(document)
        return DONE
    try:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise click.FileError(str(output), error.strerror) from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=2)
    if as_json:
        print_json({"tenant_id": chosen, "exported": len(exported), "output": str(output)})
    else:
        click.echo(f"{decisions(len(exported))} written to {output}.")
    return DONE


async def _find(disk: StoreThread, decision_id: str) -> OutboxEntry:
    entry = await disk(lambda store: store.outbox.find(decision_id))
    if entry is None:
        raise NotFound(f"There is no decision {decision_id!r} in the outbox; list it to see which there are.")
    return entry


def _print(entry: OutboxEntry) -> None:
    decision = entry.decision
    click.echo(f"{entry.state:<10} {decision.verdict:<9} {plain(entry.gate.summary) or '(no summary)'}")
    click.echo(f"           {decision.decision_id} · gate {plain(decision.request_id)}")
    if entry.problem:
        click.echo(f"           {plain(entry.problem)}")
