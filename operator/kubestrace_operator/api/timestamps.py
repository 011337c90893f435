"""Times of the wire, and as the API writes them. Pure."""

from datetime import UTC, datetime


def moment(unix_nanoseconds: int) -> datetime:
    """Return a time of the wire as a datetime, exact to the microsecond: a float of nanoseconds is not."""
    whole = datetime.fromtimestamp(unix_nanoseconds // 1_000_000_000, UTC)
    return whole.replace(microsecond=unix_nanoseconds % 1_000_000_000 // 1000)


def precise(when: datetime) -> str:
    """Return a time in the API's notation, to the microsecond."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
