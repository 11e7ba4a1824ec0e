"""TenantRedis as one of the tenant's own users: both walls stand, and each does without the other."""

import pytest
from redis.exceptions import NoPermissionError, ResponseError

from hitl_desktop.services import CommandRefusedError, TenantRedis
from hitl_desktop.services.acl import Role
from hitl_desktop.tenancy import TenantNames
from tests.servers import Server
from tests.services.tenant_redis.clients import OTHER, TENANT, as_other
from tests.users import make_user


async def test_an_agents_user_works_with_its_own_tenants_keys_alone(server: Server) -> None:
    url = make_user(server, TenantNames(TENANT), Role.AGENT)
    async with (
        TenantRedis.from_url(url, tenant=TENANT, decode_responses=True) as ours,
        TenantRedis.from_url(url, tenant=OTHER) as misbound,
    ):
        await ours.set("asdlc:k", "1")
        await ours.xgroup_create("asdlc:events", "g", id="0", mkstream=True)
        async with ours.pipeline() as pipeline:
            pipeline.xadd("asdlc:events", {"f": "v"}, id="1-1")
            pipeline.get("asdlc:k")
            assert await pipeline.execute() == ["1-1", "1"]
        assert await ours.xreadgroup("g", "c", {"asdlc:events": ">"}) == [["asdlc:events", [("1-1", {"f": "v"})]]]
        # The server's wall, where the code's binds the wrong tenant; and where it has no rule of its own.
        with as_other(), pytest.raises(NoPermissionError):
            await misbound.get("asdlc:k")
        with pytest.raises(NoPermissionError):
            await ours.scan()
        with pytest.raises(NoPermissionError):
            await ours.get("not-asdlc:k")
        # The code's wall, where the server's user may do anything.
    async with TenantRedis.from_url(server.url, tenant=TENANT) as ours:
        with pytest.raises(CommandRefusedError):
            await ours.flushall()


async def test_what_a_script_builds_itself_is_the_servers_to_stop(server: Server) -> None:
    theirs = TenantNames(OTHER).key("asdlc:k")
    server.run("SET", theirs, "theirs")
    prefix = TenantNames(TENANT).prefix
    server.run("ACL", "SETUSER", "scripting", "on", ">p", f"~{prefix}*", "+@all")
    async with TenantRedis(TENANT, host=server.host, port=server.port, username="scripting", password="p") as ours:  # noqa: S106 - of a test's own user
        script = ours.register_script("return redis.call('GET', ARGV[1])")
        with pytest.raises(ResponseError, match=r"(?i)permission|can't access"):
            await script(args=[theirs])
