"""Where tenants meet: one server, one state folder, one knowledge store; and the ways in that each of them has."""

import asyncio
import contextlib
import contextvars
import io
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hitl_desktop.cli import main
from hitl_desktop.services import TenantRedis
from hitl_desktop.services.connection import Connection, connect
from hitl_desktop.services.knowledge import KnowledgeStore
from hitl_desktop.session import Backend, ReviewSession, open_backend, open_session
from hitl_desktop.settings import KeyLayout, Settings, read_settings
from hitl_desktop.store.tenant_log import TenantLog
from hitl_desktop.tenancy import TenantContext, TenantNames
from hitl_desktop.tenancy.audit import TenantEvent, TenantRecord
from tests.environments import key_file
from tests.processes import DEADLINE
from tests.servers import Server
from tests.verbs import Answer

REVIEWER = "rev@example.org"


@dataclass(frozen=True)
class Place:
    """One machine of a reviewer who works for several tenants. `documents` is a client of Chroma."""

    server: Server
    layout: KeyLayout
    documents: Any = None

    @property
    def settings(self) -> Settings:
        """The settings, as every part of the application reads them here."""
        return read_settings()

    def names(self, tenant: str) -> TenantNames:
        return TenantNames(tenant, self.layout)

    @asynccontextmanager
    async def connection(self, tenant: str, url: str = "") -> AsyncIterator[Connection]:
        """Yield what services speak through, in the tenant's context."""
        async with connect(url or self.server.url) as connection:
            with TenantContext.tenant_scope(tenant):
                yield connection

    @asynccontextmanager
    async def client(self, tenant: str, **options: Any) -> AsyncIterator[Any]:
        """Yield what other code speaks through, in the tenant's context."""
        made: Any = TenantRedis(tenant, unix_socket_path=str(self.server.socket), decode_responses=True, **options)
        with TenantContext.tenant_scope(tenant):
            async with made:
                yield made

    @asynccontextmanager
    async def session(self, tenant: str, *, live: bool = False) -> AsyncIterator[ReviewSession]:
        """Yield a session as a verb has one, or (`live`) a window."""
        async with self.backend() as backend, open_session(backend, tenant, live=live) as session:
            yield session

    @asynccontextmanager
    async def backend(self) -> AsyncIterator[Backend]:
        async with open_backend(self.settings) as backend:
            yield backend

    def knowledge(self, tenant: str) -> KnowledgeStore:
        """Return the tenant's documents; its calls need the tenant's context."""
        return KnowledgeStore(self.documents, self.names(tenant), within=DEADLINE)

    async def record(self, session: ReviewSession, event: TenantEvent, other: str | None) -> None:
        """Record that a window came from, or goes to, another tenant: as the window does, here and on the server."""
        entry = TenantRecord(event, session.tenant_id or "", other, REVIEWER, "window", datetime.now(UTC))
        await session.record(entry)
        TenantLog(self.settings.state_dir).append(entry.log_fields())

    async def run(self, *arguments: str) -> Answer:
        """Run a verb of the command line, in no tenant's context."""

        def call() -> Answer:
            out, err = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = main(arguments)
            return Answer(code, out.getvalue(), err.getvalue())

        empty = contextvars.Context()
        return await asyncio.get_running_loop().run_in_executor(None, empty.run, call)


def files() -> Iterator[Path]:
    """Return every file under the account's home: state, caches, settings, logs."""
    everything = (Path(folder) / name for folder, _, names in os.walk(Path.home()) for name in names)
    return (path for path in everything if path.is_file())


def settle_in(monkeypatch: pytest.MonkeyPatch, server: Server, layout: KeyLayout, *tenants: str) -> None:
    """Set the environment by which everything here reads its settings; the key file is made once."""
    for name, value in {
        "HITL_REDIS_URL": server.url,
        "MULTI_TENANCY_ENABLED": "true",
        "ALLOWED_TENANTS": ",".join(tenants),
        "HITL_KEY_LAYOUT": layout.value,
        "HITL_REVIEWER": REVIEWER,
        "HITL_KEY_FILE": str(key_file(Path.home())),
    }.items():
        monkeypatch.setenv(name, value)
