"""The local log of what was refused: one JSON object a line, private to the account, and never a token.

Lines go through the logger of this module's name, so that a host with a log of its own gets them too.
"""

import json
import logging
import os
import re
from datetime import UTC, datetime
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

from hitl_desktop.gateway.tokens import TOKEN_PREFIX

_LONGEST = 10 * 1024 * 1024
_KEPT = 9
_SHOWN = 500
_TOKEN = re.compile(TOKEN_PREFIX + r"[A-Za-z0-9_-]{16,}")
_audit = logging.getLogger(__name__)


class PrivateFileHandler(RotatingFileHandler):
    """Writes to a file that only its owner may read; a full one moves aside, and nine of those are kept.

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        super().__init__(path, maxBytes=_LONGEST, backupCount=_KEPT, encoding="utf-8")

    def _open(self) -> TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        if os.name == "posix":
            os.fchmod(descriptor, 0o600)  # for a file that was there before, too
        return TextIOWrapper(os.fdopen(descriptor, "ab"), encoding="utf-8")


def start(path: Path) -> logging.Handler:
    """Write what is refused to `path` from now on; return the handler, to be given to `stop`.

    Raises:
        OSError: the file cannot be opened.
    """
    handler = PrivateFileHandler(path)
    _audit.addHandler(handler)
    _audit.setLevel(logging.INFO)
    return handler


def stop(handler: logging.Handler) -> None:
    """Write to the file no more."""
    _audit.removeHandler(handler)
    handler.close()


def refused(tenant_id: str | None, header: str | None, method: str, path: str, reason: str) -> None:
    """Write one line: the token's tenant (None for no valid token), and what the request said of itself."""
    fields = {
        "time": datetime.now(UTC).isoformat(),
        "tenant": tenant_id,
        "header": header,
        "method": method[:_SHOWN],
        # A token may stand where none belongs.
        "path": _TOKEN.sub("[token]", path)[:_SHOWN],
        "reason": reason,
    }
    _audit.info("%s", json.dumps(fields, ensure_ascii=True))
