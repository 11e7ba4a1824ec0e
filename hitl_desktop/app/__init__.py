"""The window's composition root: QApplication, loop, windows with their sessions, orderly quit."""

from hitl_desktop.app.launch import run_window

__all__ = ["run_window"]
