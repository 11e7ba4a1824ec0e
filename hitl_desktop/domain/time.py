"""Times on the wire: ISO 8601 in UTC."""

from datetime import UTC, datetime

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_time(text: str) -> datetime:
    """Return the moment that `text` names, aware, in UTC.

    An old helper of the orchestrator writes naive times; they are UTC (wire.md, Keys).

    Raises:
        ValueError: `text` is not ISO 8601.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is UTC:
        return moment
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def format_time(moment: datetime) -> str:
    """Return `moment` as the orchestrator writes it: UTC, `+00:00`, always with microseconds."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def epoch(moment: datetime) -> float:
    """Return `moment` in seconds since 1970, as the pending set and the scripts take it."""
    return (moment - _EPOCH).total_seconds()
