"""Each session logs in as its own tenant, with what the keyring has at that moment, off the event loop's thread."""

import asyncio
import os
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from keyring.backends import fail, null
from keyring.errors import InitError

from hitl_desktop.domain.decision import Verdict
from hitl_desktop.domain.outbox import Cause
from hitl_desktop.services.acl import Role
from hitl_desktop.services.errors import LoginUnknown, Refused
from hitl_desktop.session import Backend, open_backend, open_session
from hitl_desktop.session import credentials as module
from hitl_desktop.session.credentials import KeptCredentials, server_of
from hitl_desktop.settings import Settings
from hitl_desktop.store.credentials import Login, Service, forget_logins, keep_login
from hitl_desktop.sync.monitor import Phase
from hitl_desktop.tenancy import TenantContext, TenantMismatchError, TenantNames
from tests import desktop, keyrings, users
from tests.environments import key_file
from tests.gates import ask, gate_request, written
from tests.servers import Server
from tests.waiting import until

A, B = "acme-corp", "widgets-inc"
URL = "redis://db:6379/0"
LOGIN = Login("redis://db:6379", "s3cret", f"{A}-reviewer")


@pytest.fixture
def ring() -> Iterator[keyrings.Asked]:
    """A keyring in memory that has tenant A's login."""
    backend = keyrings.Asked()
    with keyrings.used(backend):
        keep_login(TenantNames(A), "", Service.REDIS, LOGIN)
        backend.asked.clear()
        yield backend


@contextmanager
def waiting_ring() -> Iterator[keyrings.Waiting]:
    """Yield a keyring that has tenant A's login, and waits for its person from now on."""
    backend = keyrings.Waiting()
    with keyrings.used(backend):
        backend.answered.set()
        keep_login(TenantNames(A), "", Service.REDIS, LOGIN)
        backend.answered.clear()
        backend.asked.clear()
        yield backend


def settings(server: Server, url: str = "") -> Settings:
    state = Path(os.environ["HITL_STATE_DIR"])
    key = key_file(state.parent)
    return Settings(state, "rev", redis_url=url or server.url, multi_tenancy=True, key_file=key)


async def found(kept: KeptCredentials, tenant_id: str = A, url: str = URL) -> Login | None:
    with TenantContext.tenant_scope(tenant_id):
        return await kept.find(TenantNames(tenant_id), Service.REDIS, url)


# --- the keyring ------------------------------------------------------------------------------------------------------


async def test_a_login_is_found_for_its_tenant_server_and_service_alone(ring: keyrings.Asked) -> None:
    kept = KeptCredentials("")
    assert await found(kept) == LOGIN
    assert await found(kept, url="redis://someone:else@DB:6379/7") == LOGIN
    for url in ("redis://other:6379", "rediss://db:6379", "redis://db:6380", "unix:///db:6379"):
        assert await found(kept, url=url) is None
    assert await found(kept, B) is None
    assert await found(KeptCredentials("staging")) is None
    with TenantContext.tenant_scope(A):
        assert await kept.find(TenantNames(A), Service.CHROMA, URL) is None
    assert threading.main_thread().name not in {thread for _, thread in ring.asked}


async def test_no_context_but_the_tenants_own_gets_it(ring: keyrings.Asked) -> None:
    kept = KeptCredentials("")
    with TenantContext.tenant_scope(B), pytest.raises(TenantMismatchError):
        await kept.find(TenantNames(A), Service.REDIS, URL)
    assert await kept.find(TenantNames(None), Service.REDIS, URL) is None
    assert ring.asked == []


async def test_who_says_no_to_a_locked_keyring_is_not_asked_at_each_connection() -> None:
    backend = keyrings.Dismissed()
    with keyrings.used(backend):
        kept = KeptCredentials("")
        for tenant_id in (A, A, B):
            with pytest.raises(LoginUnknown, match=f"nobody logged in for {tenant_id}"):
                await found(kept, tenant_id)
        assert len(backend.asked) == 1
        kept.leave_alone()
        assert await found(kept) is None


async def test_a_keyring_that_fails_is_asked_again_by_the_next_connection() -> None:
    backend = keyrings.Failing()
    with keyrings.used(backend):
        keep_login(TenantNames(A), "", Service.REDIS, LOGIN)
        kept = KeptCredentials("")
        for error in (InitError("away"), RuntimeError("away"), ConnectionResetError("away")):
            backend.error = error
            with pytest.raises(LoginUnknown, match=type(error).__name__):
                await found(kept)
            backend.error = None
            assert await found(kept) == LOGIN
            assert await found(kept, B) is None  # which is no failure: there is none of theirs


