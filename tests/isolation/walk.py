"""A walk at random: tenants take turns with everything that can be done, and after each step nobody has another's."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random
from typing import Any

from hitl_desktop.services import TenantRedis
from hitl_desktop.session import ReviewSession
from hitl_desktop.tenancy import TenantContext
from tests.isolation.model import Model, read_keyspaces
from tests.isolation.place import Place
from tests.verbs import Answer

LOOK_EVERY = 10
Step = Callable[["Walk", Model], Awaitable[None]]


class Held:
    """A session in a task of its own: it can be left in order, or dropped, as a process that hangs drops it."""

    def __init__(self, place: Place, tenant: str, *, live: bool = False) -> None:
        loop = asyncio.get_running_loop()
        self._leaving = asyncio.Event()
        self._opened: asyncio.Future[Any] = loop.create_future()
        self._task: asyncio.Future[Any] = loop.create_task(self._hold(place, tenant, live=live))

    async def _hold(self, place: Place, tenant: str, *, live: bool) -> None:
        async with place.session(tenant, live=live) as session:
            self._opened.set_result(session)
            await self._leaving.wait()

    async def session(self) -> Any:
        """Return the session, once it is open."""
        await asyncio.wait([self._opened, self._task], return_when=asyncio.FIRST_COMPLETED)
        if not self._opened.done():
            await self._task
        return await self._opened

    async def leave(self) -> None:
        """Close the session in order."""
        self._leaving.set()
        await self._task


class Walk:
    """One walk. `random` decides everything that a step leaves open."""

    def __init__(self, place: Place, models: Sequence[Model], random: Random) -> None:
        self.place = place
        self.models = models
        self.random = random
        self.taken: deque[str] = deque(maxlen=20)
        self.clients: dict[str, Any] = {}
        self.ears: dict[str, Any] = {}
        self._sessions: dict[str, Held] = {}
        self._dropped: list[Held] = []

    async def go(self, steps: Sequence[Step], weights: Sequence[float], count: int) -> None:
        """Take `count` steps; after each the keys are looked at, after every tenth all that is in them.

        Raises:
            AssertionError: somebody has, or was told, what is another's, or what never was.
        """
        for number in range(1, count + 1):
            model = self.random.choice(self.models)
            (step,) = self.random.choices(steps, weights)
            self.taken.append(f"{number} {model.tenant} {step.__name__}")
            with TenantContext.tenant_scope(model.tenant):
                await step(self, model)
            assert not TenantContext.is_set()
            if number % LOOK_EVERY == 0 or number == count:
                self.look()

    def look(self) -> None:
        """Compare all that the server has with the model."""
        found = read_keyspaces(self.place.server, self.models)
        for model, keyspace in zip(self.models, found, strict=True):
            expected = model.keyspace()
            assert keyspace.keys() == expected.keys(), model.tenant
            for base, value in expected.items():
                assert keyspace[base] == value, f"{base} of {model.tenant}"
            self.told(model, keyspace)

    def told(self, model: Model, *answers: object) -> None:
        """Look through what somebody who works for one tenant was told."""
        text = repr(answers)
        for other in self.others(model):
            assert other.mark not in text, f"{model.tenant} was told {other.mark!r}: {text[:2000]}"

    def others(self, model: Model) -> list[Model]:
        return [other for other in self.models if other is not model]

    def foreign_gate(self, model: Model) -> str | None:
        """Return the id of some gate of another tenant."""
        ids = [name for other in self.others(model) for name in other.gates]
        return self.random.choice(ids) if ids else None

    # --- what a tenant's people hold ------

    async def session(self, model: Model) -> ReviewSession:
        """Return the tenant's session, opened when it is first needed."""
        if model.tenant not in self._sessions:
            self._sessions[model.tenant] = Held(self.place, model.tenant)
        session: ReviewSession = await self._sessions[model.tenant].session()
        return session

    async def close(self, model: Model) -> None:
        """Close the tenant's session in order, if there is one."""
        if held := self._sessions.pop(model.tenant, None):
            await held.leave()

    def drop(self, model: Model) -> None:
        """Let go of the tenant's session without closing it."""
        if held := self._sessions.pop(model.tenant, None):
            self._dropped.append(held)

    async def run(self, model: Model, *arguments: str, expect: int = 0) -> Answer:
        """Run a verb for the tenant."""
        answer = await self.place.run(*arguments, "--tenant", model.tenant)
        self.told(model, answer)
        assert answer.code == expect, (arguments, answer)
        return answer

    async def connect(self) -> None:
        """Give each tenant a client and ears of its own, in place of any before."""
        await self.hang_up()
        for model in self.models:
            with TenantContext.tenant_scope(model.tenant):
                client: Any = TenantRedis(
                    model.tenant, unix_socket_path=str(self.place.server.socket), decode_responses=True
                )
                self.clients[model.tenant] = client
                ears = self.ears[model.tenant] = client.pubsub(ignore_subscribe_messages=True)
                await ears.psubscribe("*")
                assert await ears.get_message(timeout=5) is None

    async def hang_up(self) -> None:
        """Close all clients."""
        for model in self.models:
            if model.tenant in self.clients:
                with TenantContext.tenant_scope(model.tenant):
                    await self.ears.pop(model.tenant).aclose()
                    await self.clients.pop(model.tenant).aclose()

    async def end(self) -> None:
        """Close everything, also what was dropped."""
        for held in (*self._sessions.values(), *self._dropped):
            await held.leave()
        await self.hang_up()


@asynccontextmanager
async def walking(place: Place, models: Sequence[Model], random: Random) -> AsyncIterator[Walk]:
    """Yield a walk that is about to begin."""
    walk = Walk(place, models, random)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(walk.end)
        await walk.connect()
        yield walk
