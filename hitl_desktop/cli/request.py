"""`hitl-desktop gates request`: any agent or script asks a human, and may wait for the answer."""

import base64
import hashlib
import json
import re
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

from hitl_desktop.cli.output import decided_document, now, plain, print_json
from hitl_desktop.cli.running import DONE, EXPIRED, REJECTED, json_option, run, session, tenant_option
from hitl_desktop.domain.evidence import INLINE_LIMIT, evidence_digest
from hitl_desktop.domain.gate import Gate, GateKind, GateStatus, gate_kind
from hitl_desktop.domain.time import format_time
from hitl_desktop.services.encoding import GateRequest
from hitl_desktop.services.errors import Conflict, Interrupted, Unavailable
from hitl_desktop.session import ReviewSession

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}
_BLOCK_MS = 2_000
_WAIT_CODES = {GateStatus.APPROVED: DONE, GateStatus.REJECTED: REJECTED, GateStatus.EXPIRED: EXPIRED}


Answer = TypeVar("Answer")


class _GateType(click.ParamType[Any]):
    name = "type"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        names = {kind.value: kind for kind in GateKind}
        kind = names.get(value) or gate_kind(value)
        if kind is None:
            self.fail(
                f"{value!r} is no gate type; allowed are {', '.join(names)} and their names on the wire.", param, ctx
            )
        return kind.wire_type


class _Span(click.ParamType[Any]):
    name = "duration"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        match = re.fullmatch(r"(\d{1,9})([smhd]?)", value)
        if match is None:
            self.fail(f"{value!r} is no duration; allowed are seconds, or a number with s, m, h or d.", param, ctx)
        return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


class _EvidenceFile(click.ParamType[Any]):
    name = "evidence"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Path]:
        item_type, equals, file = value.partition("=")
        if not equals or not item_type or not file:
            self.fail(f"{value!r} is not TYPE=FILE.", param, ctx)
        if not Path(file).is_file():
            self.fail(f"{file!r} is no file.", param, ctx)
        return item_type, Path(file)


@click.command()
@click.option("--type", "gate_type", type=_GateType(), required=True, help="backlog, design, plan, code, validation, …")
@click.option("--task", required=True, metavar="TEXT", help="The task's id.")
@click.option("--session", "session_id", required=True, metavar="TEXT", help="The agents' session id.")
@click.option("--summary", required=True, metavar="TEXT", help="What is asked, in a line.")
@click.option(
    "--evidence",
    type=_EvidenceFile(),
    multiple=True,
    metavar="TYPE=FILE",
    help=f"A piece of evidence; repeatable. Files up to {INLINE_LIMIT // 1024} KiB are sent along.",
)
@click.option("--expires-in", type=_Span(), metavar="SPAN", help="Seconds, or a number with s, m, h or d.")
@click.option("--requested-by", default="hitl-desktop", show_default=True, metavar="TEXT", help="Who asks.")
@click.option("--git-sha", default="", metavar="SHA", help="The commit that the evidence belongs to.")
@click.option("--wait", is_flag=True, help="Wait for the decision: exit 0 approved, 3 rejected, 4 expired.")
@tenant_option
@json_option
def request(tenant: str | None, *, wait: bool, as_json: bool, **asked: Any) -> int:
    """Post a gate, so that a human is asked."""
    return run(_request(tenant, asked, wait=wait, as_json=as_json))


async def _request(tenant: str | None, asked: dict[str, Any], *, wait: bool, as_json: bool) -> int:
    posted = _gate_request(asked, now())
    async with session(tenant) as opened:
        if wait:
            return await _wait(opened, posted, as_json=as_json)
        await opened.request(posted)
        if as_json:
            fields = {name.encode(): value.encode() for name, value in posted.bundle.items()}
            print_json(
                {
                    "request_id": posted.request_id,
                    "tenant_id": opened.tenant_id,
                    "status": GateStatus.PENDING.value,
                    "evidence_bundle_id": posted.bundle["bundle_id"],
                    "evidence_digest": evidence_digest(fields),
                    "expires_at": None if posted.expires_at is None else format_time(posted.expires_at),
                }
            )
        else:
            click.echo(posted.request_id)
    return DONE


