"""What is packed in C, against redis-py's own packing: byte for byte the same, over whatever way it goes."""

import socket
import tempfile
from typing import Any

import pytest
import redis.exceptions as fault
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Connection

from hitl_desktop.services.packing import PackingConnection, packing_client
from tests.processes import DEADLINE

texts = st.text(st.characters(exclude_categories=["Cs"]))
arguments = st.one_of(texts, st.binary(), st.integers(), st.floats(allow_nan=False))
names = st.sampled_from(["EVALSHA", "HGETALL", "CLUSTER SLOTS", b"SCRIPT LOAD"])


@given(names, st.lists(arguments, max_size=20))
def test_a_command_is_packed_as_redis_py_packs_it(name: str | bytes, some: list[Any]) -> None:
    plain: Any = Connection()
    assert b"".join(PackingConnection().pack_command(name, *some)) == b"".join(plain.pack_command(name, *some))


@pytest.mark.parametrize("argument", [None, object(), ["list"]])
def test_what_is_neither_text_nor_bytes_nor_a_number_is_refused(argument: object) -> None:
    with pytest.raises(fault.DataError):
        PackingConnection().pack_command("SET", "key", argument)


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("redis://host:1/2", {"host": "host", "port": 1, "db": 2}),
        ("rediss://host", {"host": "host", "port": 6379, "db": 0}),
        ("unix:///socket?db=3", {"path": "/socket", "db": 3}),
    ],
)
async def test_every_way_to_a_server_packs(url: str, where: dict[str, object]) -> None:
    client: Any = packing_client(url, {"protocol": 2})
    try:
        made = client.connection_pool.make_connection()
        assert {name: getattr(made, name) for name in where} == where
        assert made.pack_command("GET", "key") == [b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n"]
    finally:
        await client.aclose()


async def test_a_socket_of_this_machine_takes_at_once_what_is_sent_together() -> None:
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{folder}/s")  # a short path
        listening.listen()
        options = {"protocol": 2, "driver_info": None, "socket_timeout": DEADLINE}
        client: Any = packing_client(f"unix://{folder}/s", options)
        try:
            connection = await client.connection_pool.get_connection()
            await connection.send_packed_command([b"x" * 350_000])  # and nobody reads
        finally:
            await client.aclose(close_connection_pool=True)