async def test_a_reading_whose_caller_was_cancelled_is_waited_for_and_no_other_tenants() -> None:
    with waiting_ring() as backend:
        kept = KeptCredentials("")
        try:
            first = asyncio.create_task(found(kept))
            await until(lambda: backend.asked, "it is being read")
            first.cancel()
            await asyncio.wait([first])
            both = [asyncio.create_task(found(kept, B)), asyncio.create_task(found(kept))]
            await until(kept._one_at_a_time.locked, "the next connection needs it")
        finally:
            backend.answered.set()
        assert await asyncio.gather(*both) == [None, LOGIN]


async def test_a_keyring_that_waits_for_its_person_is_not_waited_for_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with waiting_ring() as backend:
        kept = KeptCredentials("")
        monkeypatch.setattr(module, "ANSWERED_WITHIN", 0.05)
        with pytest.raises(LoginUnknown, match="waits for somebody to unlock it"):
            await found(kept)
        await until(lambda: backend.asked, "the person is asked")
        with pytest.raises(LoginUnknown, match="waits for somebody to unlock it"):
            await found(kept)
        assert len(backend.asked) == 1
        monkeypatch.setattr(module, "ANSWERED_WITHIN", 20)
        backend.answered.set()
        await until(lambda: kept._reading is not None and kept._reading.done(), "the person has answered")
        assert await found(kept) == LOGIN


@given(st.text(min_size=1), st.text())
def test_what_a_login_is_bound_to_holds_no_secret(user: str, password: str) -> None:
    pair = f"{quote(user, safe='')}:{quote(password, safe='')}@"
    for form, bound in (
        ("redis://{}db:6379/3?a=b#c", "redis://db:6379"),
        ("https://{}host:8443/team/?q", "https://host:8443/team"),
        ("rediss://{}[::1]", "rediss://[::1]"),
    ):
        assert server_of(form.format(pair)) == bound
    assert server_of("unix:///run/a?db=1") != server_of("unix:///run/b?db=1")


# --- sessions ---------------------------------------------------------------------------------------------------------


async def test_each_tenant_logs_in_as_itself_alone(server: Server, secret_service: str) -> None:
    mine, theirs = gate_request("Mine"), gate_request("Theirs")
    await ask(server.url, A, mine)
    await ask(server.url, B, theirs)
    passwords = keyrings.make_users(server, A, B)
    for tenant_id, password in passwords.items():
        keyrings.log_in(tenant_id, server.url, password)
    server.run("ACL", "LOG", "RESET")
    async with open_backend(settings(server)) as backend:
        async with open_session(backend, A) as first, open_session(backend, B) as second:
            for session, request in ((first, mine), (second, theirs)):
                await session.monitor.reached(Phase.ONLINE)
                assert set(session.book.pending_ids) == {request.request_id}
            logged_in = {line.split(b"user=")[1].split()[0] for line in server.run("CLIENT", "LIST").splitlines()}
            assert {f"{A}-reviewer".encode(), f"{B}-reviewer".encode()} <= logged_in
            assert b"default" not in logged_in
        assert not server.run("ACL", "LOG")  # nobody tried anything that was refused
        forget_logins(TenantNames(B), "")
        async with open_session(backend, B, live=False) as session:
            with pytest.raises(Refused, match=f"`hitl-desktop tenants login {B}`"):
                await session.count_pending()


async def test_a_restricted_user_reviews_with_the_password_of_the_keyring(server: Server, ring: keyrings.Asked) -> None:
    names, request = TenantNames(A), gate_request("Mine")
    await ask(server.url, A, request)
    users.load_functions(server)
    users.make_user(server, names, Role.REVIEWER)
    server.run("ACL", "SETUSER", "default", "off")
    keyrings.log_in(A, server.url, users.SECRET)
    server.run("ACL", "LOG", "RESET")
    async with open_backend(settings(server)) as backend, open_session(backend, A) as session:
        await session.monitor.reached(Phase.ONLINE)
        gate = (await session.open_gate(request.request_id)).gate
        await session.decide(gate, Verdict.APPROVED)
    refused = {entry[entry.index(b"object") + 1] for entry in server.run("ACL", "LOG")}
    assert refused <= {b"info"}  # which SECURITY.md explains; above all no script was tried the way that is closed
    assert server.run("HGET", names.gate_request(request.request_id), "status") == b"approved"


