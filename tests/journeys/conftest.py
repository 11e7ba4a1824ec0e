"""Windows that take all the time which the machine needs."""

import pytest

from tests.processes import DEADLINE


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do what a person is not kept waiting for, at the opening and closing of a window, however slow the machine is."""
    from hitl_desktop.app import visits, windows

    for module, limit in ((windows, "_ROWS_WITHIN"), (windows, "_LAST_DELIVERY"), (visits, "_WITHIN")):
        monkeypatch.setattr(module, limit, DEADLINE / 2)
