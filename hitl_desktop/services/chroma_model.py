"""chromadb's default embedding function without its download. Importing this imports chromadb: do it in a thread."""

import hashlib
import tarfile
from pathlib import Path
from typing import IO

from chromadb.utils.embedding_functions.onnx_mini_lm_l6_v2 import ONNXMiniLM_L6_V2

from hitl_desktop.services.meaning import NoModelError

_ABSENT = "the embedding model is not on this machine"
_DAMAGED = "the embedding model on this machine is not whole"
_UNUSABLE = "the embedding model cannot be loaded here"
_CHUNK = 1024 * 1024


class ModelOnDisk(ONNXMiniLM_L6_V2):
    """all-MiniLM-L6-v2 from where chromadb puts it, if it is there, whole and unchanged.

    chromadb knows the digest of the archive alone and leaves that beside what it unpacked; so a file counts where it is
    as the archive has it, and without the archive none does.

    Raises:
        NoModelError: it is not there, not whole, or cannot be loaded.
    """

    def __init__(self) -> None:
        _check(Path(self.DOWNLOAD_PATH), self.ARCHIVE_FILENAME, self._MODEL_SHA256)
        try:
            # The other providers are for devices and for services elsewhere.
            super().__init__(preferred_providers=["CPUExecutionProvider"])
            self.tokenizer, self.model  # noqa: B018 - both are loaded when they are first asked for
        except Exception as error:  # each library has its own, some of them the bare one
            raise NoModelError(_UNUSABLE) from error

    def _download_model_if_not_exists(self) -> None:
        """Do nothing: it was there, whole, when this was made."""


def _check(folder: Path, archive: str, digest: str) -> None:
    try:
        with (folder / archive).open("rb") as packed:
            if hashlib.file_digest(packed, "sha256").hexdigest() != digest:
                raise NoModelError(_DAMAGED)
            packed.seek(0)
            with tarfile.open(fileobj=packed, mode="r:gz") as members:
                for member in members:
                    there = members.extractfile(member)
                    if there is not None and not _is_same(there, folder / member.name):
                        raise NoModelError(_DAMAGED)
    except FileNotFoundError as error:
        raise NoModelError(_ABSENT if error.filename == str(folder / archive) else _DAMAGED) from None
    except (OSError, tarfile.TarError) as error:
        raise NoModelError(_DAMAGED) from error


def _is_same(packed: IO[bytes], unpacked: Path) -> bool:
    with unpacked.open("rb") as found:
        while chunk := packed.read(_CHUNK):
            if found.read(len(chunk)) != chunk:
                return False
        return not found.read(1)
