"""A store in memory, and settings for one on the disk."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from hitl_desktop.settings import Settings
from hitl_desktop.store.database import MEMORY, open_database
from tests.environments import key_file
from tests.stores import settings


@pytest.fixture
def connection() -> Iterator[apsw.Connection]:
    """An empty database of the present schema, in memory alone."""
    with closing(open_database(MEMORY, bytes(32))) as opened_connection:
        yield opened_connection


@pytest.fixture
def wanted(home: Path) -> Settings:
    """Settings for a store with a key of its own, not yet made."""
    return settings(home / "state", key_file=key_file(home))
