"""A store in memory."""

from collections.abc import Iterator
from contextlib import closing

import apsw
import pytest

from hitl_desktop.store.database import MEMORY, open_database


@pytest.fixture
def connection() -> Iterator[apsw.Connection]:
    """An empty database of the present schema, in memory alone."""
    with closing(open_database(MEMORY, bytes(32))) as opened_connection:
        yield opened_connection
