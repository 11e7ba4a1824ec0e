"""The project's own files keep their promises."""

import re
import tomllib
from pathlib import Path
from typing import Any

import click

from hitl_desktop.cli.main import commands

ROOT = Path(__file__).parent.parent
LONGEST_MODULE = 400


def _project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def _lock() -> str:
    return (ROOT / "requirements.lock").read_text(encoding="utf-8")


def _plain_name(requirement: str) -> str:
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name is not None
    return re.sub(r"[-_.]+", "-", name.group()).lower()


def test_every_locked_package_has_one_version_and_its_hashes() -> None:
    blocks = re.split(r"\n(?=\S)", _lock().strip())
    assert blocks
    for block in blocks:
        assert re.match(r"\S+==\S+", block), block
        assert "--hash=sha256:" in block, block


def test_the_lock_names_no_address() -> None:
    assert "://" not in _lock()
    assert "--index-url" not in _lock()


def test_the_lock_holds_all_that_the_project_asks_for() -> None:
    project = _project()
    asked = [
        *project["project"]["dependencies"],
        *project["dependency-groups"]["dev"],
        *project["build-system"]["requires"],
    ]
    locked = {_plain_name(line) for line in _lock().splitlines() if line[:1].isalnum()}
    assert {_plain_name(requirement) for requirement in asked} <= locked


def test_modules_stay_short() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for folder in ("hitl_desktop", "packaging", "tests")
        for path in (ROOT / folder).rglob("*.py")
    }
    assert {name: length for name, length in lengths.items() if length > LONGEST_MODULE} == {}


def test_test_files_have_names_of_their_own() -> None:
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))


def _readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_says_where_each_tenancy_task_lives() -> None:
    rows = re.findall(r"^\| (T\d\d) \|.*\|(.*)\|$", _readme(), re.MULTILINE)
    assert {task for task, _ in rows} == {f"T{number:02}" for number in range(1, 11)}
    for task, where in rows:
        paths = re.findall(r"`([\w/.]+)`", where)
        assert paths, task
        for path in paths:
            assert (ROOT / path).exists() or (ROOT / "hitl_desktop" / path).exists(), (task, path)


def test_the_readme_names_every_verb() -> None:
    verbs = [
        f"{name} {verb}" if verb else name
        for name, command in commands.commands.items()
        for verb in (command.commands if isinstance(command, click.Group) else [""])
    ]
    readme = _readme()
    assert [verb for verb in verbs if f"`{verb}" not in readme] == []
