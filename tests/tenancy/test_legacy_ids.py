"""Ids outside the grammar: only by name, and only where none of their names can be another tenant's."""

import contextvars
import itertools
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hitl_desktop.domain.allowlist import ANY_TENANT, is_collection, refusal, refusals
from hitl_desktop.settings import KeyLayout, SettingsError, read_settings
from hitl_desktop.tenancy import TenantConfig, TenantContext, TenantNames, TenantNotAllowedError, validate_tenant
from tests.tenancy_ids import legacy_ids, legal_ids

# Few letters, so that ids often begin alike.
narrow_ids = st.from_regex(r"[abA][abA_.-]{0,4}", fullmatch=True).filter(lambda text: ".." not in text)
bases = st.from_regex(r"[abA][abA_.-]{0,6}[abA]", fullmatch=True).filter(lambda text: ".." not in text)
allowlists = st.lists(st.one_of(narrow_ids, legacy_ids, legal_ids, st.just(ANY_TENANT)), min_size=1, max_size=8)


def admitted(allowed: list[str], others: list[str]) -> list[str]:
    """Return the tenants that the allowlist admits, out of those that it names and `others`."""
    return [tenant for tenant in dict.fromkeys((*allowed, *others)) if refusal(tenant, allowed) is None]


@given(allowlists, st.lists(legal_ids | narrow_ids, max_size=5), st.lists(bases, min_size=1, max_size=4))
def test_no_two_admitted_tenants_share_a_name_or_own_anothers_beginning(
    allowed: list[str], others: list[str], some_bases: list[str]
) -> None:
    for one, other in itertools.combinations(admitted(allowed, others), 2):
        for layout in KeyLayout:
            keys = TenantNames(one, layout).key(""), TenantNames(other, layout).key("")
            assert not keys[0].startswith(keys[1])
            assert not keys[1].startswith(keys[0])
        first, second = TenantNames(one), TenantNames(other)
        assert first.keyring_entry[1].casefold() != second.keyring_entry[1].casefold()
        assert first.file_stem.casefold() != second.file_stem.casefold()
        wire = ("asdlc_documents", "asdlc_specs")
        collections = {first.collection(base) for base in (*wire, *some_bases)}
        assert collections.isdisjoint(second.collection(base) for base in (*wire, *some_bases))


@given(narrow_ids, narrow_ids, st.booleans())
def test_two_tenants_are_refused_together_only_where_they_could_meet(one: str, other: str, star: bool) -> None:  # noqa: FBT001 - drawn
    assume(one != other)
    allowed = [one, other, ANY_TENANT] if star else [one, other]
    meets = one.startswith(f"{other}_") or other.startswith(f"{one}_")
    heads = {text[:at] for text in (one, other) for at, letter in enumerate(text) if letter == "_"}
    meets_any = star and any(refusal(head, [ANY_TENANT]) is None for head in heads)
    assert bool(list(refusals(allowed))) == (meets or meets_any)


def test_the_trap_is_real_and_named() -> None:
    assert TenantNames("a_b").collection("documents") == TenantNames("a").collection("b_documents")
    with pytest.raises(TenantNotAllowedError, match=r"'a_b' and 'a' could own the same collection"):
        validate_tenant("a_b", ["a", "a_b"])
    with pytest.raises(TenantNotAllowedError, match=r"'a' and 'a_b' could own the same collection"):
        validate_tenant("a", ["a", "a_b"])
    with pytest.raises(TenantNotAllowedError, match="same collection"):
        validate_tenant("a_b", ["*", "a_b"])
    assert validate_tenant("a_b", ["a_b", "a-b", "b"])


@pytest.mark.parametrize("tenant", ["Acme_Corp", "acme.corp", "ACME", "acme_"])
def test_a_legacy_id_is_allowed_by_name_and_never_through_a_star(tenant: str) -> None:
    assert validate_tenant(tenant, [tenant])
    for allowed in (["*"], ["other"], [tenant.swapcase(), "*"]):
        with pytest.raises(TenantNotAllowedError, match="is not a tenant id"):
            validate_tenant(tenant, allowed)


