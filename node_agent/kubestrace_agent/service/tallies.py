"""What the agent counts of itself, for its metrics. Pure: plain numbers that only grow.

Written on the event loop by whoever does the work; read by metrics.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

# A report counts as late when it comes more than two intervals and a second after the one before, as at the operator.
_LATE_INTERVALS, _LATE_SECONDS = 2, 1.0
# Series that begin with their first event show Prometheus no increase: those that alerts watch begin with 0.
CAPS = ("TooManyTraces", "TooManyTracesOfNamespace", "TooManyContainers")


@dataclass
class Tallies:
    """Since the agent's start. Every word is one of the agent's own: none comes from a request."""

    # By "interim" and "final".
    reports: Counter[str] = field(default_factory=Counter)
    reports_late: int = 0
    # Final reports that nobody had fetched when they were dropped.
    reports_lost: int = 0
    # Reports that could not be made, so that an empty one was sent.
    reports_failed: int = 0
    # Traces by the reason of their end.
    traces_ended: Counter[str] = field(default_factory=Counter)
    # Requests by the reason for which they were refused: caps reached, wrong requests, unknown traces.
    refused: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(CAPS, 0)))
    # Callers without the operator's certificate.
    strangers: int = 0
    # Containers that were asked for and not counted, by reason.
    containers_failed: Counter[str] = field(default_factory=lambda: Counter({"NodeFull": 0}))

    def report_sent(self, *, final: bool, after_seconds: float | None, interval_seconds: float) -> None:
        """Count a report; `after_seconds` is the time since the one before on this stream, None: it is the first."""
        self.reports["final" if final else "interim"] += 1
        if after_seconds is not None and after_seconds > _LATE_INTERVALS * interval_seconds + _LATE_SECONDS:
            self.reports_late += 1
