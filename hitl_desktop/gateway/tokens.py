"""The tokens, of which only digests are kept: a TOML file of `tenant = "SHA-256 in hexadecimal"`, private to its owner.

A tenant may have several, as a list, so that one can be replaced while the other still works. The file is looked at
with every request: what is taken out of it is refused from then on, without a restart. A token has 256 random bits, so
a plain digest cannot be guessed back, and no salt is needed.
"""

import hashlib
import hmac
import logging
import os
import re
import secrets
import tomllib
from pathlib import Path
from typing import Any

from hitl_desktop.tenancy import TenantConfig, TenantNotAllowedError, validate_tenant

TOKEN_PREFIX = "hitl_"  # noqa: S105 - what a token begins with, so that it cannot be taken for a tenant id
_LARGEST = 1024 * 1024
_DIGEST = re.compile(r"[0-9a-f]{64}")
_log = logging.getLogger(__name__)


class TokenFileError(Exception):
    """The token file cannot be used; the message is one sentence."""


def new_token() -> str:
    """Return a new random token."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def digest_of(token: str) -> str:
    """Return what the file holds of `token`."""
    return hashlib.sha256(token.encode()).hexdigest()


class TokenFile:
    """The digests in a file, as they are now.

    Args:
        path: the file.
        config: the allowlist that every tenant in the file must be on.

    Raises:
        TokenFileError: the file cannot be read, others may read it, or what it holds is not as agreed.
    """

    def __init__(self, path: Path, config: TenantConfig) -> None:
        self._path = path
        self._config = config
        self._seen: tuple[int, ...] = ()
        self._digests: tuple[tuple[str, str], ...] = ()
        self._read()

    def tenant_of(self, token: str) -> str | None:
        """Return whose `token` is, or None. It takes as long whichever digest is the one."""
        self._refresh()
        given = digest_of(token)
        found = None
        for digest, tenant_id in self._digests:
            if hmac.compare_digest(digest, given):
                found = tenant_id
        return found

    def _refresh(self) -> None:
        try:
            if self._state(os.stat(self._path)) != self._seen:  # noqa: PTH116 - as fstat gives it, below
                self._read()
        except (OSError, TokenFileError) as error:
            # Drop: nobody is let in by what the file held before; the next request looks again.
            if self._digests:
                _log.error("No token is accepted: %s", error)
            self._seen, self._digests = (), ()

    def _read(self) -> None:
        try:
            descriptor = os.open(self._path, os.O_RDONLY)
            with open(descriptor, "rb") as file:  # noqa: PTH123 - the descriptor whose mode was asked
                status = os.fstat(descriptor)
                if os.name == "posix" and status.st_mode & 0o077:
                    raise TokenFileError(f"{self._path} may be read by others: it must have mode 0600.")
                text = file.read(_LARGEST + 1).decode()
            if len(text) > _LARGEST:
                raise TokenFileError(f"{self._path} is too large to be a token file.")
            digests = tuple(self._entries(tomllib.loads(text)))
        except OSError as error:
            raise TokenFileError(f"{self._path} cannot be read: {error.strerror}.") from None
        except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise TokenFileError(f"{self._path} is not TOML: {error}.") from None
        self._seen, self._digests = self._state(status), digests

    def _entries(self, document: dict[str, Any]) -> list[tuple[str, str]]:
        entries: dict[str, str] = {}
        for tenant_id, value in document.items():
            try:
                validate_tenant(tenant_id, self._config.allowed_tenants)
            except TenantNotAllowedError as error:
                raise TokenFileError(f"{self._path} names a tenant that cannot be served: {error}") from None
            for digest in value if isinstance(value, list) else [value]:
                if not isinstance(digest, str) or _DIGEST.fullmatch(digest) is None:
                    # What stands there may be the token itself, so it is not shown.
                    raise TokenFileError(f"{self._path} has no SHA-256 in hexadecimal for tenant {tenant_id}.")
                if digest in entries:
                    raise TokenFileError(f"{self._path} has one token twice, the second for tenant {tenant_id}.")
                entries[digest] = tenant_id
        return list(entries.items())

    @staticmethod
    def _state(status: os.stat_result) -> tuple[int, ...]:
        return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_mode