@pytest.mark.parametrize(
    "tenant", ["a:asdlc:x", "a b", "_a", ".a", "a..b", "a*", "a[b]", "{a}", "ä", "a/b", "A" * 64, ""]
)
def test_what_no_name_can_be_made_from_is_refused_although_it_is_listed(tenant: str) -> None:
    with pytest.raises(TenantNotAllowedError, match="is not a tenant id"):
        validate_tenant(tenant, [tenant])
    with pytest.raises(TenantNotAllowedError):
        TenantNames(tenant)


def test_a_star_is_no_tenant() -> None:
    with pytest.raises(TenantNotAllowedError):
        validate_tenant("*", ["*"])


@given(legacy_ids, st.sampled_from(["asdlc_documents", "asdlc_specs"]))
def test_every_collection_is_one_that_chroma_takes(tenant: str, base: str) -> None:
    assert is_collection(TenantNames(tenant).collection(base), 512)


@given(st.sets(legacy_ids | legal_ids, min_size=2, max_size=10))
def test_file_stems_are_injective_and_safe_on_every_system(tenants: set[str]) -> None:
    stems = [TenantNames(tenant).file_stem for tenant in tenants]
    assert len({stem.casefold() for stem in stems}) == len(tenants)
    for stem in (*stems, "single_tenant"):
        assert len(stem) < 220
        assert set(stem) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_")
        assert Path(stem).name == stem


@pytest.mark.parametrize("base", ["", "a" * 600, "x y", "x/y", "ends_", "a..b"])
def test_a_base_that_chroma_refuses_is_refused_here(base: str) -> None:
    with pytest.raises(ValueError, match="no base of a Chroma collection"):
        TenantNames("acme-corp").collection(base)


def test_the_settings_refuse_an_allowlist_that_collides_and_say_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOWED_TENANTS", "acme,Old_Client,acme_eu")
    with pytest.raises(SettingsError, match=r"^ALLOWED_TENANTS has 'acme'.*'acme_eu' could own the same collection"):
        read_settings()
    with pytest.raises(SettingsError):
        TenantConfig.from_env()
    monkeypatch.setenv("ALLOWED_TENANTS", "acme,Old_Client")
    monkeypatch.setenv("DEFAULT_TENANT_ID", "Old_Client")
    assert read_settings().allowed_tenants == ("acme", "Old_Client")
    assert TenantConfig.of(read_settings()).choose(None) == "Old_Client"
    assert TenantConfig.from_env().default_tenant == "Old_Client"
    monkeypatch.setenv("DEFAULT_TENANT_ID", "New_Client")
    with pytest.raises(SettingsError, match="DEFAULT_TENANT_ID"):
        read_settings()


def test_a_default_outside_the_grammar_needs_to_be_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEFAULT_TENANT_ID", "Old_Client")
    with pytest.raises(SettingsError, match="DEFAULT_TENANT_ID"):
        read_settings()


@pytest.mark.parametrize("collection", ["x", "ends_", "a b", "a..b", "1.2.3.4", "a" * 449])
def test_the_settings_refuse_a_collection_that_chroma_would(collection: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KNOWLEDGE_STORE_COLLECTION", collection)
    with pytest.raises(SettingsError, match="KNOWLEDGE_STORE_COLLECTION"):
        read_settings()


def test_the_context_takes_a_legacy_id_only_where_it_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    def check() -> None:
        with pytest.raises(TenantNotAllowedError):
            TenantContext.set_tenant("Old_Client")
        with TenantContext.tenant_scope("Old_Client", ("acme", "Old_Client")):
            assert TenantContext.get_current_tenant() == "Old_Client"
        with pytest.raises(TenantNotAllowedError):
            TenantContext.set_tenant("globex", ("acme",))
        monkeypatch.setenv("ALLOWED_TENANTS", "acme,Old_Client")
        with TenantContext.tenant_scope("Old_Client"):
            assert TenantContext.get_current_tenant() == "Old_Client"
        assert not TenantContext.is_set()

    contextvars.copy_context().run(check)


def test_one_text_is_no_allowlist() -> None:
    with pytest.raises(TypeError):
        validate_tenant("a", "acme")
    with pytest.raises(TypeError):
        TenantConfig(allowed_tenants="acme")  # type: ignore[arg-type]
