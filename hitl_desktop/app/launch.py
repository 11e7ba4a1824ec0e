"""What a launch does before Qt is there: it reads the arguments and the settings, and has the first rows read."""

from collections.abc import Sequence
from contextlib import suppress

from hitl_desktop.settings import SettingsError, read_settings


def run_window(arguments: Sequence[str]) -> int:
    """Open a window and return the exit code once the last one is closed."""
    from hitl_desktop.app.first_rows import RowsReader

    tenant, offline = asked(arguments) if arguments else (None, False)
    settings = reader = None
    with suppress(SettingsError):  # mended, once there is a window to mend it in
        settings = read_settings()
        reader = RowsReader(settings, tenant)
    from hitl_desktop.app import lean_pyside  # noqa: F401 - before anything else of Qt
    from hitl_desktop.app.start import run

    try:
        return run(settings, reader, tenant, offline=offline)
    finally:
        if reader is not None:
            reader.end()


def asked(arguments: Sequence[str]) -> tuple[str | None, bool]:
    """Return the tenant that is asked for, if one is, and whether to begin without the network."""
    import argparse

    parser = argparse.ArgumentParser(prog="hitl-desktop")
    parser.add_argument("--tenant", help="the tenant to open a window for")
    parser.add_argument("--new-window", action="store_true", help="open one more window")
    parser.add_argument("--offline", action="store_true", help="begin without the network")
    found = parser.parse_args(arguments)
    return found.tenant, found.offline
