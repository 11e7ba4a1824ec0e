"""Times on the wire: ISO 8601 in UTC."""

from datetime import UTC, datetime


def parse_time(text: str) -> datetime:
    """Return the moment that `text` names, aware, in UTC.

    An old helper of the orchestrator writes naive times; they are UTC (wire.md, Keys).

    Raises:
        ValueError: `text` is not ISO 8601.
    """
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def format_time(moment: datetime) -> str:
    """Return `moment` as the orchestrator writes it: UTC, `+00:00`, always with microseconds."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
