"""Where the files lie that come with the application."""

from pathlib import Path

_PACKAGE = Path(__file__).parent.parent


def resource(relative: str) -> Path:
    """Return where a file of `resources/` lies: inside the installed package, or beside it in a source tree."""
    packaged = _PACKAGE / "resources" / relative
    return packaged if packaged.exists() else _PACKAGE.parent / "resources" / relative
