"""What is asked about the server itself: its version, its history, and single-tenant data beside the tenants'."""

from hitl_desktop.services import scripts
from hitl_desktop.services.connection import Connection, named_alone, understood
from hitl_desktop.services.errors import LoginRefused, Refused
from hitl_desktop.tenancy import TenantNames, require_tenant
from hitl_desktop.tenancy.naming import UNPREFIXED_KEYS, unprefixed

_STRAY = ("asdlc:pending_gates", "asdlc:events", "asdlc:audit")
_SCANNED = 1_000
_SCANS = 200


class Health:
    """The diagnosis of one tenant's server."""

    def __init__(self, connection: Connection, names: TenantNames) -> None:
        self._connection = connection
        self._names = names

    @property
    def turn(self) -> int:
        """A number that changes whenever another of several servers may be the tenant's."""
        return self._connection.turn

    async def version(self) -> str:
        """Return the server's name and version, as far as it tells this user.

        Raises:
            ServiceError: it cannot be reached, or refuses the user.
        """
        require_tenant(self._names.tenant_id)
        await self._connection.read("PING")
        try:
            told = await self._connection.read("INFO", "server")
        except Refused:  # go on: what a server says to everybody who may log in, it says to this user, too
            return await self._greeting()
        if "valkey_version" in told:
            return f"Valkey {told['valkey_version']}"
        return f"Redis {told.get('redis_version', 'of unknown version')}"

    async def _hello(self) -> dict[bytes, bytes]:
        reply = await self._connection.read("HELLO")
        return dict(zip(reply[::2], reply[1::2], strict=True))

    async def _greeting(self) -> str:
        try:
            told = await self._hello()
        except Refused:
            return "a server that does not tell its version to this user"
        return f"{told[b'server'].decode().capitalize()} {told[b'version'].decode()}"

    async def prove_scripts(self) -> None:
        """Run a script that reads nothing, the way that this user may.

        Raises:
            ServiceError: none runs, so that gates can neither be read nor decided; or the server cannot be reached.
        """
        require_tenant(self._names.tenant_id)
        await self._connection.run(scripts.READ_GATES, [], [0, 0, "", 0, 0])

    async def warning(self) -> str:
        """Return what to change where the server is a node of a cluster and was not named as one; else nothing.

        Raises:
            ServiceError: the server cannot be reached.
        """
        require_tenant(self._names.tenant_id)
        if self._connection.is_cluster:
            return ""
        try:
            told = await self._hello()
        except Refused:  # drop: this user may not ask
            return ""
        return named_alone(self._connection.address) if told[b"mode"] == b"cluster" else ""

    async def history_id(self) -> str:
        """Return the id of the data's present history; empty if it is not told.

        It is another one whenever something may have been lost: after each restart, and once a replica is the master.

        Raises:
            ServiceError: the server cannot be reached, or refuses the login.
        """
        require_tenant(self._names.tenant_id)
        try:
            told = await self._connection.read("INFO", "replication")
        except LoginRefused:
            raise
        except Refused:  # drop: this user may not ask
            return ""
        with understood(self._connection.address):
            return str(told.get("master_replid", ""))

    async def stray_keys(self) -> tuple[str, ...]:
        """Return the kinds of unprefixed keys found beside a tenant's, such as `asdlc:session`.

        None in single-tenant mode. Of a large server only the first part is looked through, beside what always exists.

        Raises:
            ServiceError: the server cannot be reached.
        """
        require_tenant(self._names.tenant_id)
        if self._names.tenant_id is None or self._connection.is_cluster:  # a cluster has no place for them
            return ()
        try:
            known = [key for base in _STRAY if await self._connection.read("EXISTS", key := unprefixed(base))]
            return tuple(sorted({*known, *await self._scanned()}))
        except Refused:  # drop: a tenant's own user may not look there, and then nothing of ours reads it either
            return ()

    async def _scanned(self) -> set[str]:
        kinds: set[str] = set()
        cursor: int | bytes = b"0"
        for _ in range(_SCANS):
            cursor, found = await self._connection.read("SCAN", cursor, "MATCH", UNPREFIXED_KEYS, "COUNT", _SCANNED)
            kinds.update(":".join(key.decode("utf-8", "replace").split(":")[:2]) for key in found)
            if not int(cursor):
                break
        return kinds
