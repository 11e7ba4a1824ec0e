"""A chromadb HTTP client whose requests end. Importing this imports chromadb (a second): import it in a thread."""

from chromadb.api.client import Client
from chromadb.api.fastapi import FastAPI
from chromadb.auth import UserIdentity
from chromadb.config import Settings


class BoundedClient(Client):
    """chromadb's client waits for ever for an answer, and a thread that waits keeps the process from ending.

    Nor does it close its connections. It offers no way to change either, hence the reach into its session.
    """

    def __init__(self, address: str, headers: dict[str, str], within: float) -> None:
        self._within = within
        try:
            super().__init__(
                settings=Settings(
                    # A stray .env where the application was started is not its configuration (pydantic's argument).
                    _env_file=None,  # type: ignore[call-arg]
                    anonymized_telemetry=False,
                    chroma_api_impl="chromadb.api.fastapi.FastAPI",
                    chroma_server_host=address,
                    chroma_server_http_port=0,  # the address has it
                    chroma_server_ssl_enabled=address.startswith("https:"),
                    chroma_server_headers=headers,
                )
            )
        except Exception:
            self._disconnect()
            raise

    def get_user_identity(self) -> UserIdentity:
        """Return who the server takes us for. The constructor asks this first of all, so the bound is set here."""
        if isinstance(self._server, FastAPI):
            self._server._session.timeout = self._within  # noqa: SLF001 - see the class
        return super().get_user_identity()

    def _validate_tenant_database(self, tenant: str, database: str) -> None:
        # chromadb asks over a second session, unbounded and never closed, and hides why it failed.
        self._server.get_tenant(name=tenant)
        self._server.get_database(name=database, tenant=tenant)

    def close(self) -> None:
        """Release the client and close its connections. No call may follow."""
        super().close()
        self._disconnect()

    def _disconnect(self) -> None:
        server = getattr(self, "_server", None)
        if isinstance(server, FastAPI):
            server._session.close()  # noqa: SLF001 - see the class
