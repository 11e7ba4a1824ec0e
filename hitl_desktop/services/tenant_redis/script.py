"""Registered scripts, and the lock that is made of them."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

from redis.asyncio.lock import Lock
from redis.commands.core import AsyncScript

from hitl_desktop.services.tenant_redis.errors import CommandRefusedError

Text = str | bytes | memoryview


class Scripts(dict[Text, AsyncScript]):
    """redis-py's scripts of one client, by their text."""

    def __init__(self, client: Any) -> None:
        super().__init__()
        self._client = client

    def __missing__(self, text: Text) -> AsyncScript:
        self[text] = script = AsyncScript(self._client, text)
        return script


@runtime_checkable
class ScriptRunner(Protocol):
    """What a registered script can run on: a tenant's client or pipeline, and nothing of redis-py's own."""

    async def run_script(self, text: Text, keys: Sequence[Any], arguments: Iterable[Any]) -> Any:
        """Run the script, loading it where the server does not have it, with `keys` prefixed."""


class TenantScript(AsyncScript):
    """A script whose KEYS are prefixed with the tenant of the client or pipeline that it runs on.

    Only KEYS are: what the script makes of its arguments, or builds itself, is for the server's ACL to stop, and its
    reply comes back as it is. It is sent by its SHA-1, and loaded where the server does not have it.
    """

    def __init__(self, script: Text, sha: str, runner: ScriptRunner) -> None:
        # redis-py's own constructor is not called: it would keep the client.
        self.script = script
        self.sha = sha
        self._runner = runner

    async def __call__(
        self, keys: Sequence[Any] | None = None, args: Iterable[Any] | None = None, client: Any = None
    ) -> Any:
        """Run it, and return its reply; on a pipeline it is queued.

        Args:
            keys: the script's KEYS, as the caller names them.
            args: the script's ARGV, sent as they are.
            client: another TenantRedis, or a pipeline of one, to run it on.

        Raises:
            CommandRefusedError: `client` is neither.
            TenancyError: the running code does not run for the client's tenant.
        """
        runner = self._runner if client is None else client
        if not isinstance(runner, ScriptRunner):
            raise CommandRefusedError("The script runs on TenantRedis and its pipelines alone; nothing was sent.")
        return await runner.run_script(self.script, keys or (), args or ())


class TenantLock(Lock):
    """redis-py's lock; each has its own scripts, where redis-py keeps those of the first client of the process."""

    lua_release: Any
    lua_extend: Any
    lua_reacquire: Any

    def register_scripts(self) -> None:
        """Register the scripts with the lock's own client."""
        self.lua_release = self.redis.register_script(self.LUA_RELEASE_SCRIPT)
        self.lua_extend = self.redis.register_script(self.LUA_EXTEND_SCRIPT)
        self.lua_reacquire = self.redis.register_script(self.LUA_REACQUIRE_SCRIPT)
