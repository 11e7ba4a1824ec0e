"""Where a tenant's data key is: in the operating system's keyring, or beside its file, wrapped.

A data key is 32 random bytes. It is wrapped by `HITL_KEY_FILE` (which several state folders may share) or by a
passphrase (Argon2id), with AES-256-GCM; the file's name is authenticated with it, so that keys cannot be swapped
between tenants. Every call may block, on a disk or on a person: never on the GUI thread.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from hitl_desktop.store.errors import NoKeyError, WrongKeyError
from hitl_desktop.store.keyring import KeyringUnusableError, forget_secret, read_secret, write_secret
from hitl_desktop.tenancy import TenantNames

if TYPE_CHECKING:  # takes 20 ms, which only wrapped keys need
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
_BY_FILE, _BY_PASSPHRASE = b"F", b"P"
_SALT, _NONCE = 16, 12
_ITERATIONS, _LANES, _KIBIBYTES = 3, 4, 64 * 1024


class Keys:
    """The data keys in one folder of stores.

    Args:
        folder: where the files are.
        key_file: a file of 32 bytes that wraps new keys.
        passphrase: wraps new keys where there is no key file; empty for none.
        store_id: tells this folder's entries in the keyring from those of others.
    """

    def __init__(self, folder: Path, key_file: Path | None, passphrase: str, store_id: str) -> None:
        self._folder = folder
        self._key_file = key_file
        self._passphrase = passphrase
        self._store_id = store_id
        self._derived: dict[bytes, bytes] = {}

    def find(self, names: TenantNames) -> bytes | None:
        """Return the tenant's data key; None if there is none yet.

        Raises:
            NoKeyError: it cannot be had now: no keyring, or what wraps it was not given.
            WrongKeyError: the key file or passphrase is not the one it was wrapped with, or it is damaged.
        """
        wrapped = self._wrapped(names)
        if wrapped.exists():
            return self.unwrap(names, wrapped.read_bytes())
        if self._wraps and not (self._folder / f"{names.file_stem}.db").exists():
            return None
        try:
            text = read_secret(names.data_key_entry(self._store_id))
        except KeyringUnusableError as error:
            if self._wraps:
                return None
            raise NoKeyError(_nothing_kept(str(error))) from None
        if text is None:
            return None
        try:
            key = bytes.fromhex(text)
        except ValueError:
            key = b""
        if len(key) != KEY_BYTES:
            raise WrongKeyError("The keyring's entry for this tenant's data is no key.")
        return key

    def create(self, names: TenantNames) -> bytes:
        """Make, keep and return a new data key for the tenant, in place of any other.

        Raises:
            NoKeyError: there is nothing to keep it with.
        """
        key = os.urandom(KEY_BYTES)
        if self._wraps:
            write_private(self._wrapped(names), self._wrap(names, key))
            return key
        try:
            write_secret(names.data_key_entry(self._store_id), key.hex())
        except KeyringUnusableError as error:
            raise NoKeyError(_nothing_kept(str(error))) from None
        return key

    def destroy(self, names: TenantNames) -> None:
        """Destroy the tenant's data keys, present and former: what they encrypted can never be read again.

        Raises:
            NoKeyError: the keyring may have one and cannot be used.
            OSError: a wrapped key cannot be removed.
        """
        for wrapped in [path for path in self._folder.glob(f"{names.file_stem}.*") if ".key" in path.suffixes]:
            with wrapped.open("r+b") as file:
                file.write(os.urandom(wrapped.stat().st_size))
                os.fsync(file.fileno())
            wrapped.unlink()
        try:
            forget_secret(names.data_key_entry(self._store_id))
        except KeyringUnusableError as error:
            if not self._wraps:  # else there was none, or an old one that no file needs
                raise NoKeyError(str(error)) from None

    @property
    def _wraps(self) -> bool:
        return self._key_file is not None or bool(self._passphrase)

    def _wrapped(self, names: TenantNames) -> Path:
        return self._folder / f"{names.file_stem}.key"

    def _wrap(self, names: TenantNames, key: bytes) -> bytes:
        nonce = os.urandom(_NONCE)
        if self._key_file is not None:
            head, wrapping = _BY_FILE, self._of_file()
        else:
            salt = os.urandom(_SALT)
            head, wrapping = _BY_PASSPHRASE + salt, self._of_passphrase(salt)
        return head + nonce + _cipher(wrapping).encrypt(nonce, key, names.file_stem.encode())

    def unwrap(self, names: TenantNames, blob: bytes) -> bytes:
        """Return the tenant's data key from what a file beside its store holds.

        Raises:
            NoKeyError: what wraps it was not given.
            WrongKeyError: it was wrapped with something else, or is damaged.
        """
        from cryptography.exceptions import InvalidTag

        kind, rest = blob[:1], blob[1:]
        if kind == _BY_FILE:
            wrapping = self._of_file()
        elif kind == _BY_PASSPHRASE:
            wrapping, rest = self._of_passphrase(rest[:_SALT]), rest[_SALT:]
        else:
            raise WrongKeyError("The tenant's wrapped key is damaged.")
        try:
            return _cipher(wrapping).decrypt(rest[:_NONCE], rest[_NONCE:], names.file_stem.encode())
        except (InvalidTag, ValueError):
            by = "key file (HITL_KEY_FILE)" if kind == _BY_FILE else "passphrase"
            raise WrongKeyError(f"The {by} is not the one that this tenant's data were encrypted with.") from None

    def _of_file(self) -> bytes:
        if self._key_file is None:
            raise NoKeyError(_nothing_kept("This tenant's data need the key file: set HITL_KEY_FILE"))
        try:
            key = self._key_file.read_bytes()
        except OSError as error:
            raise NoKeyError(_nothing_kept(f"The key file cannot be read ({error.strerror})")) from None
        if len(key) != KEY_BYTES:
            raise NoKeyError(_nothing_kept(f"The key file has {len(key)} bytes, not {KEY_BYTES}"))
        return key

    def _of_passphrase(self, salt: bytes) -> bytes:
        if not self._passphrase:
            raise NoKeyError(_nothing_kept("This tenant's data need the passphrase: set HITL_PASSPHRASE"))
        if salt not in self._derived:
            from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

            derive = Argon2id(
                salt=salt, length=KEY_BYTES, iterations=_ITERATIONS, lanes=_LANES, memory_cost=_KIBIBYTES
            ).derive
            self._derived[salt] = derive(self._passphrase.encode())
        return self._derived[salt]


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    draft = path.with_name(f"{path.name}.{os.urandom(4).hex()}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _cipher(key: bytes) -> "AESGCM":
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


def _nothing_kept(why: str) -> str:
    return f"{why.rstrip('.')}, so gates and decisions are not kept on this machine and you can only work online."
