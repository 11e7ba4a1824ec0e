"""What a diagnosis asks a server."""

from hitl_desktop.services.connection import connect
from hitl_desktop.services.health import Health
from hitl_desktop.tenancy import TenantNames
from tests.servers import Server


async def test_data_have_another_history_once_something_may_have_been_lost(server: Server) -> None:
    async def history() -> str:
        async with connect(server.url) as connection:
            return await Health(connection, TenantNames(None)).history_id()

    first = await history()
    assert first
    assert await history() == first
    server.restart()
    second = await history()
    # As a master that was cut off, was made a replica, and is the master again: without a restart in between.
    server.run("REPLICAOF", "127.0.0.1", 1)
    server.run("REPLICAOF", "NO", "ONE")
    assert len({first, second, await history()}) == 3
