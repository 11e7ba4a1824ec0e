"""Writes the chart's files that the application's own tables make: `make chart`. A test says when they are outdated."""

import textwrap
from pathlib import Path

from hitl_desktop.services.acl import Role, commands
from hitl_desktop.services.scripts import function_library
from hitl_desktop.settings import KeyLayout

FOLDER = Path(__file__).parent / "helm" / "files"


def chart_files() -> dict[str, str]:
    """Return the text of each file by its name: a role's commands, those that a cluster adds, and the functions."""
    plain = {role: commands(role, KeyLayout.PLAIN) for role in Role}
    files = {f"{role}.acl": _rules(named) for role, named in plain.items()}
    added = [name for name in commands(Role.REVIEWER, KeyLayout.HASHTAG) if name not in plain[Role.REVIEWER]]
    return {**files, "cluster.acl": _rules(added), "functions.lua": function_library()}


def _rules(named: list[str] | tuple[str, ...]) -> str:
    line = " ".join(f"+{name}" for name in named)
    return textwrap.fill(line, 110, break_on_hyphens=False, break_long_words=False) + "\n"


if __name__ == "__main__":
    for name, text in chart_files().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
