"""PySide6 as the window imports it: Python's own import is back, and nothing that PySide6 can do is lost."""

import subprocess
import sys

PROBE = """
import sys
from PySide6.QtCore import QObject, QTimer
from PySide6.support.signature import get_signature
from PySide6.QtWidgets import QLabel

def complaint(call, *arguments):
    try:
        call(*arguments)
    except Exception as error:
        return f"{type(error).__name__}: {error}"

print(complaint(QTimer.singleShot, 'a', 'b'))
print(complaint(QLabel, 1, 2, 3), complaint(QTimer.start, []))
print(QTimer.start.__doc__, get_signature(QTimer.start), get_signature(QObject))
print(sorted(name for name in sys.modules if "shibokensupport" in name or name.startswith("PySide6.support")))
"""
LEAN = "import hitl_desktop.app.lean_pyside\n"


def probed(script: str) -> str:
    """Return what a Python of its own prints."""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_its_introspection_is_the_same() -> None:
    assert probed(LEAN + PROBE) == probed(PROBE)


def test_it_is_put_off_until_something_asks() -> None:
    count = "print(sum(type(module).__name__ == '_Later' for module in set(sys.modules.values())))\n"
    asked = probed(f"{LEAN}import sys\n{count}{PROBE}{count}").splitlines()
    completed = probed(f"{LEAN}import sys\n{count}hitl_desktop.app.lean_pyside.complete()\n{count}{PROBE}").splitlines()
    assert (asked[0], asked[-1]) == ("5", "0")
    assert completed[:2] == ["5", "0"]
    assert completed[2:] == asked[1:-1]


def test_python_has_its_own_import_back() -> None:
    ask = "import builtins\nprint(type(builtins.__import__).__name__, builtins.__import__.__module__)"
    assert probed(LEAN + ask) == probed(ask)
