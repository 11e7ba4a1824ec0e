"""Writes the chart's files that the application's own tables make: `make chart`. A test says when they are outdated."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

from hitl_desktop.services.acl import Role, commands
from hitl_desktop.services.scripts import function_library
from hitl_desktop.settings import KeyLayout

FOLDER = Path(__file__).parent / "helm" / "files"


def chart_files() -> dict[str, str]:
    """Return the text of each file by its name: a role's commands, what a cluster adds, and the functions."""
    files = {"functions.lua": function_library()}
    for role in Role:
        plain, in_a_cluster = (commands(role, layout) for layout in (KeyLayout.PLAIN, KeyLayout.HASHTAG))
        files[f"{role}.acl"] = _rules(plain)
        files[f"{role}-cluster.acl"] = _rules(in_a_cluster[len(plain) :])
    return files


def _rules(named: Sequence[str]) -> str:
    line = " ".join(f"+{name}" for name in named)
    return textwrap.fill(line, 110, break_on_hyphens=False, break_long_words=False) + "\n"


if __name__ == "__main__":
    for name, text in chart_files().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
