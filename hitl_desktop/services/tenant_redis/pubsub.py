"""Subscriptions to one tenant's channels, patterns and shard channels."""

import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any, Self

from redis.asyncio.client import PubSub

from hitl_desktop.services.tenant_redis.errors import NotHandedOutError
from hitl_desktop.services.tenant_redis.prefix import Prefix
from hitl_desktop.tenancy import refuse_other_tenant

_PATTERNS = frozenset({"PSUBSCRIBE", "PUNSUBSCRIBE"})
_OF_PATTERNS = frozenset({"psubscribe", "punsubscribe"})
_OF_CHANNELS = frozenset({"subscribe", "unsubscribe", "ssubscribe", "sunsubscribe", "message", "smessage"})


class _PrefixedPubSub(PubSub):
    """redis-py's own bookkeeping sees the caller's names; only what is sent and what comes in has the prefix."""

    def __init__(self, prefix: Prefix, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._prefix = prefix

    async def execute_command(self, *args: Any) -> None:
        command, *names = args
        if command != "PING":
            names = [*map(self._prefix.put_pattern if command in _PATTERNS else self._prefix.put, names)]
        await super().execute_command(command, *names)

    async def parse_response(self, block: bool = True, timeout: float = 0) -> Any:  # noqa: ASYNC109, FBT001, FBT002 - redis-py's own
        reply = await super().parse_response(block, timeout)
        if not isinstance(reply, list):
            return reply
        kind = reply[0].decode() if isinstance(reply[0], bytes) else reply[0]
        # Whoever unsubscribes from nothing is told of no name.
        if kind == "pmessage":
            return [kind, self._prefix.take_pattern(reply[1]), self._prefix.take(reply[2]), *reply[3:]]
        if kind in _OF_PATTERNS and reply[1] is not None:
            return [kind, self._prefix.take_pattern(reply[1]), *reply[2:]]
        if kind in _OF_CHANNELS and reply[1] is not None:
            return [kind, self._prefix.take(reply[1]), *reply[2:]]
        return reply


class TenantPubSub:
    """What redis-py's PubSub does, for one tenant's channels; `TenantRedis.pubsub` makes it.

    Channels and patterns are the caller's own names, also in messages and for handlers. After a lost connection the
    next call subscribes anew. It hands out neither its connection nor the PubSub behind it.
    """

    def __init__(self, prefix: Prefix, pool: Any, tenant_id: str, *, ignore_subscribe_messages: bool) -> None:
        self._pubsub: Any = _PrefixedPubSub(prefix, pool, ignore_subscribe_messages=ignore_subscribe_messages)
        self._tenant_id = tenant_id

    def __getattr__(self, name: str) -> Any:
        raise NotHandedOutError(f"A tenant's subscriptions do not hand out {name!r}.")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the subscriptions and give the connection back."""
        await self._pubsub.aclose()

    close = reset = aclose

    @property
    def subscribed(self) -> bool:
        """Whether there is any subscription."""
        return bool(self._pubsub.subscribed)

    @property
    def channels(self) -> dict[Any, Any]:
        """The channels and their handlers, a copy."""
        return dict(self._pubsub.channels)

    @property
    def patterns(self) -> dict[Any, Any]:
        """The patterns and their handlers, a copy."""
        return dict(self._pubsub.patterns)

    @property
    def shard_channels(self) -> dict[Any, Any]:
        """The shard channels and their handlers, a copy."""
        return dict(self._pubsub.shard_channels)

    async def connect(self) -> None:
        """Connect, where there is no connection."""
        refuse_other_tenant(self._tenant_id)
        await self._pubsub.connect()

    async def subscribe(self, *channels: Any, **handlers: Callable[[Any], Any]) -> None:
        """Subscribe to channels; a handler gets the message that no caller then sees."""
        refuse_other_tenant(self._tenant_id)
        await self._pubsub.subscribe(*channels, **handlers)

    async def psubscribe(self, *patterns: Any, **handlers: Callable[[Any], Any]) -> None:
        """Subscribe to patterns of this tenant's channels."""
        refuse_other_tenant(self._tenant_id)
        await self._pubsub.psubscribe(*patterns, **handlers)

    async def ssubscribe(self, *channels: Any, **handlers: Callable[[Any], Any]) -> None:
        """Subscribe to shard channels."""
        refuse_other_tenant(self._tenant_id)
        await self._pubsub.ssubscribe(*channels, **handlers)

    async def unsubscribe(self, *channels: Any) -> None:
        """Unsubscribe from channels, or from all."""
        refuse_other_tenant(self._tenant_id)
        await self._pubsub.unsubscribe(*channels)

    async def punsubscribe(self, *patterns: Any) -> None:
        """Unsubscribe from patterns, or from all."""
        refuse_other_tenant(self._tenant_id)
        await self._pubsub.punsubscribe(*patterns)

    async def sunsubscribe(self, *channels: Any) -> None:
        """Unsubscribe from shard channels, or from all."""
        refuse_other_tenant(self._tenant_id)
        await self._pubsub.sunsubscribe(*channels)

    async def ping(self, message: Any = None) -> None:
        """Send PING; the answer comes as a message."""
        refuse_other_tenant(self._tenant_id)
        await self._pubsub.ping(message)

    async def get_message(
        self,
        ignore_subscribe_messages: bool = False,  # noqa: FBT001, FBT002 - redis-py's own
        timeout: float | None = 0.0,  # noqa: ASYNC109 - redis-py's own
    ) -> Any:
        """Return the next message; None if there is none after `timeout` seconds, or a handler took it."""
        refuse_other_tenant(self._tenant_id)
        return await self._pubsub.get_message(ignore_subscribe_messages, timeout)

    async def listen(self) -> AsyncIterator[Any]:
        """Yield messages as long as there is a subscription."""
        refuse_other_tenant(self._tenant_id)
        async for message in self._pubsub.listen():
            yield message
            refuse_other_tenant(self._tenant_id)

    async def run(
        self,
        *,
        exception_handler: Callable[[BaseException, "TenantPubSub"], Any] | None = None,
        poll_timeout: float = 1.0,
    ) -> None:
        """Pass messages to their handlers until cancelled; each subscription must have one."""
        refuse_other_tenant(self._tenant_id)
        if exception_handler is None:
            await self._pubsub.run(poll_timeout=poll_timeout)
            return

        async def handled(error: BaseException, _inner: PubSub) -> None:
            result = exception_handler(error, self)
            if inspect.isawaitable(result):
                await result

        await self._pubsub.run(exception_handler=handled, poll_timeout=poll_timeout)
