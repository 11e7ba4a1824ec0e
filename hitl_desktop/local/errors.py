"""Errors of the local workspace, by cause. Each message is one sentence for the screen.

LocalWorkspaceError
├── NoEmbeddedServer   this platform has no embedded server
├── FolderUnusable     the workspace's folder cannot be used
└── ServerNotStarted   the embedded server does not start
"""


class LocalWorkspaceError(Exception):
    """The local workspace cannot be used; nothing in it was changed."""


class NoEmbeddedServer(LocalWorkspaceError):  # noqa: N818 - named by cause
    """This platform has no embedded server."""

    def __init__(self) -> None:
        super().__init__(
            "There is no embedded server for this platform, so nothing can be reviewed yet: "
            "name your Redis server in HITL_REDIS_URL."
        )


class FolderUnusable(LocalWorkspaceError):  # noqa: N818 - as above
    """The workspace's folder cannot be made, read or written."""

    def __init__(self, folder: object, reason: str) -> None:
        super().__init__(
            f"The local workspace in {str(folder)!r} cannot be used ({reason}), so nothing can be decided there: "
            "mend the folder, or name another one in HITL_STATE_DIR."
        )


class ServerNotStarted(LocalWorkspaceError):  # noqa: N818 - as above
    """The embedded server does not start, or ended by itself."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"The local workspace's server does not start ({reason}); what was decided is kept, start again to go on."
        )
