"""One verb of the command line; of a decision that it queued or made it says so once the verb has ended well."""

import contextlib
import io
import json

import apsw  # noqa: F401 - imported before it forks, as all else that a verb needs
import filelock  # noqa: F401 - as above

from hitl_desktop.cli import main
from tests.faults.nursery import say


def live(name: str, *words: str) -> None:
    """Run the verb with `--json`."""
    say(name, "up")
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()):
        code = main([*words, "--json"])
    if code == 0 and (document := json.loads(out.getvalue())).get("decision_id"):
        say(name, "decided", document["decision_id"], document["request_id"])
    say(name, "code", code)
