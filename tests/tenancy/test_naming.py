import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hitl_desktop.settings import KeyLayout
from hitl_desktop.tenancy import TenantNames
from tests.tenancy_ids import legacy_ids

ids = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)
parts = st.text(st.characters(codec="utf-8"), max_size=20)
bases = st.from_regex(r"asdlc_[A-Za-z0-9_-]{0,20}[a-z0-9]", fullmatch=True)


def test_names_are_those_of_the_wire() -> None:
    names = TenantNames("acme-corp")
    assert names.gate_request("r") == "tenant:acme-corp:asdlc:gate_request:r"
    assert names.evidence_bundle("b") == "tenant:acme-corp:asdlc:evidence_bundle:b"
    assert names.pending_gates == "tenant:acme-corp:asdlc:pending_gates"
    assert names.decision_log("t") == "tenant:acme-corp:asdlc:decision_log:t"
    assert (names.audit, names.events) == ("tenant:acme-corp:asdlc:audit", "tenant:acme-corp:asdlc:events")
    assert names.collection("asdlc_documents") == "acme-corp_asdlc_documents"
    assert TenantNames("acme-corp", KeyLayout.HASHTAG).events == "tenant:{acme-corp}:asdlc:events"


def test_single_tenant_mode_passes_names_through() -> None:
    names = TenantNames(None)
    assert names.events == "asdlc:events"
    assert names.collection("asdlc_specs") == "asdlc_specs"


@given(ids, ids, parts, parts, bases, bases, st.sampled_from(KeyLayout))
def test_no_two_tenants_share_a_name(
    one: str, other: str, a: str, b: str, base_a: str, base_b: str, layout: KeyLayout
) -> None:
    assume(one != other)
    first, second = TenantNames(one, layout), TenantNames(other, layout)
    assert first.key(f"asdlc:{a}") != second.key(f"asdlc:{b}")
    assert not first.key("asdlc:").startswith(second.key("asdlc:"))
    assert first.collection(base_a) != second.collection(base_b)
    assert first.keyring_entry != second.keyring_entry
    assert first.file_stem != second.file_stem
    assert first.redis_user("reviewer") != second.redis_user("reviewer")
    assert TenantNames(None).file_stem not in {first.file_stem, second.file_stem}
    assert TenantNames(None).keyring_entry not in {first.keyring_entry, second.keyring_entry}


@given(ids, ids, parts, st.sampled_from(KeyLayout))
def test_a_pattern_is_of_one_tenants_keys_and_a_user_is_one_tenants(
    one: str, other: str, part: str, layout: KeyLayout
) -> None:
    assume(one != other)
    mine, theirs = TenantNames(one, layout), TenantNames(other, layout)
    # All that a server reads as a pattern is the star at the end.
    assert re.sub(r"[a-z0-9:{}-]", "", mine.key_pattern.removesuffix("*")) == ""
    head = mine.key_pattern.removesuffix("*")
    assert mine.key(f"asdlc:{part}").startswith(head)
    assert not theirs.key(f"asdlc:{part}").startswith(head)
    assert not TenantNames(None).key(f"asdlc:{part}").startswith(head)
    users = {names.redis_user(role) for names in (mine, theirs) for role in ("agent", "reviewer")}
    assert len(users) == 4


@given(legacy_ids, st.sampled_from(KeyLayout))
def test_no_id_of_another_grammar_widens_a_pattern(tenant: str, layout: KeyLayout) -> None:
    assert not set("*?[]^\\") & set(TenantNames(tenant, layout).key_pattern.removesuffix("*"))
    assert not set(" \"'<>~&@") & set(TenantNames(tenant, layout).redis_user("agent"))


@given(ids)
def test_file_names_and_collections_are_legal_everywhere(tenant: str) -> None:
    names = TenantNames(tenant)
    assert set(names.file_stem) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    collection = names.collection("asdlc_documents")
    assert 3 <= len(collection) <= 512
    assert collection[0].isalnum()
    assert collection[-1].isalnum()


def test_a_collection_has_its_base_for_its_own_tenant_alone() -> None:
    names = {tenant_id: TenantNames(tenant_id) for tenant_id in ("acme", "acme-corp", "Old_Client")}
    for tenant_id, own in names.items():
        for base in ("asdlc_documents", "x", "a_b.c-d"):
            name = own.collection(base)
            assert own.base_of_collection(name) == base
            others = [other for other_id, other in names.items() if other_id != tenant_id]
            assert [other.base_of_collection(name) for other in others] == [None, None]
    for name in ("", "acme", "acme_", "acme_é", "acme_a/b", "acme_x\n", "ACME_docs", " acme_docs", "docs", "acme_a..b"):
        assert names["acme"].base_of_collection(name) is None
    assert TenantNames(None).base_of_collection("docs") == "docs"


def test_each_tenant_has_a_user_for_each_role() -> None:
    assert TenantNames("acme-corp").redis_user("reviewer") == "acme-corp-reviewer"
    with pytest.raises(ValueError, match="only a tenant"):
        TenantNames(None).redis_user("reviewer")


profiles = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", fullmatch=True) | st.just("")


@given(ids, ids, profiles, profiles, st.from_regex(r"[0-9a-f]{16}", fullmatch=True))
def test_no_two_entries_of_the_keyring_meet(one: str, other: str, a: str, b: str, store_id: str) -> None:
    assume((one, a) != (other, b))
    first, second = TenantNames(one), TenantNames(other)
    assert first.credentials_entry(a) != second.credentials_entry(b)
    assert second.data_key_entry(store_id) not in {first.credentials_entry(a), second.credentials_entry(b)}
    assert TenantNames(None).credentials_entry(a) not in {first.credentials_entry(a), second.credentials_entry(b)}
