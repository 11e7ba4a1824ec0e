"""Renews the table of commands that TenantRedis rewrites by, from what live servers say of themselves.

    .venv/bin/python packaging/command_table.py

It starts each kind of server that this machine has, asks it COMMAND, and writes commands.json: for every command and
subcommand where its keys stand, by the server's own key specifications. `at` is the place of the first key and `last`
of the last, counted from the first, or, where negative, from the end; `counted` means that `at` holds how many follow.
A channel is no key. `null` stands where the keys depend on optional words and a table cannot say it.
"""

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
TABLE = ROOT / "hitl_desktop" / "services" / "tenant_redis" / "commands.json"
sys.path.insert(0, str(ROOT))

from tests.servers import Server, available  # noqa: E402 - found through the path above

Table = dict[str, list[dict[str, Any]] | None]


def told(server: Server) -> Table:
    """Return the table of one running server."""
    with server.client(protocol=3, decode_responses=True) as client:
        client.response_callbacks.clear()
        rows = client.execute_command("COMMAND")  # type: ignore[no-untyped-call]
    table: Table = {}
    for row in rows:
        for each in (row, *row[9]):
            table[each[0].replace("|", " ").upper()] = _keys(each[8])
    return table


def merged(tables: list[Table]) -> Table:
    """Return one table for all servers.

    Raises:
        ValueError: two servers look for a command's keys in different places.
    """
    whole: Table = {}
    for table in tables:
        for name, keys in table.items():
            if whole.setdefault(name, keys) != keys:
                raise ValueError(f"the servers disagree about {name}: {whole[name]} and {keys}")
    return dict(sorted(whole.items()))


def _keys(specifications: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    found = []
    for specification in specifications:
        if "not_key" in specification["flags"]:
            continue
        keys = _key(specification)
        if keys is None:
            return None
        found.append(keys)
    return found


def _key(specification: dict[str, Any]) -> dict[str, Any] | None:
    begin, find = specification["begin_search"], specification["find_keys"]
    if begin["type"] != "index" or "incomplete" in specification["flags"]:
        return None
    at, how = begin["spec"]["index"], find["spec"]
    if find["type"] == "range" and how["limit"] == 0:
        return {"at": at, "last": how["lastkey"], "step": how["keystep"]}
    if find["type"] == "keynum" and (how["keynumidx"], how["firstkey"]) == (0, 1):
        return {"at": at, "counted": True, "step": how["keystep"]}
    return None


def main() -> None:
    """Write the table."""
    tables = []
    for kind in available():
        server = Server(kind)
        try:
            server.start()
            tables.append(told(server))
        finally:
            server.close()
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(keys)}" for name, keys in merged(tables).items())
    TABLE.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
