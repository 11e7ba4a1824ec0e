"""The command line in this process."""

import pytest

from tests.verbs import Answer, Run, run_verb


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a verb and return what it said."""

    def call(*arguments: str) -> Answer:
        return run_verb(capsys, *arguments)

    return call
