"""How a script is run: by EVALSHA where the user may load scripts, as a function of the library where it may not.

A named user is first taken for a restricted one, so that its server's ACL log stays free of refusals that mean nothing;
the default user is not. Whichever way turns out to be open is kept for the connection. A way that is closed has run
nothing, so trying the other doubles nothing.
"""

import re
from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import Any

import redis.exceptions as fault
from redis.asyncio import Redis

from hitl_desktop.services.pipelining import Command
from hitl_desktop.services.scripts import Script

# Matched from the beginning: other refusals hold names of keys, which agents choose.
_MAY_NOT = re.compile(r"(?:this user|User \S+) has no permissions to run the '(?:eval|evalsha|fcall)' command")
_NO_FUNCTION = "Function not found"

Arguments = Sequence[bytes | str | int]
Call = tuple[Sequence[str], Arguments]
"""The keys and arguments of one run of a script."""


class _Way(Enum):
    SCRIPT = auto()
    FUNCTION = auto()


class Scripting:
    """Runs scripts on one connection, the way that its user may; `is_named` says whether it is not the default one."""

    def __init__(self, client: Redis, is_named: Callable[[], bool]) -> None:
        self._client = client
        self._is_named = is_named
        self._way: _Way | None = None

    async def run(self, script: Script, keys: Sequence[str], arguments: Arguments) -> Any:
        """Run `script` once and return its reply.

        Raises:
            redis.exceptions.RedisError: it did not run, or (a lost connection) may have.
        """
        closed: list[fault.ResponseError] = []
        for way in self._ways(script):
            try:
                reply = await self._run(way, script, keys, arguments)
            except fault.ResponseError as error:
                if not _is_closed(error):
                    raise
                closed.append(error)
            else:
                if script.function:
                    self._way = way
                return reply
        # A library that is missing can be loaded; a permission that is missing is meant to be.
        raise next(filter(is_missing, closed), closed[0])

    def commands(self, script: Script, calls: Sequence[Call]) -> list[Command]:
        """Return the commands that run `script` the way that is open as far as is known; see `is_unrun`."""
        way = ("FCALL", script.function) if self._first(script) is _Way.FUNCTION else ("EVALSHA", script.sha)
        return [(*way, len(keys), *keys, *arguments) for keys, arguments in calls]

    def _ways(self, script: Script) -> list[_Way]:
        first = self._first(script)
        return sorted(_Way, key=lambda way: way is not first) if script.function else [first]

    def _first(self, script: Script) -> _Way:
        if not script.function:
            return _Way.SCRIPT
        return self._way or (_Way.FUNCTION if self._is_named() else _Way.SCRIPT)

    async def _run(self, way: _Way, script: Script, keys: Sequence[str], arguments: Arguments) -> Any:
        if way is _Way.FUNCTION:
            return await self._client.fcall(script.function, len(keys), *keys, *arguments)
        try:
            return await self._client.evalsha(script.sha, len(keys), *keys, *arguments)
        except fault.NoScriptError:
            # A restarted server or a promoted replica has forgotten it; nothing ran.
            return await self._client.eval(script.text, len(keys), *keys, *arguments)


def is_unrun(reply: Any) -> bool:
    """Whether a script of a pipeline did not run, and is to be run anew by `Scripting.run`."""
    return isinstance(reply, fault.ResponseError) and (isinstance(reply, fault.NoScriptError) or _is_closed(reply))


def is_missing(error: Exception) -> bool:
    """Whether the server lacks the function, or has the library of another version."""
    return str(error) == _NO_FUNCTION


def _is_closed(error: fault.ResponseError) -> bool:
    return is_missing(error) or (isinstance(error, fault.NoPermissionError) and _MAY_NOT.match(str(error)) is not None)
