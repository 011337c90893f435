"""Reading of a status that may be anybody's: of another version, cut, or changed by hand. Nothing here raises. Pure."""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

# Of a name or a time.
_MOST_CHARACTERS = 256


def part(document: object, *path: str) -> object:
    """Return what stands at a path; None where nothing does."""
    for name in path:
        document = document.get(name) if isinstance(document, Mapping) else None
    return document


def number(document: object, *path: str) -> float:
    """Return a number that is not negative; 0 where there is none."""
    found = part(document, *path)
    if isinstance(found, bool) or not isinstance(found, int | float):
        return 0.0
    try:
        value = float(found)
    except OverflowError:
        return 0.0
    return value if math.isfinite(value) and value > 0 else 0.0


def word(document: object, *path: str) -> str:
    """Return a text as a terminal can show it; an empty one where there is none."""
    found = part(document, *path)
    if not isinstance(found, str):
        return ""
    return "".join(each if each.isprintable() else "?" for each in found[:_MOST_CHARACTERS])


def rows(document: object, *path: str) -> list[Mapping[str, Any]]:
    """Return the rows of a list that are mappings."""
    found = part(document, *path)
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []


def numbers(document: object, *path: str) -> list[float]:
    """Return the numbers of a list."""
    found = part(document, *path)
    return [number({"": each}, "") for each in found] if isinstance(found, list) else []


def seconds(status: object) -> float:
    """Return how long a session counted; 0 where it does not say."""
    try:
        start, end = (datetime.fromisoformat(word(status, name)) for name in ("startTime", "completionTime"))
        return max((end - start).total_seconds(), 0.0)
    except (ValueError, TypeError, OverflowError):
        return 0.0


def pods(status: object) -> int:
    """Return how many pods were traced."""
    return int(number(status, "targets", "finished"))
