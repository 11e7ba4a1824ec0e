"""Who a connection logs in as, on real servers with users of their own."""

import asyncio
from contextlib import suppress
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio.connection import parse_url

from hitl_desktop.services.connection import Connection, connect
from hitl_desktop.services.errors import Refused, Unavailable
from hitl_desktop.services.login import without_login
from hitl_desktop.tenancy import TenantContext
from tests.servers import Server

USER, PASSWORD = "acme-corp-reviewer", "s3cret /+@:%é"


@pytest.fixture(autouse=True)
def walled(server: Server) -> None:
    """Give the server a user, and no way in without one."""
    server.run("ACL", "SETUSER", USER, "on", f">{PASSWORD}", "~*", "+@all")
    server.run("ACL", "SETUSER", "other", "on", ">other", "~*", "+@all")
    server.run("ACL", "SETUSER", "default", "off")


async def whoami(connection: Connection) -> str:
    told = await connection.read("ACL", "WHOAMI")
    return told.decode() if isinstance(told, bytes) else str(told)


async def given_login() -> tuple[str, str] | None:
    return USER, PASSWORD


async def no_login() -> tuple[str, str] | None:
    return None


def with_user(server: Server) -> str:
    return server.url.replace("//", "//other:other@")


async def test_the_credentials_beat_those_of_the_address(server: Server) -> None:
    for url in (
        server.url,
        with_user(server),
        f"{server.url}?username=other&password=other",
        f"unix://{server.socket}?db=0",
        f"unix://other@{server.socket}?password=other&db=0",
    ):
        async with connect(url, given_login) as connection:
            assert await whoami(connection) == USER


async def test_without_credentials_those_of_the_address_count(server: Server) -> None:
    for url in (
        with_user(server),
        f"{server.url}?username=other&password=other",
        f"unix://other@{server.socket}?password=other&db=0",
    ):
        async with connect(url, no_login) as connection:
            assert await whoami(connection) == "other"
    server.run("ACL", "SETUSER", "default", "on", "resetpass", f">{PASSWORD}")
    async with connect(server.url.replace("//", f"//:{quote(PASSWORD, safe='')}@"), no_login) as connection:
        assert await whoami(connection) == "default"
    server.run("ACL", "SETUSER", "default", "nopass")
    async with connect(server.url, no_login) as connection:
        assert await whoami(connection) == "default"


async def test_a_refused_login_names_the_verb_and_no_secret(server: Server) -> None:
    async def wrong() -> tuple[str, str] | None:
        return USER, "wr0ng"

    for credentials in (wrong, no_login):
        async with connect(server.url, credentials) as connection:
            with TenantContext.tenant_scope("acme-corp"), pytest.raises(Refused) as told:
                await connection.read("PING")
            assert str(told.value).endswith("with `hitl-desktop tenants login acme-corp`.")
            assert "wr0ng" not in str(told.value)
            with pytest.raises(Refused, match="check HITL_REDIS_URL"):
                await connection.read("PING")


async def test_they_are_asked_for_at_each_connecting(server: Server) -> None:
    password = [PASSWORD]

    async def current() -> tuple[str, str] | None:
        return USER, password[0]

    async with connect(server.url, current) as connection:
        assert await whoami(connection) == USER
        server.run("ACL", "SETUSER", USER, "resetpass", ">changed")
        server.run("CLIENT", "KILL", "USER", USER)
        with suppress(Unavailable):  # what finds that the old connection has ended
            await connection.read("PING")
        with pytest.raises(Refused):
            await connection.read("PING")
        password[0] = "changed"
        assert await whoami(connection) == USER


async def test_a_login_that_was_cancelled_leaves_no_connection_without_one(server: Server) -> None:
    server.run("ACL", "SETUSER", "default", "on", "nopass", "~*", "+@all")
    asked, answered = asyncio.Event(), asyncio.Event()

    async def slow() -> tuple[str, str] | None:
        asked.set()
        await answered.wait()
        return USER, PASSWORD

    async with connect(server.url, slow) as connection:
        first = asyncio.create_task(connection.read("PING"))
        await asked.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        answered.set()
        assert await whoami(connection) == USER


@given(
    st.text(min_size=1, max_size=20),
    st.text(max_size=20),
    st.sampled_from(["redis://{}host:7000/3", "rediss://{}[::1]/0?ssl_cert_reqs=none", "unix://{}/run/s?db=2"]),
    st.booleans(),
)
def test_an_address_without_its_login_is_the_same_address(user: str, password: str, form: str, in_query: bool) -> None:  # noqa: FBT001 - hypothesis gives it
    pair = (quote(user, safe=""), quote(password, safe=""))
    if in_query:
        plain = form.format("")
        url = f"{plain}{'&' if '?' in plain else '?'}username={pair[0]}&password={pair[1]}"
    else:
        url = form.format(f"{pair[0]}:{pair[1]}@")
    bare = without_login(url)
    assert parse_url(bare) == parse_url(form.format(""))
    assert not {"username", "password"} & parse_url(bare).keys()
