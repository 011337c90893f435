"""How often reports are made when they cost much. Pure; used by registry."""

from __future__ import annotations

# Of the time of the thread that makes them.
_SHARE = 0.25
# Whoever waits for reports takes an agent for lost after 6 s without one.
_MOST_SECONDS = 2.0
# Of a new measurement.
_WEIGHT = 0.2


class Pace:
    """Chooses the time between two reports of a session by what a report takes at present."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def note(self, seconds: float) -> None:
        """Note how long one report took to make: a busy node needs longer for the same work."""
        self._seconds += (seconds - self._seconds) * (_WEIGHT if self._seconds else 1.0)

    def interval_seconds(self, asked_seconds: float, watchers: int) -> float:
        """Give the time between two reports, at least what was asked for."""
        needed = watchers * self._seconds / _SHARE
        return max(asked_seconds, min(needed, _MOST_SECONDS))
