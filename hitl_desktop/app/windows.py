"""The windows and their sessions: one session at a time each, closed before the next one opens."""

import asyncio
import logging
import uuid
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from hitl_desktop.app.couriers import Couriers
from hitl_desktop.app.instance import Instance
from hitl_desktop.app.visits import Visits
from hitl_desktop.demo import fill_demo
from hitl_desktop.local import LocalWorkspaceError
from hitl_desktop.services.errors import ServiceError
from hitl_desktop.session import Backend, ReviewSession, open_backend, open_session
from hitl_desktop.session.stranded import Stranded
from hitl_desktop.settings import Settings
from hitl_desktop.store.keyring import load_keyring
from hitl_desktop.store.windows import WindowState, WindowStore
from hitl_desktop.sync.cancelling import ended
from hitl_desktop.tenancy import TenancyError, TenantNotSetError
from hitl_desktop.viewmodels.stranded import StrandedViewModel
from hitl_desktop.viewmodels.tenants import TenantListModel
from hitl_desktop.viewmodels.window import WindowViewModel
from hitl_desktop.widgets import gate_delegate as _for_the_first_rows  # noqa: F401 - imported in a thread, with this
from hitl_desktop.widgets.gate_pane import Place
from hitl_desktop.widgets.main_window import MainWindow
from hitl_desktop.widgets.stranded_dialog import StrandedAccess

_COUNT_EVERY = 20.0
_LAST_DELIVERY = 2.0
_ROWS_WITHIN = 0.5
_log = logging.getLogger(__name__)


class _Controller:
    """One window: which tenant it is to show next, and whether it was closed."""

    def __init__(self, window: MainWindow, state: WindowState, stranded: StrandedAccess) -> None:
        self.window = window
        self.state = state
        self.stranded = stranded
        self.task: asyncio.Task[None] | None = None
        self.closed = False
        self.open_for: frozenset[str | None] = frozenset()
        """The tenant whose session is open, if one is; None is single-tenant mode."""
        self._chosen: str | None = None
        self._left_as: dict[str | None, Place] = {}
        self._told = asyncio.Event()

    def arrive(self, tenant_id: str | None) -> None:
        """Show the tenant's gates as the reviewer left them: queue, filter, order, selection and place."""
        self.open_for = frozenset({tenant_id})
        if tenant_id in self._left_as:
            self.window.resume(self._left_as[tenant_id])

    def leave(self, tenant_id: str | None) -> None:
        """Let go of the session, and remember how its gates were shown."""
        self._left_as[tenant_id] = self.window.gates.place()
        self.window.detach()

    def switch(self, tenant_id: str) -> None:
        """Leave the session for one in `tenant_id`."""
        self._chosen = tenant_id
        self._told.set()

    def note_geometry(self) -> None:
        """Remember the window's size and place."""
        self.state = WindowState(self.state.window_id, self.state.tenant_id, self.window.geometry_text())

    def close(self) -> None:
        """Leave the session for good."""
        self.closed = True
        self._told.set()

    async def next_tenant(self) -> str | None:
        """Wait until another tenant is chosen, and return it; None once the window is closed."""
        await self._told.wait()
        self._told.clear()
        if self.closed:
            return None
        # What was told of the last choice is answered by this one.
        self.window.notice.hide()
        return self._chosen


