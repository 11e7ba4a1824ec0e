"""Every call of every service refuses to work outside its own tenant, before it looks at anything or asks a server."""

import importlib
import inspect
import pkgutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, nullcontext, suppress
from typing import Any

import pytest

from hitl_desktop import services
from hitl_desktop.services.connection import connect
from hitl_desktop.services.errors import ServiceError
from hitl_desktop.tenancy import TenancyError, TenantContext, TenantMismatchError, TenantNames, TenantNotSetError
from tests.servers import Server

OWN, OTHER = "acme-corp", "widgets-inc"
_HARNESS = {"auth", "client|setinfo", "config|resetstat", "info"}
Call = Callable[..., Any]


def of_services(kind: Callable[[object], bool]) -> Iterator[Any]:
    for module in pkgutil.walk_packages(services.__path__, f"{services.__name__}."):
        for _name, found in inspect.getmembers(importlib.import_module(module.name), kind):
            made_by = found.__init__ if inspect.isclass(found) else found
            if found.__module__ == module.name and "names" in getattr(made_by, "__annotations__", {}):
                yield found


def is_call(found: object) -> bool:
    return inspect.iscoroutinefunction(found) or inspect.isasyncgenfunction(found)


CLASSES = tuple(of_services(inspect.isclass))
METHODS = [
    pytest.param(owner, name, id=f"{owner.__name__}.{name}")
    for owner in CLASSES
    for name, _ in inspect.getmembers(owner, is_call)
    if not name.startswith("_")
]
FUNCTIONS = [found for found in of_services(is_call) if not found.__name__.startswith("_")]


class Untouchable:
    """An argument that tells when it is looked at."""

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(f"the call looked at its arguments ({name}) before it asked for its tenant")


@pytest.fixture(scope="module")
def chroma(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    import chromadb
    from chromadb.config import Settings

    folder = tmp_path_factory.mktemp("chroma")
    client: Any = chromadb.PersistentClient(folder, settings=Settings(anonymized_telemetry=False))
    yield client
    client.close()


@asynccontextmanager
async def bound(owner: type, tenant_id: str | None, server: Server, chroma: Any) -> AsyncIterator[Any]:
    """Yield a service as a session makes it."""
    async with connect(server.url) as connection:
        made = {"names": TenantNames(tenant_id), "connection": connection, "client": chroma}
        yield owner(**{name: made[name] for name in needed(owner)})


def needed(call: Call) -> list[str]:
    return [name for name, one in inspect.signature(call).parameters.items() if one.default is one.empty]


async def ask(call: Call) -> None:
    made = call(**{name: Untouchable() for name in needed(call)})
    if inspect.isasyncgen(made):
        await anext(made)
    else:
        await made


def asked_of(server: Server) -> set[str]:
    """Return the commands that the server was asked since its counters were reset."""
    told = server.run("INFO", "commandstats")
    return {name.removeprefix("cmdstat_") for name in told} - _HARNESS


def test_the_services_are_found() -> None:
    names = {owner.__name__ for owner in CLASSES}
    assert names >= {"Adoption", "Events", "Gates", "Health", "History", "KnowledgeStore"}
    assert len(METHODS) >= 25
    assert {found.__name__ for found in FUNCTIONS} >= {"decider"}


@pytest.mark.parametrize(("owner", "name"), METHODS)
@pytest.mark.parametrize(
    ("bound_to", "current", "error"),
    [
        (OWN, None, TenantNotSetError),
        (OWN, OTHER, TenantMismatchError),
        (None, OTHER, TenantMismatchError),
    ],
    ids=["no tenant", "another tenant", "a tenant in single-tenant mode"],
)
async def test_a_call_outside_its_tenant_reaches_no_server(
    owner: type,
    name: str,
    bound_to: str | None,
    current: str | None,
    error: type[TenancyError],
    valkey: Server,
    chroma: Any,
) -> None:
    async with bound(owner, bound_to, valkey, chroma) as service:
        valkey.run("CONFIG", "RESETSTAT")
        with TenantContext.tenant_scope(current) if current else nullcontext(), pytest.raises(error):
            await ask(getattr(service, name))
    assert asked_of(valkey) == set()


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda found: found.__name__)
async def test_a_function_outside_its_tenant_reaches_no_server(function: Call, valkey: Server) -> None:
    async with connect(valkey.url) as connection:
        made = {"names": TenantNames(OWN), "connection": connection}
        arguments = {name: made.get(name, Untouchable()) for name in needed(function)}
        valkey.run("CONFIG", "RESETSTAT")
        with pytest.raises(TenantNotSetError):
            await function(**arguments)
        with TenantContext.tenant_scope(OTHER), pytest.raises(TenantMismatchError):
            await function(**arguments)
    assert asked_of(valkey) == set()


@pytest.mark.parametrize(("owner", "name"), METHODS)
async def test_in_its_own_tenant_no_call_is_refused(owner: type, name: str, valkey: Server, chroma: Any) -> None:
    async with bound(owner, OWN, valkey, chroma) as service:
        # Behind the check, what it was given is of no use; a refusal would be a TenancyError, and is none of these.
        with TenantContext.tenant_scope(OWN), suppress(AssertionError, TypeError, ValueError, ServiceError):
            await ask(getattr(service, name))
