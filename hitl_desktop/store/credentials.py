"""A tenant's credentials in the operating system's keyring: one entry for each tenant and profile.

Each login is bound to the address that it was entered for, so that none is ever sent to another server. The calls may
wait for a person: never make them on the GUI thread.
"""

from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from hitl_desktop.store.keyring import forget_secret, read_secret, write_secret
from hitl_desktop.tenancy import TenantNames


class Service(StrEnum):
    """What a login is for."""

    REDIS = "redis"
    CHROMA = "chroma"


@dataclass(frozen=True, slots=True)
class Login:
    """One login: the address it was entered for, the password or token, and the user it is of; a token has none."""

    server: str
    secret: str = field(repr=False)
    user: str = ""


Logins = dict[Service, Login]


def read_logins(names: TenantNames, profile: str) -> Logins:
    """Return the tenant's logins; what is no entry of ours counts as none.

    Raises:
        KeyringUnusableError: there is no keyring, or it is locked.
    """
    text = read_secret(names.credentials_entry(profile))
    try:
        return msgspec.json.decode(text or "{}", type=Logins)
    except (msgspec.MsgspecError, UnicodeEncodeError):
        return {}


def keep_login(names: TenantNames, profile: str, service: Service, login: Login) -> None:
    """Keep the tenant's login for one service, in place of any other.

    Raises:
        KeyringUnusableError: there is no keyring, it is locked, or it does not keep what it is given.
    """
    logins = read_logins(names, profile) | {service: login}
    write_secret(names.credentials_entry(profile), msgspec.json.encode(logins).decode())


def forget_logins(names: TenantNames, profile: str) -> Logins:
    """Delete all of the tenant's logins, and return what they were.

    Raises:
        KeyringUnusableError: there is no keyring, or it is locked.
    """
    logins = read_logins(names, profile)
    forget_secret(names.credentials_entry(profile))
    return logins