class Windows:
    """All windows of this process, over one backend."""

    def __init__(self, settings: Settings, first: MainWindow, instance: Instance) -> None:
        self._settings = settings
        self._first = first
        self._instance = instance
        self._store = WindowStore(settings.state_dir)
        self._tenants = TenantListModel()
        self._visits = Visits(settings)
        self._stranded = StrandedViewModel(settings)
        self._recent: tuple[str, ...] = ()
        self._controllers: list[_Controller] = []
        self._all_closed = asyncio.Event()
        self._errands: set[asyncio.Task[Any]] = set()
        self._saving = asyncio.Lock()
        self._remembered: tuple[WindowState, ...] = ()
        self._count_now = asyncio.Event()
        self._couriers: Couriers | None = None

    async def run(self, tenant_id: str | None, *, offline: bool = False) -> None:
        """Serve the windows until the last one is closed; `offline` begins without the network."""
        try:
            async with open_backend(self._settings) as backend:
                backend.work_offline(offline=offline)
                await self._serve_all(backend, tenant_id)
        except LocalWorkspaceError as error:
            closed = asyncio.Event()
            self._first.closed.connect(closed.set)
            self._first.quit_wanted.connect(self._first.close)
            self._first.show_offline_start(str(error))
            await closed.wait()

    async def _serve_all(self, backend: Backend, tenant_id: str | None) -> None:
        remembered = await asyncio.to_thread(self._store.load)
        self._recent = await asyncio.to_thread(self._store.recent_tenants)
        self._instance.asked.connect(lambda tenant: self._open(backend, tenant or None))
        self._instance.listen()
        couriers = self._couriers = Couriers(backend, self._shown, self._tell, self._note_stranded)
        states = remembered or (WindowState(_new_id()),)
        if tenant_id is not None:
            states = (WindowState(_new_id(), tenant_id),)
        self._add(backend, self._first, states[0])
        for state in states[1:]:
            self._open(backend, state.tenant_id, state)
        self._errand(self._count(backend))
        self._errand(couriers.run())
        if not self._settings.is_embedded:  # its logins are asked for at the first connection
            self._errand(asyncio.to_thread(load_keyring))
        try:
            await self._all_closed.wait()
            await asyncio.gather(_last_delivery(couriers), self._visits.settled())
        finally:
            await ended(tuple(self._errands))
            await self._stranded.close()

    def _open(self, backend: Backend, tenant_id: str | None, state: WindowState | None = None) -> None:
        window = MainWindow(self._first.theme)
        window.show()
        self._add(backend, window, state or WindowState(_new_id(), tenant_id))

    def _add(self, backend: Backend, window: MainWindow, state: WindowState) -> None:
        stranded = StrandedAccess(window, window.queues, window.notice, self._stranded)
        controller = _Controller(window, state, stranded)
        self._controllers.append(controller)
        window.restore(state.geometry)
        window.set_tenants(self._tenants)
        window.tenant_chosen.connect(lambda tenant: self._choose(backend, controller, tenant))
        window.tenants_opening.connect(self._count_now.set)
        window.new_window_wanted.connect(lambda: self._open(backend, controller.state.tenant_id))
        window.quit_wanted.connect(self._quit)
        window.offline_switched.connect(lambda offline: self._work_offline(backend, offline=offline))
        window.toolbar.show_offline(offline=backend.is_offline)
        window.demo_wanted.connect(lambda: self._errand(self._fill(backend, controller)))
        window.closed.connect(controller.close)
        window.closed.connect(stranded.close)
        controller.task = asyncio.get_running_loop().create_task(self._serve(backend, controller))

    async def _serve(self, backend: Backend, controller: _Controller) -> None:
        """Give one window its session, and the next one at each switch, until it is closed."""
        window = controller.window
        wanted: str | None = controller.state.tenant_id
        while not controller.closed:
            controller.open_for = frozenset()
            try:
                async with open_session(backend, wanted) as session:
                    await _first_rows(session)
                    view = WindowViewModel(session)
                    window.attach(view)
                    controller.arrive(session.tenant_id)
                    view.start()
                    following: str | None = None
                    try:
                        await self._record(backend, controller, session.tenant_id)
                        await self._visits.entered(backend, controller.state.window_id, session.tenant_id)
                        following = await controller.next_tenant()
                    finally:
                        controller.leave(session.tenant_id)
                        await view.close()
                        view.deleteLater()
                        await self._visits.left(backend, controller.state.window_id, session.tenant_id, following)
                controller.open_for = frozenset()
                if self._couriers is not None:
                    self._couriers.look()
            except TenantNotSetError:
                window.show_no_tenant(can_fill=self._settings.is_embedded)
                following = await controller.next_tenant()
            except TenancyError as error:  # a window restored for a tenant that is no longer allowed
                await self._visits.refused(controller.state.window_id, wanted or "", None, str(error))
                window.show_no_tenant(can_fill=False)
                controller.stranded.tell(str(error), wanted)
                following = await controller.next_tenant()
            except Exception:  # noqa: BLE001 - a window outlives whatever ended its session, and says so
                _log.exception("A window's session failed")
                window.show_problem("This window's session ended inside the application; choose a tenant to go on.")
                following = await controller.next_tenant()
            wanted = following if following is not None else wanted
        await self._ended(controller)

    def _tell(self, text: str) -> None:
        if not self._all_closed.is_set():
            self._controllers[0].window.show_problem(text)

    def _note_stranded(self, stranded: Stranded) -> None:
        if self._stranded.note(stranded) and not self._all_closed.is_set():
            self._controllers[0].stranded.tell(self._stranded.sentence, stranded.tenant_id)

    def _shown(self) -> set[str | None]:
        return {tenant for controller in self._controllers for tenant in controller.open_for}

    def _work_offline(self, backend: Backend, *, offline: bool) -> None:
        backend.work_offline(offline=offline)
        for controller in self._controllers:
            controller.window.toolbar.show_offline(offline=offline)
        if not offline and self._couriers is not None:
            self._couriers.look()

    async def _record(self, backend: Backend, controller: _Controller, tenant_id: str | None) -> None:
        if tenant_id is not None:
            try:
                await backend.record_tenant(tenant_id)
            except LocalWorkspaceError as error:  # go on: what is decided does not depend on it
                controller.window.show_problem(str(error))
            self._recent = tuple(dict.fromkeys((tenant_id, *self._recent)))
            self._list(backend, {})
        controller.state = WindowState(controller.state.window_id, tenant_id)
        controller.note_geometry()
        await self._save()

    async def _ended(self, controller: _Controller) -> None:
        controller.note_geometry()
        controller.window.deleteLater()
        if len(self._controllers) > 1:
            self._controllers.remove(controller)
            await self._save()
            return
        await self._save()
        self._all_closed.set()

    def _choose(self, backend: Backend, controller: _Controller, tenant_id: str) -> None:
        try:
            chosen = backend.config.choose(tenant_id)
        except TenancyError as error:
            controller.stranded.tell(str(error), tenant_id)
            window_id, current = controller.state.window_id, controller.state.tenant_id
            self._errand(self._visits.refused(window_id, tenant_id, current, str(error)))
        else:
            if chosen is not None:
                controller.switch(chosen)

    def _quit(self) -> None:
        for controller in self._controllers:
            controller.note_geometry()
        # All windows come back at the next launch, though they are closed one by one.
        self._remembered = tuple(controller.state for controller in self._controllers)
        for controller in tuple(self._controllers):
            controller.window.close()

    async def _save(self) -> None:
        states = self._remembered or tuple(controller.state for controller in self._controllers)
        async with self._saving:
            try:
                await asyncio.to_thread(self._store.save, states)
            except OSError as error:  # go on: only the restoring of windows is lost
                problem = f"This window cannot be remembered for the next launch: {error.strerror}."
                self._controllers[0].window.show_problem(f"{problem} Decisions are not affected.")

    async def _fill(self, backend: Backend, controller: _Controller) -> None:
        try:
            filled = await fill_demo(backend)
        except (ServiceError, LocalWorkspaceError) as error:
            controller.window.show_problem(str(error))
            return
        controller.switch(next(iter(filled)))

    async def _count(self, backend: Backend) -> None:
        """Count what waits for each tenant, now and then and whenever the selector opens."""
        while True:
            counts: dict[str, int | None] = {}
            for tenant_id in self._known(backend):
                try:
                    async with open_session(backend, tenant_id, live=False) as session:
                        counts[tenant_id] = await session.count_pending()
                except (ServiceError, TenancyError):  # drop: without permission or connection there is no number
                    counts[tenant_id] = None
            self._list(backend, counts)
            self._count_now.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(_COUNT_EVERY):
                    await self._count_now.wait()

    def _known(self, backend: Backend) -> tuple[str, ...]:
        config = backend.config
        if not config.enabled:
            return ()
        recent = tuple(tenant for tenant in self._recent if config.allows(tenant))
        return tuple(dict.fromkeys((*backend.known_tenants, *recent)))

    def _list(self, backend: Backend, counts: dict[str, int | None]) -> None:
        self._tenants.show(self._known(backend), {**self._tenants.counts, **counts})

    def _errand(self, work: Coroutine[Any, Any, None] | asyncio.Task[None]) -> None:
        task = asyncio.ensure_future(work)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)


def _new_id() -> str:
    return str(uuid.uuid4())


async def _last_delivery(couriers: Couriers) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_LAST_DELIVERY):
            await couriers.deliver_now()


async def _first_rows(session: ReviewSession) -> None:
    """Wait until the session can show its first rows, so that the list does not flash, but not for a person."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_ROWS_WITHIN):
            await session.begun()
