"""One reviewer in one tenant: `open_session` builds and closes all below it."""

from hitl_desktop.session.backend import Backend, open_backend
from hitl_desktop.session.review import OpenGate, ReviewSession, open_session

__all__ = ["Backend", "OpenGate", "ReviewSession", "open_backend", "open_session"]
