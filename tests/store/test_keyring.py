"""The keyring, asked by several at once, and away."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from jeepney import HeaderFields, MatchRule, MessageType  # type: ignore[import-untyped]
from jeepney.io.blocking import DBusConnection, open_dbus_connection  # type: ignore[import-untyped]
from keyring.backends import fail
from secretstorage.util import DBusAddressWrapper

from hitl_desktop.store.keyring import (
    KeyringAbsentError,
    KeyringLockedError,
    KeyringUnusableError,
    forget_secret,
    prove_keyring,
    read_secret,
    write_secret,
)
from tests import desktop, keyrings
from tests.processes import DEADLINE

ROOT = Path(__file__).parent.parent.parent
ENTRY = ("hitl-desktop", "tenant:acme-corp")
_ALIASES = "/org/freedesktop/secrets/aliases/default"
_READ = """
import sys
from hitl_desktop.store.keyring import read_secret
print(flush=True)
for _ in sys.stdin:  # the other one is told at the same time
    print(read_secret(("hitl-desktop", "tenant:acme-corp")), flush=True)
"""


def test_two_processes_that_read_at_once_are_both_answered(secret_service: str, *, full: bool) -> None:
    write_secret(ENTRY, "s3cret")
    with readers(2) as both:
        for _ in range(2000 if full else 100):
            for one in both:
                print(file=one.stdin, flush=True)
            answers = [one.stdout.readline() if one.stdout else "" for one in both]
            assert answers == ["s3cret\n"] * 2


@contextmanager
def readers(count: int) -> Iterator[list[subprocess.Popen[str]]]:
    """Start processes that read the secret once for each line they are given, and tell it."""
    started = [
        subprocess.Popen([sys.executable, "-c", _READ], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(count)
    ]
    try:
        for one in started:
            assert one.stdout is not None
            one.stdout.readline()
        yield started
    finally:
        for one in started:
            one.communicate()


def test_the_default_collection_is_not_asked_by_its_alias(secret_service: str) -> None:
    """gnome-keyring 42.1 crashes when two clients do so at once."""
    with watched(secret_service, _ALIASES) as seen:
        write_secret(ENTRY, "s3cret")
        assert read_secret(ENTRY) == "s3cret"
        prove_keyring()
        forget_secret(ENTRY)
        with closing(open_dbus_connection(secret_service)) as bus:
            DBusAddressWrapper(_ALIASES, "org.freedesktop.DBus.Peer", bus).call("Ping", "")
        assert seen() == "Ping"


@contextmanager
def watched(address: str, path: str) -> Iterator[Callable[[], str]]:
    """Yield what waits for the next call to `path` on the bus, and returns its name."""
    with closing(open_dbus_connection(address)) as monitor:
        rule = MatchRule(type="method_call", path=path)
        bus = DBusAddressWrapper("/org/freedesktop/DBus", "org.freedesktop.DBus.Monitoring", monitor)
        bus.bus_name = "org.freedesktop.DBus"
        bus.call("BecomeMonitor", "asu", [rule.serialise()], 0)
        yield lambda: next_call(monitor)


def next_call(monitor: DBusConnection) -> str:
    """Return the name of the next method that anybody calls where `monitor` looks."""
    while (message := monitor.receive(timeout=DEADLINE)).header.message_type is not MessageType.method_call:
        pass
    return str(message.header.fields[HeaderFields.member])


def test_threads_ask_one_after_the_other() -> None:
    class Counting(keyrings.Asked):
        inside, most = 0, 0

        def get_password(self, service: str, username: str) -> str | None:
            Counting.inside += 1
            Counting.most = max(Counting.most, Counting.inside)
            other.wait(0.02)
            Counting.inside -= 1
            return super().get_password(service, username)

    other = threading.Event()
    with keyrings.used(Counting()), ThreadPoolExecutor(8) as pool:
        assert list(pool.map(read_secret, [ENTRY] * 8)) == [None] * 8
    assert Counting.most == 1


def test_a_service_that_goes_away_is_told_as_unusable_and_heals(secret_bus: str, home: Path) -> None:
    calls: tuple[Callable[[], object], ...] = (
        prove_keyring,
        lambda: read_secret(ENTRY),
        lambda: write_secret(ENTRY, "x"),
        lambda: forget_secret(ENTRY),
    )
    with desktop.secret_service(home, secret_bus):
        write_secret(ENTRY, "s3cret")
    with keyrings.leaving_connections():
        for call in calls:
            with pytest.raises(KeyringUnusableError, match=r"SecretService Keyring.*cannot be used") as told:
                call()
            assert not isinstance(told.value, (KeyringAbsentError, KeyringLockedError))
            del told
    with desktop.secret_service(home, secret_bus):
        assert read_secret(ENTRY) == "s3cret"


def test_a_bus_that_is_gone_is_told_as_unusable(secret_bus: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere")
    with pytest.raises(KeyringUnusableError):
        read_secret(ENTRY)
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS")
    with pytest.raises(KeyringUnusableError):
        read_secret(ENTRY)


def test_a_keyring_that_cannot_begin_is_told_as_unusable(monkeypatch: pytest.MonkeyPatch, secret_bus: str) -> None:
    """The package raises RuntimeError where the variable names a keyring whose service is away."""
    import keyring.core

    with monkeypatch.context() as patch:
        patch.setattr(keyring.core, "_keyring_backend", None)
        with pytest.raises(KeyringUnusableError, match=r"keyring\.backends\.SecretService\.Keyring"):
            read_secret(ENTRY)


def test_no_keyring_at_all_and_a_locked_one_are_told_apart(secret_service: str) -> None:
    with keyrings.locked(secret_service), pytest.raises(KeyringLockedError):
        read_secret(ENTRY)
    with keyrings.used(fail.Keyring()), pytest.raises(KeyringAbsentError):  # type: ignore[no-untyped-call]
        read_secret(ENTRY)


@pytest.mark.parametrize("named", ["nonsense.Keyring", "hitl_desktop.store.keyring.Nothing", "Keyring", "."])
def test_a_keyring_that_cannot_be_loaded_is_told_as_unusable(named: str) -> None:
    script = """
from hitl_desktop.store.keyring import KeyringUnusableError, load_keyring, prove_keyring, read_secret
load_keyring()
for ask in (prove_keyring, lambda: read_secret(("hitl-desktop", "tenant:acme-corp"))):
    try:
        ask()
    except KeyringUnusableError as error:
        print(type(error).__name__, error)
"""
    environment = {**os.environ, "PYTHON_KEYRING_BACKEND": named}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    told = done.stdout.splitlines()
    assert len(told) == 2, done.stderr
    assert all(line.startswith("KeyringUnusableError ") and "correct the name" in line for line in told)
