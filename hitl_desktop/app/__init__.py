"""The window's composition root: QApplication, loop, windows with their sessions, orderly quit."""

from hitl_desktop.app import plain_imports
from hitl_desktop.app.start import run_window

__all__ = ["plain_imports", "run_window"]
