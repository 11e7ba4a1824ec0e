"""The fleets, started once and made whole and empty for each test."""

from collections.abc import Iterator

import pytest

from tests.scale.fleets import Cluster, Watched
from tests.scale.reviewing import NAMES


@pytest.fixture(scope="session")
def _fleets() -> Iterator[dict[str, Cluster | Watched]]:
    started: dict[str, Cluster | Watched] = {}
    yield started
    for fleet in started.values():
        fleet.close()


def _mended(started: dict[str, Cluster | Watched], kind: str) -> Cluster | Watched:
    if kind not in started:
        started[kind] = Cluster(NAMES.events) if kind == "cluster" else Watched()
        started[kind].start()
    else:
        started[kind].mend()
    return started[kind]


@pytest.fixture(params=["cluster", "sentinels"])
def fleet(request: pytest.FixtureRequest, _fleets: dict[str, Cluster | Watched]) -> Cluster | Watched:
    """Either of the two, whole and empty."""
    return _mended(_fleets, request.param)


@pytest.fixture
def cluster(_fleets: dict[str, Cluster | Watched]) -> Cluster:
    """A cluster, whole and empty."""
    found = _mended(_fleets, "cluster")
    assert isinstance(found, Cluster)
    return found


@pytest.fixture
def watched(_fleets: dict[str, Cluster | Watched]) -> Watched:
    """A master with a replica and sentinels, whole and empty."""
    found = _mended(_fleets, "sentinels")
    assert isinstance(found, Watched)
    return found
