"""Time that may be spent on the files of each container, so that a hostile one takes no CPU from others.

Used by naming.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

# Of a CPU: saved up to so much, so much more each second.
_SAVED_SECONDS, _SECONDS_A_SECOND = 4.0, 0.1
# What waits for a CPU or for a disk takes longer: so many times as much may pass meanwhile. More would have a container
# whose files do not come hold up the others.
_TIMES_AS_LONG = 3
_MOST_OWNERS = 4096


@dataclass(frozen=True, slots=True)
class _Left:
    """Seconds of a CPU and of waiting that an owner had left, and when."""

    cpu: float = _SAVED_SECONDS
    wall: float = _TIMES_AS_LONG * _SAVED_SECONDS
    at: float = 0.0


class TimeBudgets:
    """Seconds that are left to each owner: of the time that passes, and of what a thread takes of a CPU."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, cpu_clock: Callable[[], float] = time.thread_time
    ) -> None:
        self._clock, self._cpu_clock = clock, cpu_clock
        self._left: dict[Hashable, _Left] = {}

    def _now(self, owner: Hashable) -> _Left:
        left, now = self._left.get(owner, _Left()), self._clock()
        more = (now - left.at) * _SECONDS_A_SECOND
        cpu, wall = left.cpu + more, left.wall + _TIMES_AS_LONG * more
        return _Left(min(_SAVED_SECONDS, cpu), min(_TIMES_AS_LONG * _SAVED_SECONDS, wall), now)

    def left(self, owner: Hashable) -> float:
        """Give the seconds of a CPU that an owner may use now; none where too much time has passed by for it."""
        left = self._now(owner)
        return min(left.cpu, left.wall)

    @contextlib.contextmanager
    def spending(self, owner: Hashable, most_seconds: float) -> Iterator[Callable[[], bool]]:
        """Take the time of what is done within from an owner's budget; gives what tells whether to go on."""
        left, begin = self._now(owner), self._cpu_clock()
        end, latest = begin + min(most_seconds, left.cpu), left.at + min(_TIMES_AS_LONG * most_seconds, left.wall)
        try:
            yield lambda: self._cpu_clock() < end and self._clock() < latest
        finally:
            now = self._clock()
            if len(self._left) >= _MOST_OWNERS:
                self._left.clear()
            self._left[owner] = _Left(left.cpu - (self._cpu_clock() - begin), left.wall - (now - left.at), now)
