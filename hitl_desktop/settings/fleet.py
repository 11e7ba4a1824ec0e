"""Addresses of several servers that stand in for each other, read from one URL.

`redis+cluster://[USER:PASSWORD@]HOST:PORT[,HOST:PORT...]` names some nodes of a Redis Cluster, and
`redis+sentinel://[USER:PASSWORD@]HOST:PORT[,HOST:PORT...]/SERVICE[?db=N]` the sentinels that know a master by a name;
`rediss+...` are the same over TLS, with redis-py's options for that. User and password are those of the data servers;
sentinels that have a password of their own get it as `sentinel_username` and `sentinel_password`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, quote, urlencode

SCHEMES = ("redis+cluster", "rediss+cluster", "redis+sentinel", "rediss+sentinel")
_CLUSTER_LIKE = "HOST:PORT,HOST:PORT and no database, for a cluster has but one"
_SENTINEL_LIKE = "HOST:PORT,HOST:PORT/SERVICE, the addresses of sentinels and the name by which they know the master"
_OPTIONS = "; ssl_... may follow for rediss, db and sentinel_password for sentinels"
_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")
_SERVICE = re.compile(r"[A-Za-z0-9._-]+")
_TLS = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname"})
_WATCHED = frozenset({"db", "sentinel_username", "sentinel_password"})
_PORTS = {True: 6379, False: 26379}
_MAX_PORT = 65535

Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Fleet:
    """Where to ask for the server: `seeds` are nodes of a cluster or, with a `service`, sentinels.

    Raises:
        ValueError: the text says what is allowed, and holds nothing secret.
    """

    seeds: tuple[Place, ...]
    service: str
    _scheme: str
    _user: str = field(repr=False)
    _options: tuple[tuple[str, str], ...] = field(repr=False)

    @property
    def is_cluster(self) -> bool:
        """Whether it is a cluster; else sentinels watch it."""
        return not self.service

    @property
    def shown(self) -> str:
        """The address as it may be shown and logged."""
        first, others = written(*self.seeds[0]), len(self.seeds) - 1
        places = f"{first} and {others} more" if others else first
        return f"{self.service} by {places}" if self.service else places

    def without_login(self) -> "Fleet":
        """Return the same without the user and password of the servers."""
        return replace(self, _user="")

    def server_url(self, place: Place) -> str:
        """Return the URL of the data server at `place`."""
        options = [(name, value) for name, value in self._options if not name.startswith("sentinel_")]
        return self._url(self._user, place, options)

    def sentinel_url(self, place: Place) -> str:
        """Return the URL of the sentinel at `place`."""
        own = {name.removeprefix("sentinel_"): value for name, value in self._options if name.startswith("sentinel_")}
        user = f"{quote(own.get('username', ''), safe='')}:{quote(own['password'], safe='')}@" if own else ""
        return self._url(user, place, [pair for pair in self._options if pair[0].startswith("ssl_")])

    def _url(self, user: str, place: Place, options: list[tuple[str, str]]) -> str:
        return f"{self._scheme}://{user}{written(*place)}/?{urlencode(options)}"


def is_fleet(url: str) -> bool:
    """Whether `url` names several servers, well or badly."""
    return url.partition("://")[0].lower() in SCHEMES


def read_fleet(url: str) -> Fleet:
    """Return what `url`, whose scheme is one of `SCHEMES`, names.

    Raises:
        ValueError: as for `Fleet`.
    """
    scheme, _, whole = url.partition("://")
    rest, _, query = whole.partition("?")
    authority, _, path = rest.partition("/")
    user, at, places = authority.rpartition("@")
    base, _, kind = scheme.lower().partition("+")
    is_cluster = kind == "cluster"
    options = tuple(parse_qsl(query))
    seeds = tuple(_place(text, _PORTS[is_cluster]) for text in places.split(","))
    allowed = (_TLS if base == "rediss" else frozenset()) | (frozenset() if is_cluster else _WATCHED)
    is_named = path in {"", "0"} if is_cluster else _SERVICE.fullmatch(path) is not None
    if not is_named or None in seeds or not _are_legal(dict(options), allowed):
        like = _CLUSTER_LIKE if is_cluster else _SENTINEL_LIKE
        # Where there may be a password, a badly written one could stand anywhere.
        shown = "…" if "@" in whole or "?" in whole else whole
        raise ValueError(f"is '{scheme}://{shown}'; after {scheme}:// allowed is {like}{_OPTIONS}")
    found = tuple(place for place in seeds if place is not None)
    return Fleet(found, "" if is_cluster else path, base, user + at, options)


def _place(text: str, default_port: int) -> Place | None:
    host, colon, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    if not colon:
        host, port = text, str(default_port)
    if _HOST.fullmatch(host) is None or not _is_number(port) or not 0 < int(port) <= _MAX_PORT:
        return None
    return host.strip("[]"), int(port)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10  # noqa: PLR2004 - more digits are no port or database


def _are_legal(options: Mapping[str, str], allowed: frozenset[str]) -> bool:
    """Whether all options are known, and a sentinel's user comes with a password."""
    has_password = "sentinel_password" in options or "sentinel_username" not in options
    return options.keys() <= allowed and has_password and _is_number(options.get("db", "0"))


def written(host: str, port: int) -> str:
    """Return an address as it stands in a URL."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
