"""How often reports are made when they cost much. Pure; used by registry."""

from __future__ import annotations

import math

# Of one CPU, for all reports: a production node pays this as long as anybody traces.
_SHARE = 0.1
# Beyond what was asked for. Both sides count a report as late after two intervals and a second (service/tallies.py, and
# the operator's sessions/latency.py), and the operator gives up after 30 s.
_MOST_LATER_SECONDS = 1.0
# Of a new measurement.
_WEIGHT = 0.2
# Those who wait wake together only while all have the same interval.
_STEP_SECONDS = 0.5
# Of a period.
_TOO_SOON = 0.25


class Pace:
    """Chooses the time between two reports of a session by what a report takes at present."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def note(self, seconds: float) -> None:
        """Note how long one report took to make: a busy node needs longer for the same work."""
        self._seconds += (seconds - self._seconds) * (_WEIGHT if self._seconds else 1.0)

    def interval_seconds(self, asked_seconds: float, watchers: int) -> float:
        """Give the time between two reports, at least what was asked for and not much more."""
        later = max(0.0, watchers * self._seconds / _SHARE - asked_seconds)
        return asked_seconds + min(_MOST_LATER_SECONDS, math.ceil(later / _STEP_SECONDS) * _STEP_SECONDS)

    def wait_seconds(self, asked_seconds: float, watchers: int, now: float) -> float:
        """Give the time until the next report of a session that has just got one."""
        interval = self.interval_seconds(asked_seconds, watchers)
        return until_next(interval, now, asked_seconds + _MOST_LATER_SECONDS)


def until_next(period_seconds: float, now: float, most_seconds: float = math.inf) -> float:
    """Give the time until a multiple of a period, so that all wake together: not too soon, if that is not too late."""
    rest = period_seconds - now % period_seconds
    later = rest + period_seconds
    return later if rest <= _TOO_SOON * period_seconds and later <= most_seconds else rest
