"""Whether this operator may write now: asked before each write, whatever its tasks believe.

A process may be stopped and wake when another has long taken over; so it goes by time, and by a clock that also counts
while the machine sleeps.
"""

import time
from collections.abc import Callable

from kubestrace_operator.kube.errors import NotLeadingError


def boot_seconds() -> float:
    """Return the seconds since the machine's boot, with those it slept."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Fence:
    """Open for the time for which the Lease is certainly ours."""

    def __init__(self, clock: Callable[[], float] = boot_seconds) -> None:
        self._clock = clock
        self._open_until = 0.0

    def now(self) -> float:
        """Return the fence's time, seconds."""
        return self._clock()

    def open_until(self, when: float) -> None:
        """Allow writes until a moment of `now`."""
        self._open_until = when

    def close(self) -> None:
        """Allow no more writes."""
        self._open_until = 0.0

    @property
    def is_open(self) -> bool:
        """Whether a write may be sent now."""
        return self._clock() < self._open_until

    def check(self) -> None:
        """Raise NotLeadingError unless a write may be sent now."""
        if not self.is_open:
            raise NotLeadingError("this operator does not hold the Lease now, so nothing is written")
