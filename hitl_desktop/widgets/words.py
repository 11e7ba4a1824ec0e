"""Times and agents' texts as the screen says them."""

import unicodedata
from datetime import datetime, timedelta

_HOUR = 3_600
_DAY = 86_400


def ago(moment: datetime, now: datetime) -> str:
    """Return how long ago `moment` was: `5 min ago`, `3 h ago`, `yesterday`, `4 d ago`."""
    seconds = int((now - moment).total_seconds())
    if seconds < 1:
        return "just now"
    if _DAY <= seconds < 2 * _DAY:
        return "yesterday"
    return f"{span(now - moment)} ago"


def left(moment: datetime, now: datetime) -> str:
    """Return how long it is until `moment`: `14 min`, `2 h 04 min`, `3 d`."""
    seconds = max(0, int((moment - now).total_seconds()))
    if _HOUR <= seconds < _DAY:
        return f"{seconds // _HOUR} h {seconds % _HOUR // 60:02} min"
    return span(moment - now)


def span(length: timedelta) -> str:
    """Return a length of time in its largest unit."""
    seconds = max(0, int(length.total_seconds()))
    for unit, size in (("d", _DAY), ("h", _HOUR), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def exact(moment: datetime) -> str:
    """Return `moment` in the reviewer's own time zone, to the second."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S %Z}"


def one_line(text: str) -> str:
    """Return an agent's text as one line in which nothing reorders or hides other text."""
    text = text[:500]
    if not text.isprintable():
        text = "".join(" " if char.isspace() else _shown(char) for char in text)
    return text.strip()


def _shown(char: str) -> str:
    return f"<{ord(char):x}>" if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co"} else char
