"""Numbers of bytes for people. Pure."""

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def size(count: int) -> str:
    """Return a number of bytes for people: 812B, 4.0KiB, 1.5MiB."""
    value, unit = float(count), 0
    while value >= 999.95 and unit + 1 < len(_UNITS):
        value, unit = value / 1024, unit + 1
    return f"{count}B" if not unit else f"{value:.1f}{_UNITS[unit]}"