async def test_a_password_that_was_changed_is_told_and_the_new_one_heals(valkey: Server, secret_service: str) -> None:
    password = keyrings.make_users(valkey, A)[A]
    keyrings.log_in(A, valkey.url, password)
    async with open_backend(settings(valkey)) as backend, open_session(backend, A) as session:
        await session.monitor.reached(Phase.ONLINE)
        valkey.run("ACL", "SETUSER", f"{A}-reviewer", "resetpass", ">another")
        valkey.run("CLIENT", "KILL", "USER", f"{A}-reviewer")
        told = await session.monitor.reached(Phase.REFUSED)
        assert f"`hitl-desktop tenants login {A}`" in told.problem
        assert password not in told.problem
        keyrings.log_in(A, valkey.url, "another")
        await session.monitor.reached(Phase.ONLINE)


@pytest.mark.parametrize("backend", [null.Keyring, fail.Keyring])
async def test_without_a_keyring_the_address_counts(valkey: Server, backend: type[keyrings.Asked]) -> None:
    password = keyrings.make_users(valkey, A)[A]
    url = valkey.url.replace("//", f"//{A}-reviewer:{password}@")
    with keyrings.used(backend()):
        async with open_backend(settings(valkey, url)) as opened, open_session(opened, A) as session:
            await session.monitor.reached(Phase.ONLINE)


async def test_while_a_real_keyring_is_locked_nobody_else_logs_in(valkey: Server, secret_service: str) -> None:
    password = keyrings.make_users(valkey, A)[A]
    valkey.run("ACL", "SETUSER", "default", "on", "nopass", "~*", "+@all")
    keyrings.log_in(A, valkey.url, password)
    with keyrings.locked(secret_service):
        async with open_backend(settings(valkey)) as backend, open_session(backend, A, live=False) as session:
            with pytest.raises(LoginUnknown, match=r"SecretService Keyring.*nobody logged in"):
                await session.count_pending()


async def test_a_decision_waits_for_the_keyring_and_goes_out_as_its_tenants_user(
    valkey: Server, secret_bus: str, home: Path
) -> None:
    request = gate_request("Mine")
    await ask(valkey.url, A, request)
    password = keyrings.make_users(valkey, A)[A]
    anybody = ("ACL", "SETUSER", "default", "on", "nopass", "~*", "+@all")
    async with open_backend(settings(valkey)) as backend, AsyncExitStack() as stack:
        with desktop.secret_service(home, secret_bus):
            keyrings.log_in(A, valkey.url, password)
            session = await stack.enter_async_context(open_session(backend, A))
            await session.monitor.reached(Phase.ONLINE)
            gate = (await session.open_gate(request.request_id)).gate
        with keyrings.leaving_connections():
            valkey.run(*anybody)  # as whom it must not go out
            valkey.run("CLIENT", "KILL", "USER", f"{A}-reviewer")
            told = await session.monitor.reached(Phase.REFUSED)
            assert f"nobody logged in for {A}" in told.problem
            await session.outbox.queue(gate, Verdict.APPROVED)
            decisions = session.book.decisions
            await until(lambda: decisions[request.request_id].cause is Cause.CREDENTIALS, "the row says why it waits")
            assert written(valkey, A, request).is_pending
            valkey.run("ACL", "SETUSER", "default", "off")
            with desktop.secret_service(home, secret_bus):
                await session.monitor.reached(Phase.ONLINE)
                await until(lambda: not written(valkey, A, request).is_pending, "it is sent by itself")


async def test_the_list_is_there_while_the_keyring_still_waits(valkey: Server) -> None:
    request = gate_request("Kept")
    await ask(valkey.url, A, request)

    async def listed(backend: Backend) -> None:
        async with open_session(backend, A) as session:
            await until(lambda: set(session.book.pending_ids) == {request.request_id}, "the gate is listed")
            await until(lambda: session.monitor.kept == (1, 1), "it is kept")

    waiting = keyrings.Waiting()
    waiting.answered.set()
    with keyrings.used(waiting):
        async with open_backend(settings(valkey)) as backend:
            await listed(backend)
            waiting.answered.clear()
            async with open_session(backend, A) as session:
                await until(lambda: set(session.book.pending_ids) == {request.request_id}, "the kept list is shown")
                assert session.monitor.now.phase is Phase.CONNECTING
                waiting.answered.set()
                await session.monitor.reached(Phase.ONLINE)


async def test_the_local_workspace_asks_no_keyring(ring: keyrings.Asked) -> None:
    state = Path(os.environ["HITL_STATE_DIR"])
    async with open_backend(Settings(state, "rev")) as backend:
        await backend.record_tenant(A)
        async with open_session(backend, A, live=False) as session:
            assert await session.count_pending() == 0
    assert ring.asked == []
