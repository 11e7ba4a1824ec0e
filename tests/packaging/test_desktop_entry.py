"""The desktop entry and the AppStream metadata: valid, and saying the same as the application."""

import configparser
import shutil
import subprocess
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
APPLICATION = "io.github.hitl_desktop.HITLDesktop"
ENTRY = ROOT / "packaging" / f"{APPLICATION}.desktop"
METADATA = ROOT / "packaging" / f"{APPLICATION}.metainfo.xml"
VALIDATORS = [
    command
    for command in (
        ["desktop-file-validate", "--no-hints", str(ENTRY)],
        ["appstreamcli", "validate", "--no-net", str(METADATA)],
    )
    if shutil.which(command[0])
]


@pytest.fixture
def entry() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign] # the documented way to keep the case of keys
    parser.read(ENTRY, encoding="utf-8")
    return parser


@pytest.fixture
def metadata() -> ET.Element:
    return ET.parse(METADATA).getroot()  # noqa: S314 - our own file


@pytest.fixture
def project() -> dict[str, object]:
    return dict(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"])


def test_the_validators_of_this_machine_find_nothing() -> None:
    for command in VALIDATORS:
        run = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
        assert run.returncode == 0, run.stdout + run.stderr


def test_the_entry_starts_a_command_that_the_project_installs(
    entry: configparser.ConfigParser, project: dict[str, object]
) -> None:
    commands = {entry[section]["Exec"].split()[0] for section in entry.sections()}
    scripts = project["scripts"]
    assert isinstance(scripts, dict)
    assert commands <= scripts.keys()


def test_the_entry_names_its_actions(entry: configparser.ConfigParser) -> None:
    named = {f"Desktop Action {action}" for action in entry["Desktop Entry"]["Actions"].split(";") if action}
    assert named == set(entry.sections()) - {"Desktop Entry"}


def test_entry_metadata_and_window_share_one_name(entry: configparser.ConfigParser, metadata: ET.Element) -> None:
    assert metadata.findtext("id") == APPLICATION
    assert metadata.findtext("launchable") == ENTRY.name
    assert entry["Desktop Entry"]["StartupWMClass"] == APPLICATION
    assert entry["Desktop Entry"]["Name"] == metadata.findtext("name")
    sources = (ROOT / "hitl_desktop").rglob("*.py")
    assert any(f'setDesktopFileName("{APPLICATION}")' in source.read_text(encoding="utf-8") for source in sources)


def test_the_newest_release_is_the_projects_version(metadata: ET.Element, project: dict[str, object]) -> None:
    newest = metadata.find("releases/release")
    assert newest is not None
    assert newest.get("version") == project["version"]
    assert metadata.findtext("project_license") == project["license"]
