"""`hitl-desktop tenants adopt`: what single-tenant mode left, given to one tenant."""

import asyncio
import uuid
from collections.abc import Mapping

import click

from hitl_desktop.cli.output import now, plain, print_json
from hitl_desktop.cli.running import CONFLICT, DONE, backend, json_option, run
from hitl_desktop.services.adoption import KeyState
from hitl_desktop.services.errors import NotFound
from hitl_desktop.session import Backend, ReviewSession, open_session
from hitl_desktop.store.tenant_log import TenantLog
from hitl_desktop.tenancy.audit import TenantEvent, TenantRecord

_REASONS = {
    KeyState.DIFFERS: "the tenant has something else under its own key",
    KeyState.FOREIGN: "some of its entries name another tenant",
    KeyState.UNKNOWN: "it is of a kind or name that agents do not write",
    KeyState.WAITING: "it appeared meanwhile",
}


@click.command("adopt")
@click.argument("tenant")
@click.option("--execute", is_flag=True, help="Do it; without this, only show what would be done.")
@json_option
def adopt(tenant: str, *, execute: bool, as_json: bool) -> int:
    """Give TENANT all that single-tenant mode left without a prefix.

    HITL_REDIS_URL must be an administrator's. Stop the agents first. Each key is copied; when all copies are there and
    equal, each original is compared once more and deleted in the same step. After a kill, the same command goes on
    where it stopped. Exit code 5: some keys need an answer first, and nothing was deleted.
    """
    return run(_adopt(tenant, execute=execute, as_json=as_json))


async def _adopt(tenant: str, *, execute: bool, as_json: bool) -> int:
    async with backend() as servers, open_session(servers, tenant, live=False) as session:
        servers.credentials.leave_alone()
        plan = await session.adoption.plan()
        documents = await _documents(session, execute=False)
        kinds, open_questions, moved = plan.kinds, plan.conflicts, False
        if execute and not open_questions and (plan.states or documents):
            copied = await session.adoption.copy(plan.states)
            open_questions = {key: state for key, state in copied.states.items() if not _is_settled(state)}
            if not open_questions:
                await _documents(session, execute=True)
                removed = await session.adoption.remove(plan.states)
                open_questions = {key: state for key, state in removed.states.items() if not _is_settled(state)}
                moved = not open_questions
                await _record(servers, session, len(removed.states))
    if as_json:
        print_json(
            {
                "tenant_id": tenant,
                "executed": moved,
                "keys": kinds,
                "documents": dict(documents),
                "conflicts": {key: state.value for key, state in open_questions.items()},
            }
        )
    else:
        _print(tenant, kinds, documents, open_questions, execute=execute)
    return CONFLICT if open_questions else DONE


def _is_settled(state: KeyState) -> bool:
    return state in {KeyState.COPIED, KeyState.GONE}


async def _documents(session: ReviewSession, *, execute: bool) -> Mapping[str, int]:
    try:
        return await (await session.knowledge()).adopt(execute=execute)
    except NotFound:  # go on: there is no knowledge store, and so nothing in it to adopt
        return {}


async def _record(servers: Backend, session: ReviewSession, count: int) -> None:
    reason = f"{count} keys without a prefix became the tenant's"
    entry = TenantRecord(
        TenantEvent.ADOPTED, session.tenant_id or "", None, session.reviewer, str(uuid.uuid4()), now(), reason
    )
    await session.record(entry)
    await asyncio.to_thread(TenantLog(servers.settings.state_dir).append, entry.log_fields())


def _print(
    tenant: str,
    kinds: Mapping[str, int],
    documents: Mapping[str, int],
    open_questions: Mapping[str, KeyState],
    *,
    execute: bool,
) -> None:
    if not kinds and not documents:
        click.echo(f"Nothing without a prefix is left for {tenant}.")
        return
    for kind, count in kinds.items():
        click.echo(f"{plain(kind):<24} {count:>8}")
    for base, count in documents.items():
        click.echo(f"{base:<24} {count:>8} documents")
    for key, state in open_questions.items():
        click.echo(f"✕ {plain(key)}: {_REASONS[state]}", err=True)
    if open_questions:
        click.echo("Settle these first, with the agents stopped; nothing without an equal copy was deleted.", err=True)
    elif execute:
        click.echo(f"All of it is {tenant}'s now.")
    else:
        click.echo(f"All of it would become {tenant}'s: stop the agents, then add --execute.")
