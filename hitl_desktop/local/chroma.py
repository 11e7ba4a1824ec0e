"""The embedded Chroma folder: one process owns it, ever. Two that write to it silently lose vectors."""

import os
from typing import Any

from hitl_desktop.local.errors import FolderUnusable
from hitl_desktop.local.folder import Folder, try_lock


class EmbeddedChroma:
    """The claim on one workspace's Chroma. Its calls read and write the disk: not for the event loop's thread."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._lock: int | None = None
        self._client: Any = None

    def claim(self) -> Any:
        """Return the client, or None while another process owns the folder.

        Raises:
            FolderUnusable: Chroma cannot open the folder.
        """
        if self._client is not None:
            return self._client
        if self._lock is None:
            self._lock = try_lock(self._folder.chroma_lock)
        if self._lock is None:
            return None
        import chromadb
        from chromadb.config import Settings

        settings = Settings(anonymized_telemetry=False, allow_reset=False)
        try:
            self._client = chromadb.PersistentClient(path=str(self._folder.chroma), settings=settings)
        except Exception as error:
            self.release()
            raise FolderUnusable(self._folder.chroma, f"Chroma says: {error}") from error
        return self._client

    def release(self) -> None:
        """Close the client, then give the folder up."""
        if self._client is not None:
            self._client.close()
            self._client = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
