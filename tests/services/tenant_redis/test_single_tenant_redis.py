"""Where multi-tenancy is off, TenantRedis is redis-py's client; and what it costs to import."""

import subprocess
import sys

import pytest
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.client import Pipeline, PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from hitl_desktop.services import TenantRedis
from hitl_desktop.tenancy import TenantContext
from tests.servers import Server
from tests.services.tenant_redis.clients import OTHER, client


@pytest.mark.parametrize("tenant", [None, "acme-corp", OTHER, "not a tenant"])
@pytest.mark.parametrize("switch", ["", "false", "0"])
async def test_off_means_unchanged(
    server: Server, monkeypatch: pytest.MonkeyPatch, tenant: str | None, switch: str
) -> None:
    monkeypatch.setenv("MULTI_TENANCY_ENABLED", switch)
    TenantContext.clear()
    async with client(server, tenant, decode_responses=True) as plain:
        assert isinstance(plain, TenantRedis)
        await plain.set("asdlc:k", "1")
        assert server.run("KEYS", "*") == [b"asdlc:k"]
        assert await plain.keys() == ["asdlc:k"]
        assert await plain.eval("return redis.call('GET', KEYS[1])", 1, "asdlc:k") == "1"
        assert await plain.register_script("return KEYS[1]")(keys=["k"]) == "k"
        async with plain.pipeline() as pipeline, plain.pubsub() as subscriptions, plain.lock("l"):
            assert (type(pipeline), type(subscriptions)) == (Pipeline, PubSub)
        assert plain.connection_pool.connection_kwargs["path"] == str(server.socket)
        async with plain.client() as single:
            assert await single.get("asdlc:k") == "1"
        await plain.flushall()


async def test_from_url(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for url in (server.url, server.unix_url):
        async with TenantRedis.from_url(url, tenant="acme-corp", decode_responses=True) as ours:
            await ours.set("k", "1")
            assert await ours.keys() == ["k"]
    assert server.run("KEYS", "*") == [b"tenant:acme-corp:k"]
    monkeypatch.setenv("MULTI_TENANCY_ENABLED", "false")
    async with TenantRedis.from_url(server.url, tenant=None) as plain:
        assert await plain.keys() == [b"tenant:acme-corp:k"]
    with pytest.raises(TypeError):
        TenantRedis.from_url(server.url)  # type: ignore[call-arg]


@pytest.mark.parametrize("enabled", ["true", "false"])
def test_nothing_is_repeated_unless_the_caller_says_so(monkeypatch: pytest.MonkeyPatch, enabled: str) -> None:
    monkeypatch.setenv("MULTI_TENANCY_ENABLED", enabled)
    made: list[dict[str, object]] = []
    construct = Redis.__init__

    def watched(self: Redis, **options: object) -> None:
        made.append(options)
        construct(self, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Redis, "__init__", watched)
    TenantRedis("acme-corp")
    assert isinstance(made[0]["retry"], Retry)
    assert made[0]["retry"].get_retries() == 0
    own = Retry(NoBackoff(), 7)
    TenantRedis("acme-corp", retry=own)
    assert made[1] == {"retry": own}
    TenantRedis("acme-corp", retry_on_error=[OSError])
    assert made[2] == {"retry_on_error": [OSError]}


async def test_a_pool_of_the_callers_own_is_shared_and_stays_open(server: Server) -> None:
    async with ConnectionPool.from_url(server.unix_url) as pool:
        async with TenantRedis("acme-corp", connection_pool=pool) as ours:
            await ours.set("k", "1")
        async with TenantRedis(OTHER, connection_pool=pool) as theirs:
            with TenantContext.tenant_scope(OTHER):
                assert await theirs.get("k") is None
        assert await Redis(connection_pool=pool).get("tenant:acme-corp:k") == b"1"


async def test_one_connection_of_its_own(server: Server) -> None:
    ours = await client(server, single_connection_client=True)
    await ours.set("k", "1")
    assert await ours.get("k") == b"1"
    await ours.aclose()


@pytest.mark.parametrize(("layout", "key"), [("plain", b"tenant:acme-corp:k"), ("hashtag", b"tenant:{acme-corp}:k")])
async def test_keys_are_laid_out_as_the_setting_says(
    server: Server, monkeypatch: pytest.MonkeyPatch, layout: str, key: bytes
) -> None:
    monkeypatch.setenv("HITL_KEY_LAYOUT", layout)
    async with client(server) as ours:
        await ours.set("k", "1")
        assert server.run("KEYS", "*") == [key]
        assert [found async for found in ours.scan_iter()] == [b"k"]


def test_importing_the_services_does_not_import_redis() -> None:
    script = "import sys, hitl_desktop.services as s; print('redis' in sys.modules, s.TenantRedis.__name__)"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert told.stdout == "False TenantRedis\n"
    script = "import hitl_desktop.services as s; s.Unheard"
    failed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "has no attribute 'Unheard'" in failed.stderr
