"""Text as a vector of its meaning: what a search by meaning needs, beside what a search for words does."""

import threading
from collections.abc import Sequence
from functools import cache
from typing import Any, Protocol


class NoModelError(Exception):
    """There is no model to use; the message is a clause for the screen that says why."""


class Model(Protocol):
    """What turns text into a vector."""

    def embed(self, text: str) -> Sequence[float]:
        """Return the vector of `text`. Blocks.

        Raises:
            NoModelError: there is no model to use.
        """


class LocalModel:
    """Chroma's default model as chromadb left it on this machine's disk: loaded at first use, looked for until then."""

    def __init__(self) -> None:
        self._model: Any = None
        self._lock = threading.Lock()

    def embed(self, text: str) -> Sequence[float]:
        """Return the vector of `text`: 384 numbers. Blocks, for a second or more where the model must be loaded.

        Raises:
            NoModelError: it is not on the disk, not whole, or cannot be loaded.
        """
        from hitl_desktop.services.chroma_model import ModelOnDisk

        with self._lock:
            if self._model is None:
                self._model = ModelOnDisk()
            vector: Sequence[float] = self._model([text])[0].tolist()
        return vector


@cache
def local_model() -> LocalModel:
    """Return the model of this process, the same for all its stores."""
    return LocalModel()