async def _wait(opened: ReviewSession, posted: GateRequest, *, as_json: bool) -> int:
    cursor = await opened.newest_event()
    try:
        await opened.request(posted)
    except Interrupted as error:  # ask again: what is there by its id already is left as it is
        await _back(opened, error)
        await _answered(opened, lambda: opened.request(posted))
    if not as_json:
        click.echo(f"Waiting for a decision about {posted.request_id}.", err=True)
    gate = await _look(opened, posted.request_id)
    while gate.status is GateStatus.PENDING:
        cursor = await _next_news(opened, gate, cursor)
        gate = await _look(opened, gate.request_id)
    decided = await _answered(opened, lambda: opened.outcome(gate))
    if as_json:
        print_json(decided_document(decided, opened.tenant_id, gate.bundle.digest))
    else:
        click.echo(f"{plain(str(decided)).capitalize()}.")
        for condition in decided.conditions:
            click.echo(f"Condition: {plain(condition)}")
    return _WAIT_CODES[gate.status]


async def _look(opened: ReviewSession, request_id: str) -> Gate:
    return (await _answered(opened, lambda: opened.open_gate(request_id))).gate


async def _next_news(opened: ReviewSession, gate: Gate, cursor: str) -> str:
    """Wait until something happens, or the gate's time has run out, and return the cursor behind it."""
    left_ms = _BLOCK_MS if gate.expires_at is None else int((gate.expires_at - now()).total_seconds() * 1000) + 1
    try:
        if left_ms > 0:
            return await opened.next_events(cursor, min(left_ms, _BLOCK_MS))
        await opened.expire(gate)
    except Conflict:  # go on: decided in the last moment, or the server's clock is behind ours
        return await _answered(opened, lambda: opened.next_events(cursor, _BLOCK_MS // 10))
    except Unavailable as error:  # go on: the gate is posted, and its decision comes with the server
        await _back(opened, error)
    return cursor


async def _answered(opened: ReviewSession, ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """Return what the server answers, however often it goes away meanwhile: the gate is posted."""
    while True:
        try:
            return await ask()
        except Unavailable as error:  # ask again: it comes back, or somebody ends the waiting
            await _back(opened, error)


async def _back(opened: ReviewSession, error: Unavailable) -> None:
    click.echo(f"{error} Still waiting.", err=True)
    await opened.returned()


def _gate_request(asked: dict[str, Any], at: datetime) -> GateRequest:
    bundle_id = str(uuid.uuid4())
    items = [_item(item_type, file) for item_type, file in asked["evidence"]]
    return GateRequest(
        request_id=str(uuid.uuid4()),
        task_id=asked["task"],
        session_id=asked["session_id"],
        gate_type=asked["gate_type"],
        requested_by=asked["requested_by"],
        requested_at=at,
        expires_at=None if asked["expires_in"] is None else at + asked["expires_in"],
        bundle={
            "bundle_id": bundle_id,
            "task_id": asked["task"],
            "gate_type": asked["gate_type"],
            "git_sha": asked["git_sha"],
            "items": json.dumps(items),
            "created_at": format_time(at),
            "summary": asked["summary"],
        },
    )


def _item(item_type: str, file: Path) -> dict[str, Any]:
    content = file.read_bytes()
    metadata: dict[str, str] = {}
    if len(content) <= INLINE_LIMIT:
        try:
            metadata = {"content": content.decode()}
        except UnicodeDecodeError:
            metadata = {"content_base64": base64.b64encode(content).decode()}
    else:
        click.echo(f"{file} is over {INLINE_LIMIT // 1024} KiB: only its path and digest are sent.", err=True)
    return {
        "item_type": item_type,
        "path": file.as_posix(),
        "description": "",
        "content_hash": hashlib.sha256(content).hexdigest(),
        "metadata": metadata,
    }
