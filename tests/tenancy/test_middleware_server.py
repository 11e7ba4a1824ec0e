"""The middleware under a real ASGI server, with real clients, hundreds of them at once."""

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Iterator, MutableMapping
from typing import Any

import httpx
import pytest
import uvicorn
import websockets
from websockets.asyncio.client import connect

from hitl_desktop.tenancy import TenantConfig, TenantContext, TenantMiddleware, TenantNotSetError

pytestmark = pytest.mark.logs("Refused a ")
TENANTS = ("acme-corp", "widgets-inc", "globex", "Old_Client")
REQUESTS = 300
SOCKETS = 100


class Echo:
    """Answers with the tenants it saw: at once, when all of its kind were inside together, in a thread and a child."""

    def __init__(self) -> None:
        self.lifespan: list[str] = []
        self._together = {"http": asyncio.Barrier(REQUESTS), "websocket": asyncio.Barrier(SOCKETS)}

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            body = json.dumps(await self._look(scope)).encode()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": body})
        else:
            await receive()
            await send({"type": "websocket.accept"})
            while (await receive())["type"] == "websocket.receive":
                await send({"type": "websocket.send", "text": json.dumps(await self._look(scope))})

    async def _look(self, scope: MutableMapping[str, Any]) -> list[str]:
        seen = [TenantContext.get_current_tenant()]
        if scope["path"] == "/together":
            await self._together[scope["type"]].wait()
        seen.append(TenantContext.get_current_tenant())
        async with asyncio.TaskGroup() as group:
            child = group.create_task(asyncio.to_thread(TenantContext.get_current_tenant))
        seen.append(child.result())
        if scope["path"] == "/fails":
            raise LookupError("the application's own failure")
        return [*seen, TenantContext.get_current_tenant()]

    async def _live(self, receive: Any, send: Any) -> None:
        while True:
            kind = (await receive())["type"]
            try:
                self.lifespan.append(TenantContext.get_current_tenant())
            except TenantNotSetError:
                self.lifespan.append(kind)
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return


@contextlib.contextmanager
def served(app: Echo, config: TenantConfig) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:
        server = uvicorn.Server(
            uvicorn.Config(TenantMiddleware(app, config), ws="websockets-sansio", lifespan="on", log_config=None)
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
def address(echo: Echo) -> Iterator[str]:
    with served(echo, TenantConfig(enabled=True, allowed_tenants=TENANTS)) as place:
        yield place
    assert echo.lifespan == ["lifespan.startup", "lifespan.shutdown"]


def client() -> httpx.AsyncClient:
    return httpx.AsyncClient(limits=httpx.Limits(max_connections=None), timeout=60, trust_env=False)


async def test_hundreds_of_requests_at_once_each_see_their_own_tenant(address: str) -> None:
    async def ask(http: httpx.AsyncClient, number: int) -> None:
        tenant = TENANTS[number % len(TENANTS)]
        answer = await http.get(f"http://{address}/together", headers={"X-Tenant-ID": tenant})
        assert answer.json() == [tenant] * 4

    async with client() as http, asyncio.TaskGroup() as group:
        for number in range(REQUESTS):
            group.create_task(ask(http, number))


async def test_a_hundred_websockets_at_once_each_see_their_own_tenant(address: str) -> None:
    async def talk(number: int) -> None:
        tenant = TENANTS[number % len(TENANTS)]
        headers = {"X-Tenant-ID": tenant}
        async with connect(f"ws://{address}/together", additional_headers=headers, proxy=None, open_timeout=60) as ws:
            for _ in range(2):
                await ws.send("who")
                assert json.loads(await ws.recv()) == [tenant] * 4

    async with asyncio.TaskGroup() as group:
        for number in range(SOCKETS):
            group.create_task(talk(number))


@pytest.mark.logs("Exception in ASGI application")
async def test_one_connection_serves_tenant_after_tenant_and_keeps_nothing(address: str) -> None:
    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=1), timeout=60, trust_env=False) as http:
        for tenant in TENANTS * 3:
            failed = await http.get(f"http://{address}/fails", headers={"X-Tenant-ID": tenant})
            assert failed.status_code == 500
            refused = await http.get(f"http://{address}/")
            assert refused.status_code == 403
            answer = await http.get(f"http://{address}/", headers={"X-Tenant-ID": tenant})
            assert answer.json() == [tenant] * 4


async def test_refusals_are_json_a_client_can_read(address: str) -> None:
    async with client() as http:
        answer = await http.get(f"http://{address}/", headers={"X-Tenant-ID": "evil-corp"})
        twice = await http.get(f"http://{address}/", headers=[("X-Tenant-ID", "globex"), ("X-Tenant-ID", "globex")])
        hostile = await http.get(f"http://{address}/", headers=[(b"X-Tenant-ID", b"\xe9\xff")])
    assert answer.status_code == twice.status_code == hostile.status_code == 403
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"detail": "Tenant evil-corp is not allowed here.", "tenant_id": "evil-corp"}
    assert twice.json()["tenant_id"] is None
    assert hostile.json()["tenant_id"] is None


# uvicorn writes this after every refusal that has a body, whoever sent it.
@pytest.mark.logs("ASGI callable returned without completing handshake")
async def test_a_refused_websocket_never_opens(address: str) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with connect(f"ws://{address}/", additional_headers={"X-Tenant-ID": "evil-corp"}, proxy=None):
            pass
    assert refused.value.response.status_code == 403
    assert json.loads(refused.value.response.body or b"")["tenant_id"] == "evil-corp"
