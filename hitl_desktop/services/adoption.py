"""A tenant adopts what single-tenant mode left without a prefix: each key is copied, checked, and only then deleted.

Each step about one key is one script, so a kill between two leaves either no copy or a whole one, and the next run goes
on from there. Agents that work without a prefix must be stopped meanwhile: a key that changes is not deleted.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from hitl_desktop.services import scripts
from hitl_desktop.services.connection import Connection
from hitl_desktop.services.errors import NotFound
from hitl_desktop.services.scripts import Script
from hitl_desktop.tenancy import TenantNames, require_tenant
from hitl_desktop.tenancy.naming import UNPREFIXED_KEYS, is_session

_AT_ONCE = 16
_SCANNED = 1_000


class KeyState(StrEnum):
    """What is to be done about one key.

    `foreign` is a stream with entries that name another tenant, `unknown` a type that agents do not write, and
    `differs` a key of the tenant's that holds something else: those are for a person to settle.
    """

    GONE = "gone"
    WAITING = "waiting"
    COPIED = "copied"
    DIFFERS = "differs"
    FOREIGN = "foreign"
    UNKNOWN = "unknown"


OPEN_QUESTIONS = frozenset({KeyState.DIFFERS, KeyState.FOREIGN, KeyState.UNKNOWN})


@dataclass(frozen=True, slots=True)
class AdoptionPlan:
    """The unprefixed keys of one moment, each with its state."""

    states: Mapping[str, KeyState]

    @property
    def conflicts(self) -> dict[str, KeyState]:
        """The keys that a person must settle before anything is moved."""
        return {key: state for key, state in self.states.items() if state in OPEN_QUESTIONS}

    @property
    def kinds(self) -> dict[str, int]:
        """How many keys there are of each kind: `gate_request`, `events`, ..."""
        return dict(sorted(Counter(key.split(":")[1] for key in self.states).items()))


class Adoption:
    """Moves single-tenant keys to the tenant that `names` was made for, as a user who may SCAN, COPY and DEL."""

    def __init__(self, connection: Connection, names: TenantNames) -> None:
        self._connection = connection
        self._names = names

    async def plan(self) -> AdoptionPlan:
        """Return what would be moved; nothing is written.

        Raises:
            NotFound: there is no tenant to adopt anything.
            ServiceError: the keys cannot be read.
        """
        tenant_id = self._tenant()
        keys: set[bytes] = set()
        cursor: int | bytes = b"0"
        while True:
            cursor, found = await self._connection.read("SCAN", cursor, "MATCH", UNPREFIXED_KEYS, "COUNT", _SCANNED)
            keys.update(found)
            if not int(cursor):
                break
        texts = sorted(key.decode("utf-8", "replace") for key in keys)
        named = [text for text in texts if text.encode() in keys]
        damaged = {text: KeyState.UNKNOWN for text in texts if text.encode() not in keys}
        return AdoptionPlan({**await self._each(scripts.ADOPT_CHECK, named, tenant_id, writes=False), **damaged})

    async def copy(self, keys: Iterable[str]) -> AdoptionPlan:
        """Copy each of `keys` that has no copy yet, and return how they stand now: every copy compared with its source.

        Raises:
            ServiceError: it cannot be read or written; what was copied stays, and the next run goes on.
        """
        tenant_id = self._tenant()
        named = tuple(keys)
        await self._each(scripts.ADOPT_COPY, named, tenant_id, writes=True)
        return AdoptionPlan(await self._each(scripts.ADOPT_CHECK, named, tenant_id, writes=False))

    async def remove(self, keys: Iterable[str]) -> AdoptionPlan:
        """Delete each of `keys` whose copy holds all of it at that moment, and return how they stood before.

        Raises:
            ServiceError: as for `copy`.
        """
        tenant_id = self._tenant()
        return AdoptionPlan(await self._each(scripts.ADOPT_REMOVE, tuple(keys), tenant_id, writes=True))

    def _tenant(self) -> str:
        require_tenant(self._names.tenant_id)
        if self._names.tenant_id is None:
            raise NotFound("Multi-tenancy is off, so there is no tenant that could adopt anything.")
        return self._names.tenant_id

    async def _each(self, script: Script, keys: Sequence[str], tenant_id: str, *, writes: bool) -> dict[str, KeyState]:
        send = self._connection.write if writes else self._connection.run
        states: list[bytes] = []
        for start in range(0, len(keys), _AT_ONCE):
            together = keys[start : start + _AT_ONCE]
            states += await asyncio.gather(
                *(send(script, [key, self._names.key(key)], [tenant_id, int(is_session(key))]) for key in together)
            )
        return {key: KeyState(state.decode()) for key, state in zip(keys, states, strict=True)}
