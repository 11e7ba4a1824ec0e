import pytest

from hitl_desktop.domain.event import Event
from hitl_desktop.sync.restarts import EXPECTED_WITHIN, Restarts


def event(event_type: str, task_id: str = "task-1") -> Event:
    return Event("1-0", event_type, "session-1", task_id, "acme-corp", "", {})


def test_an_agent_that_does_not_start_after_a_rejection_is_missed_once() -> None:
    restarts = Restarts()
    restarts.note(event("gate_rejected"), 0.0)
    assert restarts.missed(EXPECTED_WITHIN - 1) == ()
    assert restarts.missed(EXPECTED_WITHIN) == ("task-1",)
    assert restarts.missed(EXPECTED_WITHIN + 1) == ()


@pytest.mark.parametrize("event_type", ["gate_approved", "gate_requested", "gate_expired", "agent_completed"])
def test_nothing_else_makes_a_restart_expected(event_type: str) -> None:
    restarts = Restarts()
    restarts.note(event(event_type), 0.0)
    assert restarts.missed(EXPECTED_WITHIN) == ()


def test_an_agent_that_starts_is_not_missed() -> None:
    restarts = Restarts()
    restarts.note(event("gate_rejected"), 0.0)
    restarts.note(event("gate_rejected", "task-2"), 0.0)
    restarts.note(event("agent_started"), 1.0)
    assert restarts.missed(EXPECTED_WITHIN) == ("task-2",)


def test_an_event_without_a_task_expects_nothing() -> None:
    restarts = Restarts()
    restarts.note(event("gate_rejected", ""), 0.0)
    assert restarts.missed(EXPECTED_WITHIN) == ()
