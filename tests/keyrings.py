"""Keyrings for the tests: a real one that is locked, and backends that behave as some do."""

import gc
import secrets
import threading
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager

import keyring
from jeepney.io.blocking import open_dbus_connection  # type: ignore[import-untyped]
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked
from secretstorage import get_collection_by_alias

from hitl_desktop.session.credentials import server_of
from hitl_desktop.store.credentials import Login, Service, keep_login
from hitl_desktop.tenancy import TenantNames
from tests.servers import Server


@contextmanager
def used(backend: KeyringBackend) -> Iterator[None]:
    """Let `backend` be this process's keyring for the block."""
    before = keyring.get_keyring()
    keyring.set_keyring(backend)
    try:
        yield
    finally:
        keyring.set_keyring(before)


@contextmanager
def locked(address: str) -> Iterator[None]:
    """Lock the secret service on the bus at `address`; nobody is there to unlock it."""
    with closing(open_dbus_connection(address)) as connection:
        get_collection_by_alias(connection, "default").lock()
    with leaving_connections():
        yield


@contextmanager
def leaving_connections() -> Iterator[None]:
    """Let the keyring package leave its connection to the bus open, as it does where a call fails."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "unclosed <socket.*/dbus-", ResourceWarning)
        try:
            yield
        finally:
            gc.collect()


class Asked(KeyringBackend):
    """A keyring in memory; `asked` are the user names that were asked for, by which thread each."""

    priority = 5

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kept: dict[tuple[str, str], str] = {}
        self.asked: list[tuple[str, str]] = []

    def get_password(self, service: str, username: str) -> str | None:
        self.asked.append((username, threading.current_thread().name))
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


class Dismissed(Asked):
    """A locked keyring whose person says no each time."""

    def get_password(self, service: str, username: str) -> str | None:
        super().get_password(service, username)
        raise KeyringLocked


class Failing(Asked):
    """A keyring that raises `error`, as long as there is one."""

    error: Exception | None = None

    def get_password(self, service: str, username: str) -> str | None:
        if self.error is not None:
            raise self.error
        return super().get_password(service, username)


class Waiting(Asked):
    """A keyring that waits for its person until `answered`."""

    def __init__(self) -> None:
        super().__init__()
        self.answered = threading.Event()

    def get_password(self, service: str, username: str) -> str | None:
        found = super().get_password(service, username)
        self.answered.wait()
        return found


def make_users(server: Server, *tenants: str) -> dict[str, str]:
    """Give each tenant a user that reaches its own keys alone, nobody else a way in, and return their passwords."""
    passwords = {tenant_id: f"s3cret-of-{tenant_id}-{secrets.token_hex(4)}" for tenant_id in tenants}
    for tenant_id, password in passwords.items():
        pattern = f"~tenant:{tenant_id}:asdlc:*"
        server.run("ACL", "SETUSER", f"{tenant_id}-reviewer", "reset", "on", f">{password}", pattern, "+@all")
    server.run("ACL", "SETUSER", "default", "off")
    return passwords


def log_in(tenant_id: str, url: str, password: str) -> None:
    """Keep a tenant's login for the server at `url`, as the command line does."""
    login = Login(server_of(url), password, f"{tenant_id}-reviewer")
    keep_login(TenantNames(tenant_id), "", Service.REDIS, login)
