"""One reviewer in one tenant: `open_session` builds and closes all below it."""

from hitl_desktop.session.backend import Backend, open_backend
from hitl_desktop.session.review import ReviewSession, open_session
from hitl_desktop.sync.evidence import OpenGate

__all__ = ["Backend", "OpenGate", "ReviewSession", "open_backend", "open_session"]
