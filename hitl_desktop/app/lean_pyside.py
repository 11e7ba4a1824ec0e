"""Imports PySide6 without two things that it does at each start and nothing here uses. To be imported before Qt.

It compiles the sources of its introspection (for error messages, `help()` and stub files), since its wheel carries no
compiled ones: here they are compiled when something asks for them, at the latest by `complete`. And it puts a function
of its own in the place of `__import__`, which reads the source of every later module for the sake of
`from __feature__ import …`: here Python has its own back. Together they are a third of what a bare window takes. Where
PySide6 names its parts otherwise, it simply does as it always did.
"""

import builtins
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec
from threading import RLock
from types import ModuleType
from typing import Any

_LATER = {
    "shibokensupport.signature": {"errorhandler", "layout", "parser"},
    "shibokensupport.signature.lib": {"enum_sig", "pyi_generator"},
}
_plain = builtins.__import__
_lock = RLock()


class _Later(ModuleType):
    """A module that is executed when it is first asked for anything but its name."""

    # importlib's LazyLoader has the same in mind, but PySide6 looks at `__spec__`, which counts as asking there.

    def __init__(self, spec: ModuleSpec) -> None:
        super().__init__(spec.name)
        self.__spec__ = spec
        self.__dict__["_later"] = ModuleSpec(spec.name, spec.loader)

    def __getattribute__(self, name: str) -> Any:
        if name not in {"__class__", "__dict__", "__spec__"}:
            with _lock:
                spec: ModuleSpec | None = self.__dict__.pop("_later", None)
                if spec is not None:
                    assert spec.loader is not None  # noqa: S101 - it was found by one
                    self.__spec__ = spec
                    spec.loader.exec_module(self)
                    self.__class__ = ModuleType  # type: ignore[assignment]
        return ModuleType.__getattribute__(self, name)  # its class may be another one by now


def complete() -> None:
    """Execute what was put off. Takes some 40 ms, in any thread."""
    for module in tuple(sys.modules.values()):
        if isinstance(module, _Later):
            module.__name__  # noqa: B018 - to ask is to have it executed


def _import(
    name: str,
    globals: Mapping[str, object] | None = None,  # noqa: A002 - the names of __import__'s own
    locals: Mapping[str, object] | None = None,  # noqa: A002 - as above
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> ModuleType:
    for part in _LATER.get(name, set()).intersection(fromlist or ()):
        if f"{name}.{part}" not in sys.modules:
            _put_off(name, part)
    return _plain(name, globals, locals, fromlist or (), level)


def _put_off(package: str, part: str) -> None:
    name = f"{package}.{part}"
    for finder in sys.meta_path:
        spec = finder.find_spec(name, None)
        if spec is not None and spec.loader is not None:
            sys.modules[name] = module = _Later(spec)
            setattr(sys.modules[package], part, module)
            return


builtins.__import__ = _import
try:
    import PySide6.QtCore  # noqa: F401 - this is what replaces it
finally:
    builtins.__import__ = _plain
