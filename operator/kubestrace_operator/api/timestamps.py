"""Times of the wire, as the API writes them, and lengths for people. Pure."""

from datetime import UTC, datetime, timedelta


def utc(unix_nanoseconds: int) -> datetime:
    """Return a time of the wire as a datetime, exact to the microsecond: a float of nanoseconds is not."""
    whole = datetime.fromtimestamp(unix_nanoseconds // 1_000_000_000, UTC)
    return whole.replace(microsecond=unix_nanoseconds % 1_000_000_000 // 1000)


def precise(when: datetime) -> str:
    """Return a time in the API's notation, to the microsecond."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def whole_seconds(when: datetime) -> str:
    """Return a time in the API's notation, rounded to the second."""
    return (when + timedelta(seconds=0.5)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def duration(nanoseconds: int) -> str:
    """Return a length for people, with one digit behind the point: 850ns, 21.0ms, 3.5s."""
    if nanoseconds < 1000:
        return f"{nanoseconds}ns"
    for unit, unit_ns in (("us", 1000), ("ms", 1000_000)):
        # What would be rounded to 1000.0 is shown in the next unit.
        if nanoseconds < unit_ns * 999.95:
            return f"{nanoseconds / unit_ns:.1f}{unit}"
    return f"{nanoseconds / 1e9:.1f}s"
