"""The same review without a window: `hitl-desktop gates|tenants|doctor|demo`."""

from hitl_desktop.cli.main import main

__all__ = ["main"]
