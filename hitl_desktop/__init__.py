"""HITL Desktop: where a human reviews what software agents ask to be approved."""

__version__ = "0.1.0"
