"""The operating system's keyring. Its calls may wait for a person: never make them on the GUI thread."""

import os

_SERVICE = "hitl-desktop"
_RECOMMENDED = 1
"""The lowest priority of what the keyring package recommends; below are those that keep files of their own."""


class KeyringUnusableError(Exception):
    """There is no keyring that keeps what it is given; the message says which one was found."""


def load_keyring() -> None:
    """Import what the first question would take 0.15 s for: in a thread, before it is asked."""
    import keyring.errors  # noqa: F401 - to have it is all


def prove_keyring() -> str:
    """Write, read back and delete a random value, and return the name of the keyring that did it.

    A null keyring takes everything and returns nothing, so only a value read back proves one. May block for long.

    Raises:
        KeyringUnusableError: there is none, it is locked, or it does not keep what it is given.
    """
    import keyring
    import keyring.errors

    name = str(keyring.get_keyring().name)
    entry, value = f"probe-{os.urandom(8).hex()}", os.urandom(16).hex()
    try:
        keyring.set_password(_SERVICE, entry, value)
        kept = keyring.get_password(_SERVICE, entry) == value
        if kept:
            keyring.delete_password(_SERVICE, entry)
    except keyring.errors.KeyringError as error:
        what = f"The keyring ({name}) cannot be used ({type(error).__name__})"
        raise KeyringUnusableError(f"{what}: unlock or install one, or set HITL_KEY_FILE.") from None
    if not kept:
        raise _forgetful(name)
    if keyring.get_keyring().priority < _RECOMMENDED:
        raise KeyringUnusableError(f"The keyring ({name}) may be a plain file: choose the operating system's.")
    return name


def read_secret(entry: tuple[str, str]) -> str | None:
    """Return the secret kept under `entry` (service, user name), None if there is none. May block for long.

    Raises:
        KeyringUnusableError: there is no keyring, or it is locked.
    """
    import keyring
    import keyring.errors

    try:
        return keyring.get_password(*entry)
    except keyring.errors.KeyringError as error:
        raise _unusable(error) from None


def write_secret(entry: tuple[str, str], secret: str) -> None:
    """Keep `secret` under `entry`, proved by reading it back. May block for long.

    Raises:
        KeyringUnusableError: there is no keyring, it is locked, or it does not keep what it is given.
    """
    import keyring
    import keyring.errors

    try:
        keyring.set_password(*entry, secret)
        kept = keyring.get_password(*entry)
    except keyring.errors.KeyringError as error:
        raise _unusable(error) from None
    if kept != secret:
        raise _forgetful(_name())


def forget_secret(entry: tuple[str, str]) -> None:
    """Delete what is kept under `entry`, if anything is. May block for long.

    Raises:
        KeyringUnusableError: there is no keyring, or it is locked.
    """
    import keyring
    import keyring.errors

    try:
        if keyring.get_password(*entry) is not None:
            keyring.delete_password(*entry)
    except keyring.errors.KeyringError as error:
        raise _unusable(error) from None


def _forgetful(name: str) -> KeyringUnusableError:
    return KeyringUnusableError(f"The keyring ({name}) does not keep what it is given: choose the operating system's.")


def _unusable(error: Exception) -> KeyringUnusableError:
    # Some backends' errors carry nothing but what they were given; only their kind is shown.
    return KeyringUnusableError(f"The keyring ({_name()}) cannot be used ({type(error).__name__}).")


def _name() -> str:
    import keyring

    return str(keyring.get_keyring().name)
