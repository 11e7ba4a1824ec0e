"""The embedded workspace: starts and supervises its Valkey, owns its Chroma folder."""

from hitl_desktop.local.errors import FolderUnusable, LocalWorkspaceError, NoEmbeddedServer, ServerNotStarted
from hitl_desktop.local.workspace import LocalWorkspace, open_workspace

__all__ = [
    "FolderUnusable",
    "LocalWorkspace",
    "LocalWorkspaceError",
    "NoEmbeddedServer",
    "ServerNotStarted",
    "open_workspace",
]
