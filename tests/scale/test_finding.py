"""How the tenant's server is found: by which places, as whom, over TLS, and when it moves."""

import asyncio
import contextlib
import datetime as dt
import ipaddress
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from redis.crc import key_slot

from hitl_desktop.domain.decision import Verdict
from hitl_desktop.services.acl import Role
from hitl_desktop.services.connection import connect
from hitl_desktop.services.errors import Refused, Unavailable
from hitl_desktop.settings.fleet import written as place_of
from hitl_desktop.sync.monitor import Phase
from tests import processes
from tests.gates import gate_request
from tests.scale.fleets import Cluster, Watched, paused
from tests.scale.reviewing import NAMES, ask, is_written_once, read, reviewing
from tests.servers import Server, free_port
from tests.users import SECRET, load_functions, make_user
from tests.waiting import until

SLOT = key_slot(NAMES.events.encode())


def at(server: Server) -> str:
    return place_of(server.host, server.port)


async def port_of(url: str) -> int:
    """Return the port of the server to which a connection of the tenant leads."""
    async with connect(url, key=NAMES.events) as connection:
        told = await connection.read("INFO", "server")
        return int(told["tcp_port"])


async def test_any_place_that_lives_will_do(cluster: Cluster, watched: Watched) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        dead = place_of(*nobody.getsockname())
        assert await port_of(f"redis+cluster://{dead},{at(cluster.replica)}") == cluster.master.port
        assert await port_of(f"redis+sentinel://{dead},{at(watched.sentinels[2])}/gates") == watched.master.port
        for url in (f"redis+cluster://{dead}", f"redis+sentinel://{dead}/gates"):
            with pytest.raises(Unavailable, match="can tell where the tenant's gates are"):
                await port_of(url)


async def test_a_place_that_hangs_does_not_hold_the_others_up(watched: Watched) -> None:
    master = watched.master
    with paused(watched.sentinels[0]):
        assert await port_of(watched.url) == master.port


async def test_a_sentinel_that_names_a_replica_is_passed_over(watched: Watched) -> None:
    async with cut_off_sentinel(watched.replica) as stale:
        assert await port_of(f"redis+sentinel://{stale},{at(watched.sentinels[0])}/gates") == watched.master.port
        with pytest.raises(Unavailable, match="can tell where the tenant's gates are"):
            await port_of(f"redis+sentinel://{stale}/gates")


