"""What a request gets that is not served, typed by cause; each knows its status and the name chromadb has for it.

GatewayError
+-- RefusedError      403: it is not the tenant's to ask; written to the audit log
|   +-- TooLargeError 413: its body is; written to the audit log as well
|   +-- TwoLengthsError 403: where it ends is not certain, so its connection does; written to the audit log as well
+-- UnreachableError  502: the Chroma server did not answer, or not as one
"""


class GatewayError(Exception):
    """A request that is not served; the message is for the client, and names nothing that is not its own."""

    status = 403
    name = "AuthError"
    ends_connection = False


class RefusedError(GatewayError):
    """It is not the tenant's to ask."""


class TooLargeError(RefusedError):
    """Its body is larger than is taken."""

    status = 413
    name = "BatchSizeExceededError"


class TwoLengthsError(RefusedError):
    """It gives its length in two ways: a proxy may take what is behind it for the next one, and for somebody else's."""

    ends_connection = True


class UnreachableError(GatewayError):
    """The Chroma server did not answer, or not as one."""

    status = 502
    name = "InternalError"
