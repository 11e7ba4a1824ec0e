"""The client for other code: redis-py's own, within one tenant."""

import os
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn, Self, cast

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from hitl_desktop.services.sending import let_heed
from hitl_desktop.services.tenant_redis.errors import CommandRefusedError, NotHandedOutError
from hitl_desktop.services.tenant_redis.pipeline import TenantPipeline
from hitl_desktop.services.tenant_redis.prefix import Prefix
from hitl_desktop.services.tenant_redis.pubsub import TenantPubSub
from hitl_desktop.services.tenant_redis.replies import SHAPES, unprefixing
from hitl_desktop.services.tenant_redis.rewriting import Rewriters
from hitl_desktop.services.tenant_redis.script import Scripts, TenantLock, TenantScript, Text
from hitl_desktop.settings import read_naming
from hitl_desktop.tenancy import TenantNames, TenantNotSetError, refuse_other_tenant, validate_tenant


class TenantRedis(Redis):
    """A `redis.asyncio.Redis` that reaches the keys and channels of one tenant, for agents, scripts and services.

        async with TenantRedis("acme-corp", host="127.0.0.1", decode_responses=True) as client:
            await client.set("asdlc:task:1", "open")  # tenant:acme-corp:asdlc:task:1

    The environment is read once, here: MULTI_TENANCY_ENABLED says whether there are prefixes at all, HITL_KEY_LAYOUT
    how they look. Off, this is redis-py's client, unchanged but for retries and cancellations, and `tenant` does not
    matter.

    On, each command is rewritten by the servers' own key specifications, in pipelines, registered scripts, locks and
    subscriptions as well, and names in replies come back as the caller wrote them. What cannot be rewritten safely is
    refused with CommandRefusedError before anything is sent: commands without a key but for a few that are harmless,
    commands that are not known, options that name keys by a pattern (SORT's BY and GET), EVAL and FCALL, and whatever
    would give away a connection. SCAN without a pattern gets the tenant's. `tenant` is named here, so the code
    that uses it needs no TenantContext; where it has one, of another tenant, every command is refused.

    This wall is against mistakes. A registered script gets its KEYS prefixed; keys that it builds itself, or takes from
    its arguments, are the server's ACL to stop, so give each tenant a user of its own.

    redis-py repeats a command up to ten times after a lost connection, which doubles writes that did run. Here nothing
    is repeated unless `retry`, `retry_on_error` or a `connection_pool` says so. A cancellation ends a call whenever it
    comes, while redis-py may lose one before Python 3.12; the connections of a `connection_pool` stay as they are.

    Args:
        tenant: the tenant; None only where multi-tenancy is off.
        options: those of `redis.asyncio.Redis`.

    Raises:
        TenantNotSetError: multi-tenancy is on, and `tenant` is None.
        TenantNotAllowedError: `tenant` is illegal, or not on ALLOWED_TENANTS.
        SettingsError: a variable has a value that is not allowed.
        ValueError: the `encoding` asked for is not like ASCII.
    """

    def __new__(cls, tenant: str | None, **_options: Any) -> Self:
        """Return the client that the environment asks for."""
        if cls is not TenantRedis:
            raise TypeError("TenantRedis has no subclasses: what they add would not be bound to a tenant")
        del tenant
        enabled, _ = read_naming(os.environ)
        return super().__new__(_BoundRedis if enabled else cls)  # type: ignore[return-value]

    def __init__(self, tenant: str | None, **options: Any) -> None:
        del tenant
        super().__init__(**_unrepeated(options))
        if "connection_pool" not in options:
            let_heed(self.connection_pool)

    @classmethod
    def from_url(cls, url: str, *, tenant: str | None, **options: Any) -> "TenantRedis":  # type: ignore[override]
        """Return a client for the server at `url` (redis, rediss or unix) that owns its connections.

        Raises:
            TenancyError: as for the class itself.
        """
        pool = ConnectionPool.from_url(url, **_unrepeated(options))
        let_heed(pool)
        client = TenantRedis(tenant, connection_pool=pool)
        client._own_pool()
        return client

    @classmethod
    def from_pool(cls, connection_pool: ConnectionPool) -> NoReturn:
        """Refuse: it names no tenant.

        Raises:
            CommandRefusedError: always.
        """
        del connection_pool
        raise CommandRefusedError("A client from a pool names no tenant: use TenantRedis(tenant, connection_pool=...).")

    def client(self) -> Redis:
        """Return redis-py's client with a connection of its own."""
        return Redis(connection_pool=self.connection_pool, single_connection_client=True)

    def _own_pool(self) -> None:
        self.auto_close_connection_pool = True


