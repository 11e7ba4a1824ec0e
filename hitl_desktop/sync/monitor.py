"""What the connection to the server is doing, for whoever wants to show it or wait for it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum


class Phase(StrEnum):
    """What the connection is doing; away is the reviewer's own choice, offline is not."""

    CONNECTING = "connecting"
    LOADING = "loading"
    ONLINE = "online"
    OFFLINE = "offline"
    AWAY = "working offline"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Connectivity:
    """One moment of the connection.

    `problem` is a sentence for the screen, empty where all is well; `loaded` of `total` gates have been read so far.
    """

    phase: Phase
    problem: str = ""
    loaded: int = 0
    total: int = 0


class Monitor:
    """The connection's state, everyone who follows it, and when the server was last `heard`.

    `kept` is how many of how many pending gates have their evidence on this machine, too.
    """

    def __init__(self) -> None:
        self.now = Connectivity(Phase.CONNECTING)
        self.heard: datetime | None = None
        self._followers: list[Callable[[Connectivity], None]] = []
        self.kept: tuple[int, int] = (0, 0)
        self._changed = asyncio.Event()

    def show_kept(self, done: int, total: int) -> None:
        """Note how many of the gates that wait have their evidence on this machine."""
        self.kept = (done, total)

    def follow(self, follower: Callable[[Connectivity], None]) -> None:
        """Call `follower` with the state, now and whenever it changes."""
        self._followers.append(follower)
        follower(self.now)

    def unfollow(self, follower: Callable[[Connectivity], None]) -> None:
        """Call `follower` no more."""
        self._followers.remove(follower)

    def hear(self) -> None:
        """Note that the server has just answered."""
        self.heard = datetime.now(UTC)

    def tell(self, now: Connectivity) -> None:
        """Set the state."""
        self.now = now
        for follower in self._followers:
            follower(now)
        self._changed.set()
        self._changed = asyncio.Event()

    async def reached(self, *phases: Phase) -> Connectivity:
        """Wait until the connection is in one of `phases`, and return its state."""
        while self.now.phase not in phases:
            await self._changed.wait()
        return self.now
