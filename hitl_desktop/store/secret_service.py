"""What the Secret Service of a Linux desktop needs beyond what the keyring package does."""

from contextlib import closing, suppress
from typing import Any


def errors() -> tuple[type[Exception], ...]:
    """Return what it raises past the keyring package; nothing where there is no such service."""
    try:
        from jeepney import DBusErrorResponse  # type: ignore[import-untyped]
        from secretstorage import SecretStorageException
    except ImportError:
        return ()
    return (DBusErrorResponse, SecretStorageException)


def was_declined(error: Exception) -> bool:
    """Return whether a person was asked to make or unlock a collection, and did not."""
    try:
        from secretstorage import PromptDismissedException
    except ImportError:
        return False
    return isinstance(error.__cause__ or error, PromptDismissedException)


def name_collection(ring: Any) -> None:
    """Let `ring`, if it asks the Secret Service, ask for the default collection by its own path.

    By itself it asks by an alias, which gnome-keyring (42.1) looks up in another thread than it works in: of two
    processes that ask at once, one is answered about a path of garbage, a prompt opens for a new collection, or the
    service crashes.

    Raises:
        Exception: one of `errors()`, or OSError: the service cannot be asked.
    """
    from keyring.backends.SecretService import Keyring

    if not any(isinstance(one, Keyring) for one in getattr(ring, "backends", (ring,))):
        return
    from secretstorage import ItemNotFoundException, dbus_init, get_collection_by_alias

    # Without a default collection, the keyring package has one made.
    with closing(dbus_init()) as bus, suppress(ItemNotFoundException):
        Keyring.preferred_collection = get_collection_by_alias(bus, "default").collection_path  # type: ignore[attr-defined]  # the package looks for it
