"""What other code than the application's does with TenantRedis, on a few names; some are the full ones of others."""

import pytest

from hitl_desktop.tenancy import TenantMismatchError
from tests.isolation.model import Model
from tests.isolation.walk import Step, Walk

BASES = ("asdlc:a", "asdlc:task:1", "*", "{acme}", "a b\n", "tenant:acme:asdlc:a", "tenant:{acme-corp}:asdlc:a", "")


def _base(walk: Walk, kind: str) -> str:
    return f"{walk.random.choice(BASES)}:{kind}"


async def set_and_get(walk: Walk, model: Model) -> None:
    client, base = walk.clients[model.tenant], _base(walk, "s")
    assert await client.get(base) == model.data.get(base)
    model.data[base] = model.text()
    assert await client.set(base, model.data[base])


async def read_many(walk: Walk, model: Model) -> None:
    bases = [f"{base}:s" for base in BASES]
    assert await walk.clients[model.tenant].mget(bases) == [model.data.get(base) for base in bases]


async def write_a_hash(walk: Walk, model: Model) -> None:
    client, base, field = walk.clients[model.tenant], _base(walk, "h"), f"field-{walk.random.randrange(3)}"
    assert await client.hgetall(base) == model.data.get(base, {})
    model.data.setdefault(base, {})[field] = text = model.text()
    await client.hset(base, field, text)


async def push_and_pop(walk: Walk, model: Model) -> None:
    client, base = walk.clients[model.tenant], _base(walk, "l")
    values = model.data.setdefault(base, [])
    if len(values) > 2:
        assert await client.blpop([base, "empty:l"], timeout=1) == (base, values.pop(0))
    values.append(model.text())
    assert await client.rpush(base, values[-1]) == len(values)


async def add_and_read_a_stream(walk: Walk, model: Model) -> None:
    client, base = walk.clients[model.tenant], _base(walk, "x")
    entries = model.data.setdefault(base, [])
    entries.append({"field": model.text()})
    await client.xadd(base, entries[-1])
    ((name, found),) = await client.xread({base: "0", "empty:x": "0"})
    assert (name, [fields for _, fields in found]) == (base, entries)


async def delete(walk: Walk, model: Model) -> None:
    if model.data:
        base = walk.random.choice(list(model.data))
        assert await walk.clients[model.tenant].delete(base) == bool(model.data.pop(base))


async def scan(walk: Walk, model: Model) -> None:
    client, expected = walk.clients[model.tenant], model.keyspace().keys()
    assert {key async for key in client.scan_iter(count=walk.random.randrange(1, 50))} == expected
    assert set(await client.keys("asdlc:*")) == {base for base in expected if base.startswith("asdlc:")}


async def transact(walk: Walk, model: Model) -> None:
    first, second = _base(walk, "s"), _base(walk, "s")
    async with walk.clients[model.tenant].pipeline(transaction=walk.random.random() < 0.5) as pipeline:
        for base in (first, second):
            model.data[base] = model.text()
            pipeline.set(base, model.data[base])
        pipeline.mget(first, second)
        assert (await pipeline.execute())[-1] == [model.data[first], model.data[second]]


async def run_a_script(walk: Walk, model: Model) -> None:
    script = walk.clients[model.tenant].register_script(
        "local was = redis.call('GET', KEYS[1]); redis.call('SET', KEYS[1], ARGV[1]); return was"
    )
    base, text = _base(walk, "s"), model.text()
    assert await script(keys=[base], args=[text]) == model.data.get(base)
    model.data[base] = text


async def publish(walk: Walk, model: Model) -> None:
    """What anybody else had sent to these ears would come before one's own message."""
    channel, text = _base(walk, "c"), model.text()
    assert await walk.clients[model.tenant].publish(channel, text) == 1
    message = await walk.ears[model.tenant].get_message(timeout=5)
    assert (message["channel"], message["data"]) == (channel, text)
    for other in walk.others(model):
        name = other.names.key(channel)
        assert await walk.clients[model.tenant].publish(name, text) == 1
        message = await walk.ears[model.tenant].get_message(timeout=5)
        assert (message["channel"], message["data"]) == (name, text)


async def ask_for_anothers_keys(walk: Walk, model: Model) -> None:
    client = walk.clients[model.tenant]
    for other in walk.others(model):
        for base in other.keyspace():
            for name in (other.names.key(base), f"../{other.tenant}/{base}"):
                walk.told(model, await client.exists(name), await client.keys(f"*{name}*"))
        walk.told(model, await client.hgetall(other.names.gate_request("x")), await client.xrange(other.names.events))
        ids = [f"asdlc:gate_request:{name}" for name in list(other.gates)[-5:]]
        assert [await client.hgetall(name) for name in ids] == [{}] * len(ids)


async def use_anothers_client(walk: Walk, model: Model) -> None:
    """Take hold of a client that is bound to another tenant, as code does that mixes two up."""
    base, text = _base(walk, "s"), model.text()
    for other in walk.others(model):
        client, ears = walk.clients[other.tenant], walk.ears[other.tenant]
        script = client.register_script("return redis.call('SET', KEYS[1], ARGV[1])")
        for attempt in (client.get(base), client.set(base, text), script([base], [text]), ears.subscribe(base)):
            with pytest.raises(TenantMismatchError):
                await attempt
        with pytest.raises(TenantMismatchError):
            client.pipeline().set(base, text)


STEPS: dict[Step, float] = {
    set_and_get: 4,
    read_many: 2,
    write_a_hash: 3,
    push_and_pop: 3,
    add_and_read_a_stream: 3,
    delete: 2,
    scan: 3,
    transact: 3,
    run_a_script: 3,
    publish: 3,
    ask_for_anothers_keys: 1,
    use_anothers_client: 1,
}
