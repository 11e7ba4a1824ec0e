"""The operating system's keyring. Its calls may wait for a person: never make them on the GUI thread.

They are made one at a time: not every keyring takes two at once, and a locked one would ask its person twice.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from hitl_desktop.store import secret_service

_ONE_AT_A_TIME = threading.Lock()
_SERVICE = "hitl-desktop"
_RECOMMENDED = 1
"""The lowest priority of what the keyring package recommends; below are those that keep files of their own."""


class KeyringUnusableError(Exception):
    """There is no keyring that keeps what it is given; the message says which one was found."""


class KeyringAbsentError(KeyringUnusableError):
    """This machine has no keyring at all, so there is nothing in it."""


class KeyringLockedError(KeyringUnusableError):
    """It is locked, and whoever was asked to unlock it did not."""


def load_keyring() -> None:
    """Do what the first question would take 0.2 s for: import the package, and find the keyring. It is not asked."""
    with suppress(KeyringUnusableError, RuntimeError, OSError), _ONE_AT_A_TIME:  # whoever asks is told
        _found()


def prove_keyring() -> str:
    """Write, read back and delete a random value, and return the name of the keyring that did it.

    A null keyring takes everything and returns nothing, so only a value read back proves one. May block for long.

    Raises:
        KeyringUnusableError: there is none, it is locked, or it does not keep what it is given.
    """
    import keyring

    entry, value = f"probe-{os.urandom(8).hex()}", os.urandom(16).hex()
    with _asking("unlock or install one, or set HITL_KEY_FILE"):
        keyring.set_password(_SERVICE, entry, value)
        if keyring.get_password(_SERVICE, entry) != value:
            raise _forgetful()
        keyring.delete_password(_SERVICE, entry)
        if keyring.get_keyring().priority < _RECOMMENDED:
            raise KeyringUnusableError(f"The keyring ({_name()}) may be a plain file: choose the operating system's.")
        return _name()


def read_secret(entry: tuple[str, str]) -> str | None:
    """Return the secret kept under `entry` (service, user name), None if there is none. May block for long.

    Raises:
        KeyringUnusableError: there is no keyring, it is locked, or it cannot be asked.
    """
    import keyring

    with _asking():
        return keyring.get_password(*entry)


def write_secret(entry: tuple[str, str], secret: str) -> None:
    """Keep `secret` under `entry`, proved by reading it back. May block for long.

    Raises:
        KeyringUnusableError: there is no keyring, it is locked, or it does not keep what it is given.
    """
    import keyring

    with _asking():
        keyring.set_password(*entry, secret)
        if keyring.get_password(*entry) != secret:
            raise _forgetful()


def forget_secret(entry: tuple[str, str]) -> None:
    """Delete what is kept under `entry`, if anything is. May block for long.

    Raises:
        KeyringUnusableError: there is no keyring, it is locked, or it cannot be asked.
    """
    import keyring

    with _asking():
        if keyring.get_password(*entry) is not None:
            keyring.delete_password(*entry)


def _found() -> Any:
    """Return the keyring that is used, looking for it once.

    Raises:
        KeyringUnusableError: the one that somebody named cannot be imported.
        Exception: RuntimeError and the like: it cannot begin.
    """
    import keyring

    try:
        return keyring.get_keyring()
    except (ImportError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise KeyringUnusableError(
            "The keyring that PYTHON_KEYRING_BACKEND or keyringrc.cfg names cannot be loaded "
            f"({type(error).__name__}): correct the name, or remove it."
        ) from None


@contextmanager
def _asking(advice: str = "") -> Iterator[None]:
    """Ask the keyring alone, and say by cause what goes wrong.

    Some backends' errors carry what they were given, so only their kind is shown.
    """
    from keyring.errors import KeyringError

    known: tuple[type[Exception], ...] = (KeyringError, RuntimeError, OSError, *secret_service.errors())
    with _ONE_AT_A_TIME:
        try:
            secret_service.name_collection(_found())
            yield
        except known as error:
            what = f"The keyring ({_name()}) cannot be used ({type(error).__name__})"
            raise _kind(error)(f"{what}: {advice}." if advice else f"{what}.") from None


def _kind(error: Exception) -> type[KeyringUnusableError]:
    from keyring.errors import KeyringLocked, NoKeyringError

    if isinstance(error, NoKeyringError):
        return KeyringAbsentError
    if isinstance(error, KeyringLocked) or secret_service.was_declined(error):
        return KeyringLockedError
    return KeyringUnusableError


def _forgetful() -> KeyringUnusableError:
    return KeyringUnusableError(
        f"The keyring ({_name()}) does not keep what it is given: choose the operating system's."
    )


def _name() -> str:
    """Return which keyring it is; the one that was asked for may not even begin."""
    import keyring

    with suppress(RuntimeError):
        return str(keyring.get_keyring().name)
    return os.environ.get("PYTHON_KEYRING_BACKEND", "none")