@contextlib.asynccontextmanager
async def cut_off_sentinel(named: Server) -> AsyncIterator[str]:
    """Answer like a sentinel that has missed a fail-over; yield its address."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"gates\r\n")
        port = str(named.port)
        writer.write(f"*2\r\n${len(named.host)}\r\n{named.host}\r\n${len(port)}\r\n{port}\r\n".encode())
        await reader.read()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1") as server:
        yield place_of(*server.sockets[0].getsockname())


async def test_a_reviewers_own_user_has_all_that_it_needs(fleet: Cluster | Watched) -> None:
    for server in fleet.servers:
        make_user(server, NAMES, Role.REVIEWER)
    for server in fleet.masters:
        load_functions(server)
    user = quote(NAMES.redis_user(Role.REVIEWER))
    scheme, rest = fleet.url.split("://")
    request = gate_request("Retry")
    await ask(fleet, request)
    async with reviewing(f"{scheme}://{user}:{quote(SECRET, safe='')}@{rest}") as session:
        await session.monitor.reached(Phase.ONLINE)
        decided = await session.decide(await read(session, request), Verdict.APPROVED)
        assert is_written_once(fleet.master, request, decided.decision_id)
        await until(lambda: not session.book.pending_ids, "the echo has come back")
        assert SECRET not in session.address
    async with connect(f"{scheme}://{user}:wrong@{rest}", key=NAMES.events) as connection:
        with pytest.raises(Refused, match="user name or password"):
            await connection.read("PING")


async def test_a_login_from_the_keyring_is_that_of_the_servers_alone(fleet: Cluster | Watched) -> None:
    for server in fleet.servers:
        server.run("ACL", "SETUSER", "kept", "on", ">s3cret", "~*", "+@all")

    async def kept() -> tuple[str, str]:
        return "kept", "s3cret"

    # No sentinel knows that user.
    async with connect(fleet.url, kept, key=NAMES.events) as connection:
        assert await connection.read("ACL", "WHOAMI") == b"kept"


async def test_a_replica_need_not_confirm_to_a_user_who_may_not_wait_for_it(watched: Watched) -> None:
    watched.master.run("ACL", "SETUSER", "hasty", "on", ">s3cret", "~*", "+@all", "-wait")
    request = gate_request("Retry")
    await ask(watched, request)
    async with reviewing(watched.url.replace("://", "://hasty:s3cret@"), live=False) as session:
        decided = await session.decide(await read(session, request), Verdict.APPROVED)
        assert is_written_once(watched.master, request, decided.decision_id)


async def test_a_user_who_may_not_ask_where_the_tenant_is_is_told(cluster: Cluster) -> None:
    for server in cluster.servers:
        server.run("ACL", "SETUSER", "blind", "on", ">s3cret", "~*", "+@all", "-cluster|slots")
    async with connect(cluster.url.replace("://", "://blind:s3cret@"), key=NAMES.events) as connection:
        with pytest.raises(Refused, match=r"may not ask where .* nothing was read"):
            await connection.read("PING")


async def test_sentinels_may_have_a_password_of_their_own(watched: Watched) -> None:
    sentinel = watched.sentinels[0]
    sentinel.run("ACL", "SETUSER", "default", ">watch&me")
    sentinel.run("ACL", "SETUSER", "default", "nopass", "off")
    sentinel.run("ACL", "SETUSER", "asking", "on", ">watch&me", "+@all")
    try:
        url = f"redis+sentinel://{at(sentinel)}/gates"
        with pytest.raises(Refused, match="give HITL_REDIS_URL its own as sentinel_password"):
            await port_of(url)
        assert await port_of(f"{url}?sentinel_username=asking&sentinel_password=watch%26me") == watched.master.port
    finally:
        sentinel.run("ACL", "SETUSER", "default", "on", "nopass")


async def test_a_tenant_that_moves_to_another_node_is_followed(cluster: Cluster) -> None:
    first, second = gate_request("Before"), gate_request("After")
    await ask(cluster, first)
    old, new = cluster.master, cluster.servers[2]
    async with reviewing(cluster.url) as session:
        await session.monitor.reached(Phase.ONLINE)
        gate = await read(session, first)
        async with moved(cluster, old, new):
            decided = await session.decide(gate, Verdict.APPROVED)
            assert is_written_once(new, first, decided.decision_id)
            await ask(cluster, second)
            await until(lambda: session.book.pending_ids == {second.request_id}, "it is followed on the new node")
        await until(lambda: session.monitor.now.phase is Phase.ONLINE, "it is online again")
        gate = await read(session, second)
        again = await session.decide(gate, Verdict.APPROVED)
        assert is_written_once(old, second, again.decision_id)


async def test_no_connection_stays_with_a_server_that_was_left(cluster: Cluster) -> None:
    async with connect(cluster.url, key=NAMES.events) as connection:

        async def ports() -> set[int]:
            together = await asyncio.gather(*(connection.read("INFO", "server") for _ in range(3)))
            return {told["tcp_port"] for told in together}

        old, new = cluster.master, cluster.servers[2]
        assert await ports() == {old.port}
        async with moved(cluster, old, new):
            # One connection hears of it. The others are idle, and the server that they lead to answers as before.
            assert await connection.read("XLEN", NAMES.events) == 0
            assert await ports() == {new.port}


@contextlib.asynccontextmanager
async def moved(cluster: Cluster, old: Server, new: Server) -> AsyncIterator[None]:
    """The tenant's slot is on `new` meanwhile, as an administrator would move it, and back again afterwards."""
    await asyncio.to_thread(move, cluster, old, new)
    try:
        yield
    finally:
        await asyncio.to_thread(move, cluster, new, old)


def move(cluster: Cluster, source: Server, target: Server) -> None:
    ids = {server.port: server.run("CLUSTER", "MYID") for server in (source, target)}
    target.run("CLUSTER", "SETSLOT", SLOT, "IMPORTING", ids[source.port])
    source.run("CLUSTER", "SETSLOT", SLOT, "MIGRATING", ids[target.port])
    if keys := source.run("CLUSTER", "GETKEYSINSLOT", SLOT, 100):
        source.run("MIGRATE", target.host, target.port, "", 0, 5_000, "KEYS", *keys)
    for server in (target, source, cluster.servers[0]):
        server.run("CLUSTER", "SETSLOT", SLOT, "NODE", ids[target.port])
    processes.until(lambda: all(cluster.knows(server, target) for server in cluster.servers), "all nodes know it")


async def test_a_cluster_over_tls(home: Path, tls_server: str) -> None:
    certificate, key = self_signed(home)
    port = free_port()
    lines = (
        'save ""',
        f"tls-port {port}",
        f"tls-cert-file {certificate}",
        f"tls-key-file {key}",
        f"tls-ca-cert-file {certificate}",
        "tls-auth-clients no",
        "tls-replication yes",
        "tls-cluster yes",
        "cluster-enabled yes",
        f"cluster-port {free_port()}",
    )
    server = Server(tls_server, lines=lines)
    with contextlib.closing(server):
        server.start()
        server.run("CLUSTER", "ADDSLOTSRANGE", 0, 16_383)
        processes.until(lambda: b"cluster_state:ok" in server.run("CLUSTER", "INFO"), "the cluster serves")
        url = f"rediss+cluster://127.0.0.1:{port}?ssl_ca_certs={certificate}"
        async with connect(url, key=NAMES.events) as connection:
            assert await connection.read("XLEN", NAMES.events) == 0
        async with connect(f"redis+cluster://127.0.0.1:{port}", key=NAMES.events) as connection:
            with pytest.raises(Unavailable):
                await connection.read("PING")


def self_signed(folder: Path) -> tuple[Path, Path]:
    """Return the files of a certificate for 127.0.0.1 and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")])
    now = dt.datetime.now(dt.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, secret = folder / "cert.pem", folder / "key.pem"
    certificate.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate, secret
