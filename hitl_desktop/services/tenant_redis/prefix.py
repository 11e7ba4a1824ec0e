"""One tenant's prefix: put before names that go to the server, taken off names that come back."""

from typing import Any, Protocol

from hitl_desktop.services.tenant_redis.errors import ForeignNameError
from hitl_desktop.tenancy import TenantNames


class Encoder(Protocol):
    """What turns a caller's words into the bytes that are sent: redis-py's encoder."""

    encoding: str
    encoding_errors: str

    def encode(self, value: Any) -> bytes | bytearray | memoryview:
        """Return the bytes of `value`; redis-py's DataError where it cannot be sent."""


class Prefix:
    """The prefix of the tenant that `names` was made for.

    Raises:
        ValueError: the encoder does not spell names as the server does, so that none could be told from another.
    """

    def __init__(self, names: TenantNames, encoder: Encoder) -> None:
        self._encoder = encoder
        self.text = names.prefix
        self.raw = names.prefix.encode("ascii")
        self._pattern = names.pattern("").encode("ascii")
        self.encoding = encoder.encoding
        self.encoding_errors = encoder.encoding_errors
        if encoder.encode(self.text) != self.raw:
            raise ValueError(f"names cannot be prefixed in the encoding {self.encoding!r}: take one like ASCII")

    def encoded(self, word: Any) -> bytes:
        """Return the bytes that are sent for `word`."""
        if type(word) is bytes:
            return word
        if type(word) is str:
            return word.encode(self.encoding, self.encoding_errors)
        return bytes(self._encoder.encode(word))

    def put(self, name: Any) -> bytes:
        """Return the tenant's name for the caller's."""
        return self.raw + self.encoded(name)

    def put_pattern(self, pattern: Any) -> bytes:
        """Return the pattern of the tenant's names for the caller's pattern."""
        return self._pattern + self.encoded(pattern)

    def take(self, name: Any) -> Any:
        """Return the caller's name for the tenant's, decoded or not, as it came.

        Raises:
            ForeignNameError: `name` is not this tenant's.
        """
        return _without(self.text if isinstance(name, str) else self.raw, name)

    def take_pattern(self, pattern: Any) -> Any:
        """Return the caller's pattern for the tenant's.

        Raises:
            ForeignNameError: `pattern` is not this tenant's.
        """
        return _without(self._pattern.decode("ascii") if isinstance(pattern, str) else self._pattern, pattern)


def _without(prefix: Any, name: Any) -> Any:
    if isinstance(name, (str, bytes)) and name.startswith(prefix):
        return name[len(prefix) :]
    raise ForeignNameError("The server answered with a name that is not this tenant's, so the answer is withheld.")
