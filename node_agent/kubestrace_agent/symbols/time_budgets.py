"""Time that may be spent on the files of each container, so that a hostile one takes no CPU from others.

Used by naming.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

# Saved up to so much, so much more each second: a tenth of one CPU.
_SAVED_SECONDS, _SECONDS_A_SECOND = 4.0, 0.1
_MOST_OWNERS = 4096


class TimeBudgets:
    """Seconds that are left to each owner."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # What was left, and when.
        self._left: dict[Hashable, tuple[float, float]] = {}

    def left(self, owner: Hashable) -> float:
        """Give the seconds that an owner may use now."""
        seconds, at = self._left.get(owner, (_SAVED_SECONDS, 0.0))
        return min(_SAVED_SECONDS, seconds + (self._clock() - at) * _SECONDS_A_SECOND)

    @contextlib.contextmanager
    def spending(self, owner: Hashable, most_seconds: float) -> Iterator[Callable[[], bool]]:
        """Take the time of what is done within from an owner's budget; gives what tells whether to go on."""
        begin, left = self._clock(), self.left(owner)
        end = begin + min(most_seconds, left)
        try:
            yield lambda: self._clock() < end
        finally:
            now = self._clock()
            if len(self._left) >= _MOST_OWNERS:
                self._left.clear()
            self._left[owner] = left - (now - begin), now
