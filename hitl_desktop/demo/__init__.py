"""Demo tenants, gates and evidence for the local workspace."""

from hitl_desktop.demo.fill import fill_demo

__all__ = ["fill_demo"]
