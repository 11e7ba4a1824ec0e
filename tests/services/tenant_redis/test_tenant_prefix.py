"""Names of one tenant, put and taken off, for every tenant and every name there can be."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitl_desktop.services import ForeignNameError
from hitl_desktop.services.tenant_redis.prefix import Prefix
from hitl_desktop.settings import KeyLayout
from hitl_desktop.tenancy import TenantNames
from tests.servers import Server
from tests.services.tenant_redis.clients import ENCODER, clients
from tests.services.tenant_redis.invocations import chance
from tests.tenancy_ids import legacy_ids, legal_ids

layouts = st.sampled_from(list(KeyLayout))
names = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])), st.binary(), st.integers(), st.floats(allow_nan=False)
)


@given(legal_ids | legacy_ids, layouts, names)
def test_what_is_put_is_taken_off_again(tenant: str, layout: KeyLayout, name: Any) -> None:
    prefix = Prefix(TenantNames(tenant, layout), ENCODER)
    sent = bytes(ENCODER.encode(name))
    assert prefix.put(name) == TenantNames(tenant, layout).prefix.encode() + sent
    assert prefix.take(prefix.put(name)) == sent
    assert prefix.take_pattern(prefix.put_pattern(name)) == sent
    if isinstance(name, str):
        assert prefix.take(prefix.put(name).decode()) == name


@given(legal_ids | legacy_ids, legal_ids | legacy_ids, layouts, names)
def test_no_name_of_one_tenant_is_anothers(one: str, other: str, layout: KeyLayout, name: Any) -> None:
    put = Prefix(TenantNames(one, layout), ENCODER).put(name)
    if one != other:
        with pytest.raises(ForeignNameError):
            Prefix(TenantNames(other, layout), ENCODER).take(put)


@given(legal_ids | legacy_ids, layouts)
def test_a_pattern_begins_literally_with_the_tenants_prefix(tenant: str, layout: KeyLayout) -> None:
    # The servers' own signs; an ACL compares a subscriber's pattern with its own letter by letter.
    assert not set("*?[\\") & set(TenantNames(tenant, layout).prefix)
    assert TenantNames(tenant, layout).pattern("[x]*") == f"{TenantNames(tenant, layout).prefix}[x]*"


async def test_no_pattern_reaches_another_tenants_keys(server: Server, full: bool) -> None:  # noqa: FBT001 - a fixture
    signs, random = [*"*?[]^-\\:{}a", "acme-corp", "tenant", "tenant:", "*:*", "[^a]", r"\*"], chance(6)
    for key in ("tenant:acme-corp:a", "tenant:acme-corp:*", "tenant:acme-corp-2:a", "tenant:acme:a", "tenant:a", "a"):
        server.run("SET", key, "1")
    async with clients(server, decode_responses=True) as (ours, _):
        found = set()
        for _ in range(3000 if full else 300):
            pattern = "".join(random.choice(signs) for _ in range(random.randrange(6)))
            found |= {*await ours.keys(pattern)}
            found |= {*(await ours.scan(0, match=pattern, count=100))[1]}
    assert found == {"a", "*"}
