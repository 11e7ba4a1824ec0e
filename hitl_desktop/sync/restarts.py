"""Whether agents start again after a rejection. Pure bookkeeping: the caller brings the time."""

from hitl_desktop.domain.event import Event, EventType

EXPECTED_WITHIN = 120.0
"""Seconds in which an agent is expected to start again."""


class Restarts:
    """The tasks whose gates were rejected and whose agents have not started since.

    The orchestrator may drop a restart as a duplicate (wire.md, faults, 8); the reviewer should hear of it.
    """

    def __init__(self) -> None:
        self._expected: dict[str, float] = {}

    def note(self, event: Event, now: float) -> None:
        """Take note of an event that came at `now`, in seconds of any one clock."""
        if not event.task_id:
            return
        if event.event_type == EventType.GATE_REJECTED:
            self._expected[event.task_id] = now + EXPECTED_WITHIN
        elif event.event_type == EventType.AGENT_STARTED:
            self._expected.pop(event.task_id, None)

    def missed(self, now: float) -> tuple[str, ...]:
        """Return the tasks whose agents should have started by `now`, each once."""
        late = tuple(task for task, expected in self._expected.items() if now >= expected)
        for task in late:
            del self._expected[task]
        return late
