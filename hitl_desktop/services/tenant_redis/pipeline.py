"""A pipeline whose commands are rewritten as they are queued, or, while it watches, as they are sent."""

from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from redis.asyncio.client import Pipeline

from hitl_desktop.services.tenant_redis.errors import CommandRefusedError, NotHandedOutError
from hitl_desktop.services.tenant_redis.prefix import Prefix
from hitl_desktop.services.tenant_redis.rewriting import Rewriters
from hitl_desktop.services.tenant_redis.script import Scripts, TenantScript, Text
from hitl_desktop.tenancy import refuse_other_tenant

_TOLD = frozenset({"explicit_transaction", "is_transaction", "watching"})


class TenantPipeline(Pipeline):
    """redis-py's pipeline, transactional or not, of one tenant; `TenantRedis.pipeline` makes it.

    The context's tenant is checked when a command is queued, and again when the pipeline is executed.
    """

    def __init__(
        self, pipeline: Pipeline, rewriters: Rewriters, prefix: Prefix, scripts: Scripts, tenant_id: str
    ) -> None:
        # redis-py's own constructor is not called: connections are the inner pipeline's.
        self._pipeline: Any = pipeline
        self._rewrite = rewriters.rewrite
        self._prefix = prefix
        self._scripts = scripts
        self._tenant_id = tenant_id

    def __getattr__(self, name: str) -> Any:
        if name in _TOLD:
            return getattr(self._pipeline, name)
        raise NotHandedOutError(f"A tenant's pipeline does not hand out {name!r}.")

    def __len__(self) -> int:
        return len(self._pipeline)

    async def __aexit__(self, *_exception: object) -> None:
        await self.reset()

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Queue a command and return the pipeline; while it watches, send it and return what to await.

        Raises:
            CommandRefusedError: the command cannot be kept within the tenant.
            TenancyError: the running code does not run for this tenant.
        """
        refuse_other_tenant(self._tenant_id)
        pipeline, call = self._pipeline, self._rewrite(args)
        if (pipeline.watching or call[0] == "WATCH") and not pipeline.explicit_transaction:
            return pipeline.immediate_execute_command(*call, **options)
        pipeline.command_stack.append((call, options))
        return self

    def pipeline_execute_command(self, *args: Any, **options: Any) -> "TenantPipeline":
        """Queue a command, as `execute_command` does."""
        refuse_other_tenant(self._tenant_id)
        self._pipeline.pipeline_execute_command(*self._rewrite(args), **options)
        return self

    async def immediate_execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command at once and return its reply; otherwise as `execute_command`."""
        refuse_other_tenant(self._tenant_id)
        return await self._pipeline.immediate_execute_command(*self._rewrite(args), **options)

    async def execute(self, raise_on_error: bool = True) -> list[Any]:  # noqa: FBT001, FBT002 - redis-py's own
        """Send what is queued and return the replies.

        Raises:
            TenancyError: the running code does not run for this tenant.
        """
        refuse_other_tenant(self._tenant_id)
        replies: list[Any] = await self._pipeline.execute(raise_on_error)
        return replies

    async def run_script(self, text: Text, keys: Sequence[Any], arguments: Iterable[Any]) -> Any:
        """Queue a script as one that is registered, or, while the pipeline watches, run it."""
        refuse_other_tenant(self._tenant_id)
        reply = await self._scripts[text]([self._prefix.put(key) for key in keys], arguments, self._pipeline)
        return self if reply is self._pipeline else reply

    def register_script(self, script: Any) -> TenantScript:  # type: ignore[override]
        """Return a script that runs on this pipeline where it is not told otherwise."""
        return TenantScript(script, self._scripts[script].sha, self)

    def multi(self) -> None:
        """Begin to queue, after WATCH."""
        self._pipeline.multi()

    async def reset(self) -> None:  # type: ignore[override]
        """Forget what is queued and watched."""
        await self._pipeline.reset()

    async def aclose(self) -> None:  # type: ignore[override]
        """Forget what is queued and watched."""
        await self.reset()

    def _not_of_a_pipeline(self, *_arguments: Any, **_options: Any) -> NoReturn:
        raise CommandRefusedError("A tenant's pipeline does not do this; ask its client.")

    client = from_pool = from_url = get_connection_kwargs = _not_of_a_pipeline
    keyspace_notifications = load_external_module = lock = monitor = pipeline = pubsub = _not_of_a_pipeline
    himport_prepare = himport_discard = himport_discard_all = _not_of_a_pipeline
    initialize = load_scripts = parse_response = set_response_callback = transaction = _not_of_a_pipeline
