"""The local log of tenants chosen, left and refused: one JSON object a line, private to the account."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

_FILE = "tenants.jsonl"
_LONGEST = 5 * 1024 * 1024


class TenantLog:
    """The log in the state folder. Its calls write to the disk: not for the GUI thread."""

    def __init__(self, state_dir: Path) -> None:
        self.path = state_dir / "log" / _FILE

    def append(self, fields: Mapping[str, str | None]) -> None:
        """Append one record, durably; several processes may do so at once. A full log moves aside and begins anew.

        Raises:
            OSError: it cannot be written.
        """
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        line = json.dumps(fields, ensure_ascii=True) + "\n"
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, line.encode())
            os.fsync(descriptor)
            is_full = os.fstat(descriptor).st_size > _LONGEST
        finally:
            os.close(descriptor)
        if is_full:
            self.path.replace(self.path.with_suffix(".1.jsonl"))
