"""The entry: without a verb the window starts, with one the command line takes over."""

import os
import sys

_SUPERVISE = "supervise-workspace"
_FIRST_ROWS = "first-rows"
_WINDOW_OPTIONS = ("--tenant", "--new-window", "--offline")


def main() -> None:
    """Run what the arguments name, and exit with its code."""
    sys.exit(_run(sys.argv[1:]))


def _run(arguments: list[str]) -> int:
    if arguments[:1] == [_SUPERVISE]:
        return _supervise(arguments[1:])
    if arguments[:1] == [_FIRST_ROWS]:
        return _first_rows(arguments[1:])
    if not arguments or arguments[0].split("=")[0] in _WINDOW_OPTIONS:
        return _window(arguments)
    from hitl_desktop.cli import main as command_line

    code = command_line(arguments)
    if code == 0 and arguments[0] == "demo" and "--open" in arguments:
        return _window([], without_display=["gates", "list"])
    return code


def _supervise(arguments: list[str]) -> int:
    from pathlib import Path

    from hitl_desktop.local.supervisor import supervise

    return supervise(Path(arguments[0]))


def _first_rows(arguments: list[str]) -> int:
    from hitl_desktop.store.first_rows import write_first_rows

    return write_first_rows(arguments)


def _window(arguments: list[str], without_display: list[str] | None = None) -> int:
    if not _has_display():
        instead = " Here are the gates instead." if without_display else " Try `hitl-desktop --help`."
        sys.stderr.write(f"There is no display, so no window can open.{instead}\n")
        if without_display is None:
            return 2
        from hitl_desktop.cli import main as command_line

        return command_line(without_display)
    from hitl_desktop.app import run_window

    return run_window(arguments)


def _has_display() -> bool:
    """Whether Qt finds somewhere to draw; it aborts where it does not, so this looks first."""
    if sys.platform in {"win32", "darwin"} or os.environ.get("QT_QPA_PLATFORM"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


if __name__ == "__main__":
    main()
