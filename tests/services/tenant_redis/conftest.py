"""Multi-tenancy is on for all of these tests, and they run for one tenant unless they say otherwise."""

from collections.abc import Iterator

import pytest

from hitl_desktop.tenancy import TenantContext
from tests.services.tenant_redis.clients import TENANT


@pytest.fixture(autouse=True)
def _multi_tenancy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MULTI_TENANCY_ENABLED", "true")


@pytest.fixture(autouse=True)
def _scope() -> Iterator[None]:
    with TenantContext.tenant_scope(TENANT):
        yield
