"""The users of one tenant on its server: what each role may do, and how a user is switched off.

A user reaches its own tenant's keys alone, by commands named one by one: a category (`+@read`) would hold SCAN and
RANDOMKEY, which know no key patterns and tell the names of every tenant's keys. What a script does is checked against
its caller, so the commands inside the functions are named, too. INFO is left out: it tells how much all tenants do.
The chart of the services has the same table as files, which `packaging/chart_files.py` writes.
"""

from enum import StrEnum
from urllib.parse import parse_qs, urlsplit

from hitl_desktop.services.connection import Connection
from hitl_desktop.services.errors import NotFound, Refused, Unavailable
from hitl_desktop.settings import KeyLayout
from hitl_desktop.tenancy import TenantNames, require_tenant

PASSWORD = "<PASSWORD>"  # noqa: S105 - the placeholder for one


class Role(StrEnum):
    """What a user is for: a human who decides, or the agents and their orchestrator."""

    REVIEWER = "reviewer"
    AGENT = "agent"


class ServerKind(StrEnum):
    """For which server the line is: each refuses a whole line for one command that it does not know."""

    REDIS7 = "redis7"
    VALKEY9 = "valkey9"


# The application's own, of a reviewer and of whoever asks. WAIT is for servers that have replicas.
_BOTH = (
    *("ping", "auth", "hello", "multi", "exec", "fcall", "time", "wait"),
    *("type", "hset", "hmget", "hgetall", "hstrlen", "zrem", "zrange", "zcard", "rpush", "lrange"),
    *("xadd", "xread", "xrevrange"),
)
_COMMANDS = {
    Role.REVIEWER: _BOTH,
    Role.AGENT: (
        *_BOTH,
        *("client|setname", "exists", "get", "set", "hget", "hincrby", "zadd", "zscore", "llen"),
        *("xgroup|create", "xreadgroup", "xack", "xpending", "xclaim", "xautoclaim", "xrange", "xlen"),
        *("xinfo|stream", "xinfo|groups", "xinfo|consumers"),
    ),
}
# Where the slots are; other programs' clients also ask where a command has its keys, and follow a slot that moves.
_IN_A_CLUSTER = {
    Role.REVIEWER: ("cluster|slots",),
    Role.AGENT: ("cluster|slots", "cluster|shards", "command", "asking", "readonly"),
}
_ON_VALKEY = {Role.REVIEWER: (), Role.AGENT: ("client|setinfo",)}


def commands(role: Role, layout: KeyLayout, server: ServerKind = ServerKind.REDIS7) -> tuple[str, ...]:
    """Return the commands that a user of `role` may run, as rules of an ACL name them."""
    in_a_cluster = _IN_A_CLUSTER[role] if layout is KeyLayout.HASHTAG else ()
    on_valkey = _ON_VALKEY[role] if server is ServerKind.VALKEY9 else ()
    return (*_COMMANDS[role], *in_a_cluster, *on_valkey)


def set_user(names: TenantNames, role: Role, server: ServerKind = ServerKind.REDIS7, *, selects: bool = False) -> str:
    """Return the command that makes the tenant's user anew, ready for redis-cli once `PASSWORD` is replaced.

    Args:
        names: the tenant's, in the layout that agents and reviewers have.
        role: what the user is for.
        server: for which server the line is.
        selects: whether the user may choose a database, which is needed where the tenant's is not the first.
    """
    named = (*commands(role, names.layout, server), *(("select",) if selects else ()))
    user = ("ACL", "SETUSER", names.redis_user(role), "reset", "on", f">{PASSWORD}", f"~{names.key_pattern}")
    return " ".join((*user, *(f"+{command}" for command in named)))


def is_other_database(url: str) -> bool:
    """Whether the address of a server names another database than the first, so that its users must select it."""
    parts = urlsplit(url)
    path = parts.path.strip("/") if parts.scheme in {"redis", "rediss"} else ""
    return parse_qs(parts.query).get("db", [path])[0] not in {"", "0"}


async def revoke(connection: Connection, names: TenantNames, role: Role) -> int:
    """Switch the tenant's user off and end its open connections, which would go on otherwise; return how many.

    Args:
        connection: an administrator's.
        names: the tenant's.
        role: which of its users.

    Raises:
        NotFound: the server has no such user.
        Refused: `connection` may not do it; the message says whether the user is off already.
        Unavailable: the connection was lost, so that it is to be done again.
    """
    require_tenant(names.tenant_id)
    user = names.redis_user(role)
    try:
        if await connection.read("ACL", "GETUSER", user) is None:
            raise NotFound(f"There is no user {user} at {connection.address}, so nothing was changed.")
        await connection.read("ACL", "SETUSER", user, "off")
    except Refused as error:
        raise Refused(f"{user} was not switched off, which takes an administrator's HITL_REDIS_URL. {error}") from None
    except Unavailable as error:
        raise _unfinished(user, error) from None
    try:
        return int(await connection.read("CLIENT", "KILL", "USER", user))
    except Refused as error:
        raise Refused(
            f"{user} is switched off, but its open connections go on: let an administrator end them "
            f"with `CLIENT KILL USER {user}`. {error}"
        ) from None
    except Unavailable as error:
        raise _unfinished(user, error) from None


def _unfinished(user: str, error: Unavailable) -> Unavailable:
    return Unavailable(f"It is not certain that {user} is switched off, so run this again. {error}")
