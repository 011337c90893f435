"""One container's numbers by time: what each bucket of the session added, and how it stood at its end. Pure.

Used by the collector.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubestrace_protos.v1.views.resources_names import GROWN_BY_BUCKET, LEVELS_BY_BUCKET
from kubestrace_protos.v1.views.resources_pb2 import ResourcesBuckets

if TYPE_CHECKING:
    from kubestrace_agent.views.grid import Grid
    from kubestrace_agent.views.resources.values import Reading


class ByBucket:
    """The buckets that hold something. What was added between two readings is in the bucket of its middle."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._last: Reading | None = None
        self._filled: dict[int, dict[str, int]] = {}

    def begin(self, reading: Reading) -> None:
        """Begin with what comes after a reading."""
        self._last = reading

    def add(self, reading: Reading) -> None:
        """Add what a newer reading has more than the last one; the same one adds nothing."""
        while self._grid.is_used_up(reading.time_ns):
            self._double()
        last, self._last = self._last or reading, reading
        if reading.time_ns <= last.time_ns:
            return
        bucket = self._filled.setdefault(self._grid.bucket((last.time_ns + reading.time_ns) // 2), {})
        for name in GROWN_BY_BUCKET:
            if name in reading.grown:
                added = max(0, reading.grown[name] - last.grown.get(name, 0))
                bucket[name] = bucket.get(name, 0) + added
        bucket.update({name: reading.levels[name] for name in LEVELS_BY_BUCKET if name in reading.levels})

    def _double(self) -> None:
        """Go on with buckets of twice the length: what was added adds up, the later level stays."""
        self._grid = self._grid.doubled()
        halves, self._filled = self._filled, {}
        for index, numbers in sorted(halves.items()):
            bucket = self._filled.setdefault(index // 2, {})
            for name, value in numbers.items():
                bucket[name] = value if name in LEVELS_BY_BUCKET else bucket.get(name, 0) + value

    def message(self) -> ResourcesBuckets:
        """Return them as the wire carries them; a number that was never read has no series."""
        indexes = sorted(self._filled)
        result = ResourcesBuckets(buckets=indexes, duration_milliseconds=self._grid.duration_ns // 1_000_000)
        for name in (*GROWN_BY_BUCKET, *LEVELS_BY_BUCKET):
            if any(name in numbers for numbers in self._filled.values()):
                result.series[name].values.extend(self._filled[index].get(name, 0) for index in indexes)
        return result
