"""One Chroma server and one gateway before it for all of a file's tests."""

from collections.abc import Iterator

import pytest

from tests.gateway.gateway_process import GatewayProcess, gateway_process
from tests.services.chroma_server import ChromaServer, chroma_server


@pytest.fixture(scope="module")
def chroma(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChromaServer]:
    with chroma_server(tmp_path_factory.mktemp("chroma")) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, chroma: ChromaServer) -> Iterator[GatewayProcess]:
    with gateway_process(tmp_path_factory.mktemp("gateway"), chroma.url) as running:
        yield running
