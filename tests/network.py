"""A network that nobody may use, and who tried."""

import socket
from typing import Any, NoReturn

import pytest


def cut(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Let every look-up of a host and every connection to one fail; return the list in which they are noted."""
    tried: list[Any] = []
    connect = socket.socket.connect

    def refuse(host: object, *_: object, **__: object) -> NoReturn:
        tried.append(host)
        raise OSError("the network is cut")

    def connect_here(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX:
            refuse(address)
        connect(self, address)

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", connect_here)
    monkeypatch.setattr(socket.socket, "connect_ex", connect_here)
    return tried
