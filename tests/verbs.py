"""The command line in this process, and what it said."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from hitl_desktop.cli import main


@dataclass
class Answer:
    """What a verb said."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Answer]


def run_verb(capsys: pytest.CaptureFixture[str], *arguments: str) -> Answer:
    """Run the command line."""
    code = main(arguments)
    told = capsys.readouterr()
    return Answer(code, told.out, told.err)
