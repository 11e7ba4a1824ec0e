"""Real fleets for the tests: a Redis Cluster, and a master with a replica that three sentinels watch."""

import contextlib
import os
import signal
from collections.abc import Iterator
from typing import Any

import redis
from redis.crc import key_slot

from tests import processes
from tests.servers import Server, available, free_port

FAIL_OVER = 60.0
"""Seconds in which a busy machine's servers certainly agree on a new master."""
_SLOTS = 16_384
_NOTICED_AFTER_MS = 1_500
_COMMON = ('save ""', "repl-diskless-sync-delay 0", "repl-ping-replica-period 1", "repl-timeout 5")


def kind() -> str:
    """Return Debian's server where there is one, else the one that the development tools bring."""
    return "redis" if "redis" in available() else "valkey"


@contextlib.contextmanager
def paused(server: Server) -> Iterator[None]:
    """The server does nothing meanwhile, and its connections stay open: as if the network had swallowed it."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


def is_replica_of(server: Server, master: Server) -> bool:
    """Whether `server` follows `master` and has all of its data, and the master sends it what is new."""
    with contextlib.suppress(redis.RedisError):
        told, first = (one.run("INFO", "replication") for one in (server, master))
        is_up = told.get("master_port") == master.port and told.get("master_link_status") == "up"
        # A master holds back what is new until the replica has first reported, up to a second after the link is up.
        return bool(is_up and first.get("slave0", {}).get("state") == "online")
    return False


def cut_off(replica: Server) -> None:
    """Let a replica lose its master, so that it has nothing of what comes now."""
    replica.run("CONFIG", "SET", "masteruser", "nobody", "masterauth", "wrong")
    replica.run("CLIENT", "KILL", "TYPE", "master")


def join_again(replica: Server) -> None:
    """Let it find a master again."""
    replica.run("CONFIG", "SET", "masteruser", "", "masterauth", "")


class Cluster:
    """Three masters, and a replica for the one that has the slot of `key`, which must be the second."""

    def __init__(self, key: str) -> None:
        lines = (
            *_COMMON,
            "cluster-enabled yes",
            f"cluster-node-timeout {_NOTICED_AFTER_MS}",
            "cluster-replica-validity-factor 0",
        )
        self.servers = [Server(kind(), lines=(*lines, f"cluster-port {free_port()}")) for _ in range(4)]
        self._slot = key_slot(key.encode())
        assert self._slot // (_SLOTS // 3) == 1

    @property
    def url(self) -> str:
        """The address of the cluster, by three of its nodes; the one with the slot is among them."""
        return "redis+cluster://" + ",".join(f"{node.host}:{node.port}" for node in self.servers[:3])

    @property
    def one_url(self) -> str:
        """The address by the slot's master alone."""
        return f"redis+cluster://{self.master.host}:{self.master.port}"

    @property
    def master(self) -> Server:
        """The master of the slot, as another one knows it."""
        return self._of_slot()[0]

    @property
    def replica(self) -> Server:
        """The replica of the slot's master."""
        return self._of_slot()[1]

    @property
    def masters(self) -> list[Server]:
        """The three masters; the second has the slot."""
        return [self.servers[0], self.master, self.servers[2]]

    def start(self) -> None:
        """Start all nodes and return when they serve as one."""
        for node in self.servers:
            node.start()
        first, *others = self.servers
        for place, node in enumerate(self.servers[:3]):
            after = (place + 1) * (_SLOTS // 3) if place < 2 else _SLOTS
            node.run("CLUSTER", "ADDSLOTSRANGE", place * (_SLOTS // 3), after - 1)
            node.run("CLUSTER", "SET-CONFIG-EPOCH", place + 1)
        for node in others:
            first.run("CLUSTER", "MEET", node.host, node.port, node.lines[-1].split()[1])
        processes.until(lambda: all(map(self._is_joined, self.servers)), "the nodes know each other", within=FAIL_OVER)
        self.servers[3].run("CLUSTER", "REPLICATE", self.servers[1].run("CLUSTER", "MYID"))
        self.mend()

    def mend(self) -> None:
        """Start what was killed, empty what there is, and return when every node sees a whole cluster."""
        for node in self.servers:
            node.start()
            join_again(node)
        processes.until(self._is_whole, "the cluster is whole", within=FAIL_OVER)
        for node in self.masters:
            node.run("FLUSHALL")

    def close(self) -> None:
        """End all nodes."""
        for node in self.servers:
            node.close()

    def has_promoted(self, replica: Server) -> bool:
        """Whether `replica` is the master now, for itself and for another node."""
        return bool(replica.run("ROLE")[0] == b"master" and self.master is replica)

    def _is_joined(self, node: Server) -> bool:
        told: bytes = node.run("CLUSTER", "INFO")
        return b"cluster_state:ok" in told and b"cluster_known_nodes:%d\r" % len(self.servers) in told

    def _is_whole(self) -> bool:
        servers = self._of_slot()
        return all(map(self._is_joined, self.servers)) and len(servers) > 1 and is_replica_of(servers[1], servers[0])

    def knows(self, node: Server, master: Server) -> bool:
        """Whether `node` knows that `master` has the slot."""
        return self._of_slot(node)[0] is master

    def _of_slot(self, asked: Server | None = None) -> list[Server]:
        for first, last, *nodes in (asked or self.servers[0]).run("CLUSTER", "SLOTS"):
            if first <= self._slot <= last:
                return [next(server for server in self.servers if server.port == node[1]) for node in nodes]
        raise AssertionError("nobody has the slot")


class Watched:
    """A master with a replica, and three sentinels."""

    service = "gates"

    def __init__(self) -> None:
        self.servers = [Server(kind(), lines=_COMMON) for _ in range(2)]
        self.sentinels: list[Server] = []

    @property
    def url(self) -> str:
        """The address of the sentinels."""
        return "redis+sentinel://" + ",".join(f"{one.host}:{one.port}" for one in self.sentinels) + f"/{self.service}"

    @property
    def one_url(self) -> str:
        """The address by one sentinel alone."""
        return f"redis+sentinel://{self.sentinels[2].host}:{self.sentinels[2].port}/{self.service}"

    @property
    def master(self) -> Server:
        """The master, as a sentinel knows it."""
        _, port = self.sentinels[0].run("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.service)
        return next(server for server in self.servers if server.port == int(port))

    @property
    def replica(self) -> Server:
        """The other one."""
        return next(server for server in self.servers if server is not self.master)

    @property
    def masters(self) -> list[Server]:
        """The only master."""
        return [self.master]

    def start(self) -> None:
        """Start all and return when the sentinels know the replica and each other."""
        for server in self.servers:
            server.start()
        master, replica = self.servers
        replica.run("REPLICAOF", master.host, master.port)
        for _ in range(3):
            lines = (
                f"sentinel monitor {self.service} {master.host} {master.port} 2",
                f"sentinel down-after-milliseconds {self.service} {_NOTICED_AFTER_MS}",
                f"sentinel failover-timeout {self.service} 2000",
            )
            sentinel = Server(kind(), lines=lines, arguments=("--sentinel",))
            sentinel.start()
            self.sentinels.append(sentinel)
        self.mend()

    def mend(self) -> None:
        """Start what was killed, empty what there is, and return when the sentinels could fail over again."""
        master, replica = self.master, self.replica
        for server in self.servers:
            server.start()
            join_again(server)
        if not is_replica_of(replica, master):
            replica.run("REPLICAOF", master.host, master.port)
        processes.until(lambda: is_replica_of(replica, master), "the replica has the data", within=FAIL_OVER)
        processes.until(lambda: all(map(self._is_ready, self.sentinels)), "the sentinels are ready", within=FAIL_OVER)
        master.run("FLUSHALL")

    def close(self) -> None:
        """End all."""
        for server in (*self.sentinels, *self.servers):
            server.close()

    def has_promoted(self, replica: Server) -> bool:
        """Whether `replica` is the master now, for itself and for every sentinel."""
        with contextlib.suppress(redis.ConnectionError):  # a sentinel ends the connections of whom it promotes
            return bool(replica.run("ROLE")[0] == b"master") and all(
                int(one.run("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.service)[1]) == replica.port
                for one in self.sentinels
            )
        return False

    def _is_ready(self, sentinel: Server) -> bool:
        reply: list[Any] = sentinel.run("SENTINEL", "MASTER", self.service)
        told = dict(zip(reply[::2], reply[1::2], strict=True))
        replicas = sentinel.run("SENTINEL", "REPLICAS", self.service)
        states = [dict(zip(one[::2], one[1::2], strict=True))[b"flags"] for one in replicas]
        return (told[b"flags"], told[b"num-other-sentinels"], states) == (b"master", b"2", [b"slave"])
