"""What services beside the application import from `hitl_desktop.tenancy`, and how little that brings along."""

import dataclasses
import inspect
import subprocess
import sys

import pytest

from hitl_desktop import tenancy
from hitl_desktop.settings import SettingsError
from hitl_desktop.tenancy import (
    TenantConfig,
    TenantContext,
    TenantNotAllowedError,
    TenantNotSetError,
    get_tenant_collection_name,
    get_tenant_prefixed_key,
    validate_tenant,
)

SIGNATURES = {
    "validate_tenant": ["tenant_id", "allowed_tenants"],
    "get_tenant_prefixed_key": ["key", "separator"],
    "get_tenant_collection_name": ["base_name"],
    "extract_tenant_from_event": ["event"],
    "inject_tenant_into_event": ["event"],
    "process_event_with_tenant": ["event", "handler", "default_tenant"],
    "TenantMiddleware": ["app", "config"],
    "TenantConfig": ["enabled", "default_tenant", "allowed_tenants", "tenant_header"],
}


@pytest.mark.parametrize(("name", "parameters"), SIGNATURES.items())
def test_names_and_parameters_stay_as_services_call_them(name: str, parameters: list[str]) -> None:
    assert list(inspect.signature(getattr(tenancy, name)).parameters) == parameters
    assert name in tenancy.__all__


METHODS = {
    "set_tenant": ["tenant_id"],
    "get_current_tenant": [],
    "get_current_tenant_or_default": ["default"],
    "is_set": [],
    "reset": ["token"],
    "clear": [],
    "tenant_scope": ["tenant_id"],
}


@pytest.mark.parametrize(("name", "needed"), METHODS.items())
def test_the_context_has_the_methods_that_services_call(name: str, needed: list[str]) -> None:
    parameters = inspect.signature(getattr(TenantContext, name)).parameters.values()
    assert [one.name for one in parameters if one.default is one.empty] == needed


def test_defaults_are_those_that_services_rely_on() -> None:
    def default(name: str, parameter: str) -> object:
        return inspect.signature(getattr(tenancy, name)).parameters[parameter].default

    assert default("validate_tenant", "allowed_tenants") is None
    assert default("get_tenant_prefixed_key", "separator") == ":"
    assert default("process_event_with_tenant", "default_tenant") is None
    assert default("TenantMiddleware", "config") is None


@pytest.mark.parametrize("name", ["TenantNotSetError", "TenantNotAllowedError", "TenantMismatchError"])
def test_the_errors_are_exported_and_of_one_family(name: str) -> None:
    assert issubclass(getattr(tenancy, name), tenancy.TenancyError)
    assert name in tenancy.__all__


def test_importing_it_brings_the_standard_library_alone_and_no_event_loop() -> None:
    script = "import sys, hitl_desktop.tenancy; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    names = set(told.stdout.split())
    assert "asyncio" not in names
    assert names & {"redis", "chromadb", "msgspec", "keyring", "PySide6", "starlette", "platformdirs", "json"} == set()


def test_the_configuration_is_frozen_and_has_no_default_tenant_of_its_own() -> None:
    config = TenantConfig.from_env({})
    assert config == TenantConfig(False, None, ("*",), "X-Tenant-ID")  # noqa: FBT003 - as services write it
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.enabled = True  # type: ignore[misc]


def test_the_configuration_is_read_from_the_environment() -> None:
    environment = {
        "MULTI_TENANCY_ENABLED": "Yes",
        "DEFAULT_TENANT_ID": "acme",
        "ALLOWED_TENANTS": " acme , globex,acme",
        "TENANT_HEADER": "X-Client",
    }
    assert TenantConfig.from_env(environment) == TenantConfig(True, "acme", ("acme", "globex"), "X-Client")  # noqa: FBT003 - as above


@pytest.mark.parametrize("switch", [None, "false", "0", "no", "FALSE", ""])
def test_off_names_pass_through_unchanged(switch: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if switch is not None:
        monkeypatch.setenv("MULTI_TENANCY_ENABLED", switch)
    assert get_tenant_prefixed_key("asdlc:events") == "asdlc:events"
    assert get_tenant_collection_name("asdlc_documents") == "asdlc_documents"
    with TenantContext.tenant_scope("acme"):
        assert get_tenant_prefixed_key("asdlc:events") == "asdlc:events"
        assert get_tenant_collection_name("asdlc_documents") == "asdlc_documents"


@pytest.mark.parametrize("switch", ["true", "1", "yes", "TRUE"])
def test_on_names_are_prefixed_and_a_tenant_is_needed(switch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MULTI_TENANCY_ENABLED", switch)
    for build in (get_tenant_prefixed_key, get_tenant_collection_name):
        with pytest.raises(TenantNotSetError):
            build("asdlc_documents")
    with TenantContext.tenant_scope("acme"):
        assert get_tenant_prefixed_key("asdlc:events") == "tenant:acme:asdlc:events"
        assert get_tenant_prefixed_key("asdlc:events", separator="/") == "tenant/acme/asdlc:events"
        assert get_tenant_collection_name("asdlc_documents") == "acme_asdlc_documents"
        monkeypatch.setenv("HITL_KEY_LAYOUT", "hashtag")
        assert get_tenant_prefixed_key("asdlc:events") == "tenant:{acme}:asdlc:events"


@pytest.mark.parametrize("separator", ["", "-", "a", "0", ".", "*", "{", "?", "[", " ", "\n", ":-:"])
def test_a_separator_that_would_let_tenants_meet_is_refused(separator: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MULTI_TENANCY_ENABLED", "true")
    with TenantContext.tenant_scope("acme"), pytest.raises(ValueError, match="cannot separate"):
        get_tenant_prefixed_key("asdlc:events", separator)


def test_a_typing_error_in_the_switch_does_not_turn_the_walls_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MULTI_TENANCY_ENABLED", "ture")
    for ask in (get_tenant_prefixed_key, get_tenant_collection_name):
        with pytest.raises(SettingsError, match="MULTI_TENANCY_ENABLED"):
            ask("asdlc_documents")
    with pytest.raises(SettingsError):
        TenantConfig.from_env()


def test_validation_asks_the_environments_allowlist_where_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    assert validate_tenant("acme")
    monkeypatch.setenv("ALLOWED_TENANTS", "globex")
    for tenant in ("acme", "", None, 7):
        with pytest.raises(TenantNotAllowedError):
            validate_tenant(tenant)  # type: ignore[arg-type]
