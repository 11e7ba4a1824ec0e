"""Where each command's keys stand, as Redis 7.0 and Valkey 9 say it: `commands.json`, read when first asked for.

`packaging/command_table.py` writes that file from live servers.
"""

from functools import cache
from importlib.resources import files

import msgspec


class Keys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One place where a command has keys; words are counted from the command's first, which is 0.

    `at` is the first key's place. `last` is the last one's, counted from the first, or, where negative, from the end;
    `step` is the distance from one to the next. Where `counted`, `at` holds instead how many keys follow it.
    """

    at: int
    last: int = 0
    step: int = 1
    counted: bool = False


@cache
def commands() -> dict[str, tuple[Keys, ...] | None]:
    """Return, by its full name in capitals (`XINFO STREAM`), where each command and subcommand has its keys.

    Empty means that it has none; None that optional words decide, so that only a parser of its own can tell.
    """
    text = (files(__package__) / "commands.json").read_bytes()
    return msgspec.json.decode(text, type=dict[str, tuple[Keys, ...] | None])
