from pathlib import Path

import pytest

from hitl_desktop.settings import Settings
from hitl_desktop.tenancy import TenantConfig, TenantNotAllowedError, TenantNotSetError, validate_tenant


def configured(**changes: object) -> Settings:
    return Settings(**{"state_dir": Path("/s"), "redis_url": "redis://x", "multi_tenancy": True, **changes})  # type: ignore[arg-type]


def test_any_legal_tenant_passes_a_star() -> None:
    assert validate_tenant("acme-corp", ["*"])
    with pytest.raises(TenantNotAllowedError):
        validate_tenant("a:asdlc:x", ["*"])


def test_a_tenant_off_the_list_is_named() -> None:
    with pytest.raises(TenantNotAllowedError, match="'evil-corp' is not on the allowlist") as told:
        validate_tenant("evil-corp", ["acme-corp"])
    assert told.value.tenant_id == "evil-corp"


def test_the_default_is_the_orchestrators_where_it_is_allowed() -> None:
    assert TenantConfig.of(configured()).choose(None) == "default"
    assert TenantConfig.of(configured(allowed_tenants=("b", "a"))).choose(None) == "b"
    assert TenantConfig.of(configured(default_tenant="a", allowed_tenants=("b", "a"))).choose(None) == "a"


def test_the_local_workspace_is_multi_tenant_and_begins_with_its_first_tenant() -> None:
    local = Settings(state_dir=Path("/s"))
    assert TenantConfig.of(local, ("first", "second")).choose(None) == "first"
    with pytest.raises(TenantNotSetError):
        TenantConfig.of(local).choose(None)
    only = Settings(state_dir=Path("/s"), allowed_tenants=("second",))
    assert TenantConfig.of(only, ("first", "second")).choose(None) == "second"


def test_off_is_not_a_default_tenant() -> None:
    config = TenantConfig.of(configured(multi_tenancy=False))
    assert config.choose(None) is None
    with pytest.raises(TenantNotAllowedError, match="Multi-tenancy is off"):
        config.choose("acme-corp")
