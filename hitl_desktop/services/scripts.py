"""The scripts that run in the server, each as one atomic step: as scripts, and as functions of one library.

Both are made from the same Lua sources. A script is named by the SHA-1 of its text; the library and its functions by a
digest of all that it holds: an outdated library lacks the functions, and two versions can be loaded side by side.
"""

from dataclasses import dataclass
from hashlib import sha1, sha256
from importlib.resources import files

_SHARED = "prelude"
_READING = frozenset({"read_gates"})
_FUNCTIONS = ("read_gates", "decide", "request", "expire", "audit")


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script, the SHA-1 by which the server knows it, and the function of the library that does the same.

    `function` is empty where the library has none: what only an administrator does.
    """

    text: str
    sha: str
    function: str = ""


def _source(name: str) -> str:
    return (files("hitl_desktop.services") / "lua" / f"{name}.lua").read_text(encoding="utf-8")


def _script(*names: str) -> Script:
    text = "\n".join(_source(name) for name in names)
    function = _function(names[-1]) if names[-1] in _FUNCTIONS else ""
    return Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest(), function)


def _function(name: str) -> str:
    return f"hitl_{name}_{_VERSION}"


def _registered(name: str) -> str:
    """Return the Lua that registers one script as a function; what only reads may run where no writes are taken."""
    flags = "  flags = {'no-writes'},\n" if name in _READING else ""
    names = f"  function_name = '{_function(name)}',\n{flags}"
    return f"redis.register_function{{\n{names}  callback = function(KEYS, ARGV)\n{_source(name)}  end,\n}}\n"


def function_library() -> str:
    """Return the library that an administrator loads with FUNCTION LOAD, for users who may load no scripts."""
    return "\n".join((f"#!lua name={LIBRARY}", _source(_SHARED), *(_registered(name) for name in _FUNCTIONS)))


_VERSION = sha256("\n".join(_source(name) for name in (_SHARED, *_FUNCTIONS)).encode()).hexdigest()[:12]
LIBRARY = f"hitl_desktop_{_VERSION}"
"""The library's name."""

READ_GATES = _script("read_gates")
DECIDE = _script(_SHARED, "decide")
REQUEST = _script(_SHARED, "request")
EXPIRE = _script(_SHARED, "expire")
AUDIT = _script(_SHARED, "audit")
ADOPT_CHECK = _script("adopting", "adopt_check")
ADOPT_COPY = _script("adopting", "adopt_copy")
ADOPT_REMOVE = _script("adopting", "adopt_remove")