class _BoundRedis(TenantRedis):
    """TenantRedis where multi-tenancy is on. The client that has the connections stands behind it."""

    def __init__(self, tenant: str | None, **options: Any) -> None:
        if tenant is None:
            raise TenantNotSetError("Multi-tenancy is on, and the client was given no tenant; nothing was connected.")
        validate_tenant(tenant)
        _, layout = read_naming(os.environ)
        # redis-py's own constructor is not called: what it would set up is what must not be handed out.
        self._tenant_id = tenant
        self._redis = cast("Any", Redis(**_unrepeated(options)))
        if "connection_pool" not in options:
            let_heed(self._redis.connection_pool)
        self._prefix = Prefix(TenantNames(tenant, layout), self._redis.get_encoder())
        self._rewrite = Rewriters(self._prefix, in_pipeline=False).rewrite
        self._in_pipelines = Rewriters(self._prefix, in_pipeline=True)
        self._scripts = Scripts(self._redis)
        for command in SHAPES:
            self.set_response_callback(command, self._redis.response_callbacks.get(command))

    def __getattr__(self, name: str) -> Any:
        raise NotHandedOutError(f"TenantRedis does not hand out {name!r}.")

    def __repr__(self) -> str:
        return f"<TenantRedis for {self._tenant_id!r}>"

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command and return its reply.

        Raises:
            CommandRefusedError: the command cannot be kept within the tenant.
            TenancyError: the running code does not run for this tenant.
            redis.RedisError: as redis-py raises it.
        """
        refuse_other_tenant(self._tenant_id)
        return await self._redis.execute_command(*self._rewrite(args), **options)

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> TenantPipeline:  # noqa: FBT001, FBT002 - redis-py's own
        """Return a pipeline of this tenant."""
        inner = self._redis.pipeline(transaction, shard_hint)
        return TenantPipeline(inner, self._in_pipelines, self._prefix, self._scripts, self._tenant_id)

    def pubsub(self, *, ignore_subscribe_messages: bool = False, **options: Any) -> TenantPubSub:  # type: ignore[override]
        """Return subscriptions of this tenant.

        Raises:
            CommandRefusedError: another option is given; those see what is not rewritten.
        """
        if options:
            raise CommandRefusedError(f"A tenant's subscriptions do not take {', '.join(sorted(options))}.")
        pool = self._redis.connection_pool
        return TenantPubSub(self._prefix, pool, self._tenant_id, ignore_subscribe_messages=ignore_subscribe_messages)

    def register_script(self, script: Any) -> TenantScript:  # type: ignore[override]
        """Return a script to call with `keys` and `args`; nothing is sent yet."""
        return TenantScript(script, self._scripts[script].sha, self)

    async def run_script(self, text: Text, keys: Sequence[Any], arguments: Iterable[Any]) -> Any:
        """Run a script as one that is registered, and return its reply."""
        refuse_other_tenant(self._tenant_id)
        return await self._scripts[text]([self._prefix.put(key) for key in keys], arguments, self._redis)

    def lock(self, name: Any, *args: Any, lock_class: Any = None, **options: Any) -> TenantLock:
        """Return redis-py's lock, with a key of this tenant's; its arguments are redis-py's.

        Raises:
            CommandRefusedError: `lock_class` is given.
        """
        if lock_class is not None:
            raise CommandRefusedError("A tenant's lock has a class of its own.")
        return TenantLock(self, name, *args, **options)

    def set_response_callback(self, command: str, callback: Any) -> None:
        """Have `callback` make the replies of `command`; it gets them without prefixes."""
        self._redis.set_response_callback(command, unprefixing(command, self._prefix, callback))

    def get_encoder(self) -> Any:
        """Return what encodes this client's words."""
        return self._redis.get_encoder()

    async def initialize(self) -> Self:
        """Connect, where the client has a connection of its own."""
        await self._redis.initialize()
        return self

    async def __aenter__(self) -> Self:
        await self._redis.__aenter__()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._redis.__aexit__(*exception)

    async def aclose(self, close_connection_pool: bool | None = None) -> None:  # noqa: FBT001 - redis-py's own
        """Close the connections, as redis-py does."""
        await self._redis.aclose(close_connection_pool)

    def _own_pool(self) -> None:
        self._redis.auto_close_connection_pool = True

    def _not_handed_out(self, *_arguments: Any, **_options: Any) -> NoReturn:
        raise CommandRefusedError("TenantRedis gives no way to what is not bound to its tenant.")

    client = get_connection_kwargs = get_retry = set_retry = _not_handed_out
    keyspace_notifications = load_external_module = monitor = parse_response = _not_handed_out
    himport_prepare = himport_discard = himport_discard_all = _not_handed_out


def _unrepeated(options: dict[str, Any]) -> dict[str, Any]:
    """Return `options` without redis-py's own retries; those of the caller's choice stay."""
    if options.keys() & {"connection_pool", "retry", "retry_on_error", "retry_on_timeout"}:
        return options
    return {**options, "retry": Retry(NoBackoff(), 0)}
