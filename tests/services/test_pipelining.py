"""Many commands sent as one: each gets its own answer, and nothing is left for whoever uses the connection next."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import redis.exceptions as fault
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from hitl_desktop.services.packing import packing_client
from hitl_desktop.services.pipelining import pipelined
from tests.servers import Server
from tests.waiting import until

_SOON = 0.05
_IN_TIME = 5.0


@pytest.fixture
async def client(server: Server) -> AsyncIterator[Redis]:
    """Yield a client with one connection alone, which the next command must use again."""
    made = packing_client(server.url, {"protocol": 2, "retry": Retry(NoBackoff(), 0), "max_connections": 1})
    yield made
    await made.aclose(close_connection_pool=True)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])) | st.binary() | st.integers(0, 10**9), max_size=20))
def test_each_command_gets_its_own_answer(server: Server, words: list[str | bytes | int]) -> None:
    async def answers() -> list[bytes]:
        async with Redis.from_url(server.url, protocol=2) as client:
            return await pipelined(client, [("ECHO", word) for word in words], _IN_TIME)

    assert asyncio.run(answers()) == [word if isinstance(word, bytes) else str(word).encode() for word in words]


async def test_many_answers_come_in_pieces(client: Redis) -> None:
    words = [f"{number}".encode() * 500 for number in range(2_000)]
    assert await pipelined(client, [("ECHO", word) for word in words], _IN_TIME) == words


async def test_an_error_stands_in_the_place_of_its_command(client: Redis) -> None:
    first, second, third = await pipelined(client, [("ECHO", "a"), ("HGET", "a"), ("ECHO", "b")], _IN_TIME)
    assert (first, third) == (b"a", b"b")
    assert isinstance(second, fault.ResponseError)


async def test_answers_that_come_too_late_are_nobodys(server: Server, client: Redis) -> None:
    server.run("CLIENT", "PAUSE", 60_000, "WRITE")
    with pytest.raises(TimeoutError):
        await pipelined(client, [("ECHO", "early"), ("SET", "k", "late"), ("ECHO", "late")], _SOON)
    server.run("CLIENT", "UNPAUSE")
    assert await pipelined(client, [("ECHO", "mine")], _IN_TIME) == [b"mine"]


async def test_answers_to_one_who_was_cancelled_are_nobodys(server: Server, client: Redis) -> None:
    server.run("CLIENT", "PAUSE", 60_000, "WRITE")
    sending = asyncio.create_task(pipelined(client, [("ECHO", "a"), ("SET", "k", "v"), ("ECHO", "b")], _IN_TIME))
    await until(lambda: bool(int(server.run("INFO", "clients")["blocked_clients"])), "the server has what was sent")
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    server.run("CLIENT", "UNPAUSE")
    assert await pipelined(client, [("ECHO", "mine")], _IN_TIME) == [b"mine"]
