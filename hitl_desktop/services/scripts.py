"""The scripts that run in the server, each as one atomic step."""

from dataclasses import dataclass
from hashlib import sha1
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script and the SHA-1 by which the server knows it."""

    text: str
    sha: str


def _script(*names: str) -> Script:
    folder = files("hitl_desktop.services") / "lua"
    text = "\n".join((folder / f"{name}.lua").read_text(encoding="utf-8") for name in names)
    return Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


READ_GATES = _script("read_gates")
DECIDE = _script("prelude", "decide")
REQUEST = _script("prelude", "request")
EXPIRE = _script("prelude", "expire")
AUDIT = _script("prelude", "audit")
ADOPT_CHECK = _script("adopting", "adopt_check")
ADOPT_COPY = _script("adopting", "adopt_copy")
ADOPT_REMOVE = _script("adopting", "adopt_remove")
