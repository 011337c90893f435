"""What is measured of sessions and reports: how long people wait, and what comes late. By the loop's clock."""

import asyncio

from kubestrace_operator import metrics


class Latency:
    """One session's waits."""

    def __init__(self, *, resumed: bool) -> None:
        """`resumed`: an earlier operator has begun it, and its start was seen there."""
        self._clock = asyncio.get_running_loop().time
        self._seen: float | None = None if resumed else self._clock()
        self._cancelled: float | None = None

    def tracing(self) -> None:
        """Note that the status says Tracing. Idempotent."""
        if self._seen is not None:
            metrics.TRACING_SECONDS.observe(self._clock() - self._seen)
            self._seen = None

    def cancelled(self) -> None:
        """Note that somebody has ended it early. Idempotent."""
        if self._cancelled is None:
            self._cancelled = self._clock()

    def final(self, late_seconds: float) -> None:
        """Note that the final status is written, so long after the end of the session's time; negative: before it."""
        since_cancelled = None if self._cancelled is None else self._clock() - self._cancelled
        seconds = late_seconds if since_cancelled is None else since_cancelled
        if seconds >= 0:
            metrics.FINAL_SECONDS.observe(seconds)


class Pace:
    """The reports of one stream."""

    def __init__(self, interval_seconds: float) -> None:
        self._clock = asyncio.get_running_loop().time
        self._allowed = 2 * interval_seconds + 1
        self._last: float | None = None

    def heard(self) -> None:
        """Note a report."""
        now = self._clock()
        if self._last is not None and now - self._last > self._allowed:
            metrics.REPORTS_LATE.inc()
        self._last = now
