"""Patterns of what is not shown, as in spec.redact and StartTraceRequest.redact: their bounds, for both sides."""

from collections.abc import Sequence

MAX_PATTERNS = 20
MAX_PATTERN_CHARACTERS = 256


def problems(patterns: Sequence[str]) -> list[tuple[str, str]]:
    """Return what is wrong: behind the name of the list ("" or "[3]") a sentence's rest."""
    found = []
    if len(patterns) > MAX_PATTERNS:
        found.append(("", f"has {len(patterns)} patterns; it may have {MAX_PATTERNS}"))
    for number, pattern in enumerate(patterns):
        if not 1 <= len(pattern) <= MAX_PATTERN_CHARACTERS or not pattern.isascii() or not pattern.isprintable():
            shown = ascii(pattern[:40])
            found.append(
                (f"[{number}]", f"is {shown}; it must be printable ASCII of 1 to {MAX_PATTERN_CHARACTERS} characters")
            )
    return found
