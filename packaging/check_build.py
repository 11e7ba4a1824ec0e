"""Proves a one-folder build: it fills a workspace of its own with the demo and lists the demo's gates.

Usage: python packaging/check_build.py PROGRAM
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

_WITHIN = 120.0


def check(program: Path, home: Path) -> list[str]:
    """Return the summaries of the gates that `program` lists after its `demo`, run with `home` and no display.

    Raises:
        CalledProcessError: a verb failed; what it said was passed on.
        TimeoutExpired: a verb took two minutes.
    """
    # Nothing of the environment in which it was built may be what makes it run.
    environment = {
        "HOME": str(home),
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "HITL_STATE_DIR": str(home / "state"),
        "QT_QPA_PLATFORM": "offscreen",
    }

    def run(*words: str) -> str:
        command = [str(program), *words]
        return subprocess.run(  # noqa: S603 - our own build, with fixed words
            command, env=environment, cwd=home, check=True, stdout=subprocess.PIPE, text=True, timeout=_WITHIN
        ).stdout

    run("demo")
    listed: dict[str, Any] = json.loads(run("gates", "list", "--json"))
    return [gate["summary"] for gate in listed["gates"]]


def main() -> None:
    """Check the program named by the first argument; exit 1 when it lists nothing."""
    program = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory(prefix="hitl-", ignore_cleanup_errors=True) as home:
        summaries = check(program, Path(home))
    if not summaries:
        sys.exit(f"{program} starts, but lists no gate of its own demo.")
    print(f"Built {program}; it lists {len(summaries)} gates of its demo.")


if __name__ == "__main__":
    main()
