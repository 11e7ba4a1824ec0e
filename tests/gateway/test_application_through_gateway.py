"""The application itself through the gateway: each session with its own tenant's token, and nothing without one."""

import asyncio
import io
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import keyring
import pytest

from hitl_desktop.cli import main
from hitl_desktop.gateway.tokens import new_token
from hitl_desktop.services.errors import Refused
from hitl_desktop.session import Backend, ReviewSession, open_backend, open_session
from hitl_desktop.session.credentials import server_of
from hitl_desktop.settings import Settings
from hitl_desktop.store.credentials import Login, Service, keep_login, read_logins
from hitl_desktop.tenancy import TenantNames
from tests import keyrings
from tests.gateway import held
from tests.gateway.gateway_process import GatewayProcess
from tests.servers import Server
from tests.services.chroma_server import ChromaServer, recorded, sent

A, B = "acme-corp", "widgets-inc"


@pytest.fixture(scope="module", autouse=True)
def collections(chroma: ChromaServer) -> None:
    held.clear(chroma.url)
    with held.own_client(chroma.url, {}) as client:
        for tenant_id in (A, B):
            held.make_collection(client, f"{tenant_id}_asdlc_documents", f"plan of {tenant_id}")


@pytest.fixture(autouse=True)
def ring() -> Iterator[keyrings.Asked]:
    backend = keyrings.Asked()
    with keyrings.used(backend):
        yield backend


def keep_token(tenant_id: str, url: str, token: str) -> None:
    keep_login(TenantNames(tenant_id), "", Service.CHROMA, Login(server_of(url), token))


def servers(valkey: Server, chroma_url: str) -> Settings:
    return Settings(
        Path(os.environ["HITL_STATE_DIR"]),
        "rev",
        redis_url=valkey.url,
        chroma_url=chroma_url,
        multi_tenancy=True,
        tenant_header="X-Tenant-ID",
    )


@asynccontextmanager
async def session(backend: Backend, tenant_id: str = A) -> AsyncIterator[ReviewSession]:
    async with open_session(backend, tenant_id, live=False) as opened:
        yield opened


async def found(session: ReviewSession) -> set[str]:
    return {hit.content for hit in (await session.search("plan")).hits}


def documents(tenant_id: str) -> set[str]:
    return {f"plan of {tenant_id} one", f"plan of {tenant_id} two"}


async def test_every_request_has_the_tenants_own_token_and_name(gateway: GatewayProcess, valkey: Server) -> None:
    async with recorded(gateway.url) as there:
        for tenant_id in (A, B):
            keep_token(tenant_id, there.url, gateway.tokens[tenant_id])
        async with (
            open_backend(servers(valkey, there.url)) as backend,
            session(backend) as mine,
            session(backend, B) as theirs,
        ):
            for opened, tenant_id in ((mine, A), (theirs, B), (mine, A)):
                there.requests.clear()
                assert await asyncio.create_task(found(opened), context=opened.context) == documents(tenant_id)
                assert sent(there, "authorization") == {(f"Bearer {gateway.tokens[tenant_id]}",)}
                assert sent(there, "x-tenant-id") == {(tenant_id,)}


async def test_another_tenants_token_is_refused_and_the_verb_named(gateway: GatewayProcess, valkey: Server) -> None:
    before = len(gateway.refusals())
    keep_token(A, gateway.url, gateway.tokens[B])
    async with open_backend(servers(valkey, gateway.url)) as backend, session(backend) as opened:
        with pytest.raises(Refused) as told:
            await opened.search("plan")
    assert str(told.value).endswith(f"`hitl-desktop tenants login {A} --chroma`.")
    assert gateway.tokens[B] not in f"{told.value} {told.value.__cause__!r} {told.value.__cause__}"
    assert len(gateway.refusals()) > before
    assert gateway.tokens[B] not in gateway.audit_file.read_text()


@pytest.mark.parametrize("state", ["none", "another server", "another tenant"])
async def test_without_a_token_of_its_own_nothing_is_read(gateway: GatewayProcess, valkey: Server, state: str) -> None:
    if state == "another server":
        keep_token(A, "http://elsewhere:8001", gateway.tokens[A])
    elif state == "another tenant":
        keep_token(B, gateway.url, gateway.tokens[B])
    async with recorded(gateway.url) as there:
        async with open_backend(servers(valkey, there.url)) as backend, session(backend) as opened:
            with pytest.raises(Refused, match=f"tenants login {A} --chroma"):
                await opened.search("plan")
        assert sent(there, "authorization") == {()}


async def test_a_new_token_counts_from_the_next_search_on(gateway: GatewayProcess, valkey: Server) -> None:
    keep_token(A, gateway.url, gateway.tokens[A])
    before = gateway.tokens[A]
    async with open_backend(servers(valkey, gateway.url)) as backend, session(backend) as opened:
        assert await found(opened) == documents(A)
        gateway.tokens[A] = new_token()
        gateway.write_tokens()
        try:
            with pytest.raises(Refused):
                await opened.search("plan")
            keep_token(A, gateway.url, gateway.tokens[A])
            assert await found(opened) == documents(A)
        finally:
            gateway.tokens[A] = before
            gateway.write_tokens()


async def test_a_session_that_ends_closes_its_client_alone(gateway: GatewayProcess, valkey: Server) -> None:
    for tenant_id in (A, B):
        keep_token(tenant_id, gateway.url, gateway.tokens[tenant_id])
    async with open_backend(servers(valkey, gateway.url)) as backend, session(backend, B) as theirs:
        assert await found(theirs) == documents(B)
        async with session(backend) as mine:
            assert await found(mine) == documents(A)
        assert await found(theirs) == documents(B)


async def test_the_keyring_is_asked_off_the_event_loop(
    gateway: GatewayProcess, valkey: Server, ring: keyrings.Asked
) -> None:
    keep_token(A, gateway.url, gateway.tokens[A])
    ring.asked.clear()
    async with open_backend(servers(valkey, gateway.url)) as backend, session(backend) as opened:
        await opened.search("plan")
    assert {user for user, _ in ring.asked} == {f"tenant:{A}"}
    assert "MainThread" not in {thread for _, thread in ring.asked}


def keyring_name() -> str:
    return str(keyring.get_keyring().name)


# --- the verb ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def login(
    gateway: GatewayProcess, valkey: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[str], tuple[int, str]]:
    for name, value in {
        "HITL_REDIS_URL": valkey.url,
        "HITL_CHROMA_URL": gateway.url,
        "MULTI_TENANCY_ENABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)

    def call(token: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(f"{token}\n"))
        code = main(["tenants", "login", A, "--chroma"])
        told = capsys.readouterr()
        assert token not in told.out + told.err
        return code, told.out + told.err

    return call


def test_a_token_is_kept_once_the_gateway_takes_it(
    gateway: GatewayProcess, login: Callable[[str], tuple[int, str]]
) -> None:
    for wrong in (gateway.tokens[B], new_token()):
        code, told = login(wrong)
        assert code == 6
        assert told.rstrip().endswith("Nothing was kept.")
        assert read_logins(TenantNames(A), "") == {}
    assert login(gateway.tokens[A]) == (0, f"The token for {gateway.url} is kept in the keyring ({keyring_name()}).\n")
    assert read_logins(TenantNames(A), "")[Service.CHROMA].secret == gateway.tokens[A]
