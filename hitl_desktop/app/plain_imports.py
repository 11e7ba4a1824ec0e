"""Imports PySide6 and gives Python its own `import` back. To be imported before anything else of the window.

PySide6 puts a function of its own in the place of `__import__`, which reads the source of every module imported after
it, for the sake of `from __feature__ import …`. Nothing here uses that, and it costs each start some 20 ms.
"""

import builtins

_plain = builtins.__import__
import PySide6.QtCore  # noqa: E402, F401 - this is what replaces it

builtins.__import__ = _plain
