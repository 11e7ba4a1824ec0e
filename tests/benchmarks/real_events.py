"""Subject of event_to_row: a gate posted by another process, to its row in the model of the shown list."""

import asyncio
import json
import sys
import tempfile
import time

from PySide6.QtCore import QModelIndex
from PySide6.QtWidgets import QApplication

from hitl_desktop.app.loop import WindowLoop
from hitl_desktop.domain.gate import Gate
from hitl_desktop.session import open_backend, open_session
from hitl_desktop.settings import read_settings
from hitl_desktop.sync.monitor import Phase
from hitl_desktop.viewmodels.window import WindowViewModel
from hitl_desktop.widgets.gate_pane import GatePane
from hitl_desktop.widgets.theme import ARGUMENTS, Theme


async def main(url: str, count: int) -> None:
    delays: list[int] = []
    with tempfile.TemporaryDirectory() as state:
        environment = {"HITL_REDIS_URL": url, "HITL_STATE_DIR": state, "MULTI_TENANCY_ENABLED": "true"}
        pane = GatePane(Theme.light())
        pane.show()
        async with (
            open_backend(read_settings(environment)) as backend,
            open_session(backend, "acme-corp") as session,
        ):
            view = WindowViewModel(session)
            pane.attach(view.gates, "", 0)
            view.start()

            def arrived(_parent: QModelIndex, first: int, last: int) -> None:
                now = time.monotonic_ns()
                for row in range(first, last + 1):
                    record = view.gates.record_at(row)
                    if isinstance(record, Gate):
                        delays.append(now - int(record.summary))

            await session.monitor.reached(Phase.ONLINE)
            view.gates.flush()
            view.gates.rowsInserted.connect(arrived)
            print("ready", flush=True)
            while len(delays) < count:  # noqa: ASYNC110 - the rows announce themselves to `arrived`
                await asyncio.sleep(0.05)
            await view.close()
            pane.detach()
    print(json.dumps(delays))


application = QApplication(list(ARGUMENTS))
Theme.light().apply(application)
with WindowLoop(application) as loop:
    loop.run_until_complete(main(sys.argv[1], int(sys.argv[2])))
