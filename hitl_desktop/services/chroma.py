"""Chroma: connecting over HTTP, blocking calls in a thread with a bound, errors typed by cause."""

import asyncio
import base64
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Protocol, TypeVar
from urllib.parse import unquote, urlsplit

from hitl_desktop.services.errors import Malformed, Refused, ServiceError, Unavailable
from hitl_desktop.tenancy import TenantContext

ANSWER_WITHIN = 5.0
"""Seconds in which the knowledge store must answer."""
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_REASON_SHOWN = 160
_MANY_REQUESTS = 429
_SERVER_FAULT = 500

_Answer = TypeVar("_Answer")


class Chroma(Protocol):
    """What is used of a chromadb client, embedded or over HTTP alike. Every call blocks."""

    def get_collection(self, name: str, embedding_function: Any) -> Any: ...  # noqa: D102 - chromadb's own

    def get_or_create_collection(  # noqa: D102 - chromadb's own
        self, name: str, *, configuration: Any, embedding_function: Any
    ) -> Any: ...

    def get_version(self) -> str: ...  # noqa: D102 - chromadb's own

    def heartbeat(self) -> int: ...  # noqa: D102 - chromadb's own

    def close(self) -> None: ...  # noqa: D102 - chromadb's own


class NoEmbedding:
    """The embedding function of every collection opened here: it refuses, where chromadb's own downloads a model.

    It goes by the default's name because chromadb takes only that for collections written with any other function.
    """

    def __call__(self, input: Any) -> Any:  # noqa: A002, ARG002 - chromadb compares the signature by name
        """Refuse.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError("Embeddings are never computed here: give each document and query its own.")

    @staticmethod
    def name() -> str:
        """Return the name that chromadb accepts beside any persisted one."""
        return "default"


def gateway_headers(tenant_id: str, token: str, tenant_header: str = "X-Tenant-ID") -> dict[str, str]:
    """Return what the gateway before Chroma wants with every request: the tenant's token, and the tenant by name."""
    return {"Authorization": f"Bearer {token}", tenant_header: tenant_id}


async def connect_chroma(
    url: str, *, headers: Mapping[str, str] = _NO_HEADERS, within: float = ANSWER_WITHIN
) -> Chroma:
    """Return a client of the Chroma server at `url` (http or https), which has answered by then.

    A user name and password in `url` are sent as HTTP basic authentication, unless `headers` has an Authorization of
    its own; without a port it is the scheme's own.

    Args:
        url: the server's address, or that of the gateway before it.
        headers: sent with every request, from the first on (`gateway_headers`). A client is one tenant's, then.
        within: the seconds for connecting, and later for each single request.

    Raises:
        ServiceError: Unavailable, Refused, or Malformed (something answers that is no Chroma server).
    """
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    sent = dict(headers)
    if parts.username is not None and not any(name.lower() == "authorization" for name in sent):
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        sent["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    address = f"{parts.scheme}://{place}{parts.path.rstrip('/')}"

    client_class = await asyncio.to_thread(_client_class)
    return await ask(
        lambda: client_class(address, sent, within), within=within, store=f"The knowledge store at {place}"
    )


def _client_class() -> Callable[[str, dict[str, str], float], Chroma]:
    from hitl_desktop.services.chroma_http import BoundedClient

    return BoundedClient


async def ask(
    call: Callable[[], _Answer], *, within: float = ANSWER_WITHIN, store: str = "The knowledge store"
) -> _Answer:
    """Return what `call` returns, run in a thread and awaited for `within` seconds; `store` begins the error messages.

    Raises:
        ServiceError: Unavailable, Refused or Malformed, and those that `call` raises itself.
    """

    def translated() -> _Answer:
        try:
            return call()
        except ServiceError:
            raise
        except Exception as error:  # chromadb raises the bare Exception for an answer that is not its own
            raise _by_cause(error, store) from error

    try:
        async with asyncio.timeout(within):
            return await asyncio.to_thread(translated)
    except TimeoutError as error:
        raise _unavailable(store) from error


def _by_cause(error: Exception, store: str) -> ServiceError:
    import httpx
    from chromadb.errors import ChromaError

    for cause in _chain(error):
        if isinstance(cause, httpx.TransportError):
            return _unavailable(store)
        if isinstance(cause, ChromaError):
            return _by_status(cause.code(), cause.message(), store)
        if isinstance(cause, httpx.HTTPStatusError):
            return _by_status(cause.response.status_code, cause.response.reason_phrase, store)
    return Malformed(
        f"{store} answered in a way that cannot be read, so nothing was found (decisions are not affected): "
        "check that its address is a Chroma server's."
    )


def _by_status(status: int, reason: str, store: str) -> ServiceError:
    if status in {401, 403}:
        return _refused_access(store)
    shown = " ".join(reason.split())[:_REASON_SHOWN].rstrip(".")
    if status == _MANY_REQUESTS or status >= _SERVER_FAULT:
        return Unavailable(f"{store} failed ({shown}); decisions are not affected, search again later.")
    return Refused(f"{store} refused the request ({shown}); decisions are not affected, check its address and version.")


def _refused_access(store: str) -> Refused:
    refused = f"{store} refused access, so nothing was found; decisions are not affected"
    if not TenantContext.is_set():
        return Refused(f"{refused}, check its password.")
    tenant_id = TenantContext.get_current_tenant()
    return Refused(f"{refused}, give it the right token with `hitl-desktop tenants login {tenant_id} --chroma`.")


def _unavailable(store: str) -> Unavailable:
    return Unavailable(f"{store} cannot be reached; decisions are not affected, search again when it is back.")


def _chain(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
