"""How a verb runs: settings, servers and a session for its tenant, and each error as a sentence and an exit code."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from hitl_desktop.domain.decision import ReasonRequiredError
from hitl_desktop.domain.outbox import AlreadyQueuedError, NotWithdrawableError
from hitl_desktop.local import LocalWorkspaceError
from hitl_desktop.services.errors import Conflict, Malformed, NotFound, Refused, Unavailable
from hitl_desktop.session import Backend, ReviewSession, open_backend, open_session
from hitl_desktop.settings import Settings, SettingsError, read_settings
from hitl_desktop.store.errors import NoKeyError, StoreError
from hitl_desktop.store.keyring import KeyringUnusableError
from hitl_desktop.store.tenant_log import TenantLog
from hitl_desktop.tenancy import TenancyError, TenantNotAllowedError
from hitl_desktop.tenancy.audit import TenantEvent, TenantRecord

DONE = 0
UNREADABLE = 1
USAGE = 2
REJECTED = 3
EXPIRED = 4
CONFLICT = 5
UNREACHABLE = 6
NOT_FOUND = 7
_NAME_KEPT = 200
_CODES: tuple[tuple[type[Exception], int], ...] = (
    (SettingsError, USAGE),
    (TenancyError, USAGE),
    (ReasonRequiredError, USAGE),
    (NotFound, NOT_FOUND),
    (Conflict, CONFLICT),
    (Unavailable, UNREACHABLE),
    (Refused, UNREACHABLE),
    (LocalWorkspaceError, UNREACHABLE),
    (AlreadyQueuedError, CONFLICT),
    (NotWithdrawableError, CONFLICT),
    (NoKeyError, USAGE),
    (KeyringUnusableError, USAGE),
    (StoreError, UNREADABLE),
    (Malformed, UNREADABLE),
)

Command = TypeVar("Command", bound=Callable[..., Any])


class Failure(click.ClickException):
    """A verb that failed: a sentence, and the exit code of its cause."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.exit_code = code  # type: ignore[misc]  # click reads it from the instance


def run(work: Coroutine[Any, Any, int]) -> int:
    """Run a verb's work and return its exit code.

    Raises:
        Failure: it failed for a reason that a user can do something about.
    """
    try:
        with failures():
            return asyncio.run(work)
    except BrokenPipeError:
        # The reader of a pipe has left; what it wanted, it has.
        with contextlib.suppress(OSError):
            sys.stdout.close()
        return DONE


@contextmanager
def failures() -> Iterator[None]:
    """Turn what a user can do something about into a sentence and the exit code of its cause.

    Raises:
        Failure: the block failed for such a reason.
    """
    try:
        yield
    except tuple(cause for cause, _ in _CODES) as error:
        code = next(code for cause, code in _CODES if isinstance(error, cause))
        raise Failure(str(error), code) from None


@asynccontextmanager
async def backend() -> AsyncIterator[Backend]:
    """Yield the servers of the settings. A tenant that may not be worked for is noted in the local log of tenants."""
    settings = read_settings()
    async with open_backend(settings) as opened:
        try:
            yield opened
        except TenantNotAllowedError as refused:
            await asyncio.to_thread(_note, refused, settings)
            raise


def _note(refused: TenantNotAllowedError, settings: Settings) -> None:
    place, now = f"command line {os.getpid()}", datetime.now(UTC)
    tenant_id = refused.tenant_id[:_NAME_KEPT]
    entry = TenantRecord(TenantEvent.REFUSED, tenant_id, None, settings.reviewer, place, now, str(refused))
    with contextlib.suppress(OSError):  # a full disk must not hide the reason
        TenantLog(settings.state_dir).append(entry.log_fields())


@asynccontextmanager
async def session(tenant: str | None) -> AsyncIterator[ReviewSession]:
    """Yield a session that reads and writes only what it is asked to, for `tenant` or the default one."""
    async with backend() as servers, open_session(servers, tenant, live=False) as opened:
        yield opened


def tenant_option(command: Command) -> Command:
    """Add `--tenant`."""
    return click.option("--tenant", metavar="T", help="The tenant to work for; else the default one.")(command)


def offline_option(command: Command) -> Command:
    """Add `--offline`."""
    explained = "Leave the network alone: use what is kept on this machine."
    return click.option("--offline", is_flag=True, help=explained)(command)


def json_option(command: Command) -> Command:
    """Add `--json`."""
    explained = "Print one JSON document and nothing else on standard output."
    return click.option("--json", "as_json", is_flag=True, help=explained)(command)
