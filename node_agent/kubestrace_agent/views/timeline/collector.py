"""What was counted, by time: buckets of a session's duration, filled from snapshots. Pure.

Used by traces and reports, and by local mode. Nothing is added in the kernel: a bucket is the difference of two
snapshots, and so its borders are as exact as the moments of these.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from kubestrace_agent.kernel.counters.counts import RawCounts, Row
from kubestrace_agent.syscalls import waits
from kubestrace_agent.traces import delta
from kubestrace_protos.v1 import agent_pb2

if TYPE_CHECKING:
    from kubestrace_agent.syscalls import Wanted

_NOTHING = Row()


@dataclass(frozen=True)
class Grid:
    """Equal buckets of a duration that began at `origin_ns` (CLOCK_MONOTONIC, as snapshots have it)."""

    origin_ns: int
    duration_ns: int
    buckets: int

    @property
    def bucket_ns(self) -> int:
        """The length of a bucket."""
        return self.duration_ns // self.buckets

    @property
    def end_ns(self) -> int:
        """The end of the last bucket."""
        return self.origin_ns + self.duration_ns

    def border(self, index: int) -> int:
        """Give the moment at which a bucket begins."""
        return self.origin_ns + self.duration_ns * index // self.buckets

    def bucket(self, moment_ns: int) -> int:
        """Give the bucket of a moment; what lies before or after all of them is in the nearest."""
        return min(max(self._index(moment_ns), 0), self.buckets - 1)

    def next_border(self, now_ns: int) -> int | None:
        """Give the next moment between two buckets; None when the last bucket has begun."""
        index = max(self._index(now_ns) + 1, 1)
        return self.border(index) if index < self.buckets else None

    def is_late(self, since_ns: int, now_ns: int) -> bool:
        """Tell whether the time between two snapshots goes on for more than half a bucket after a border."""
        border = self.next_border(since_ns)
        return border is not None and 2 * self.buckets * (now_ns - border) > self.duration_ns

    def _index(self, moment_ns: int) -> int:
        # The first whole nanosecond of a bucket is its border, rounded down; so is this, the other way round.
        return ((moment_ns - self.origin_ns + 1) * self.buckets - 1) // self.duration_ns

    def doubled(self) -> Grid:
        """Give as many buckets of twice the length."""
        return Grid(self.origin_ns, 2 * self.duration_ns, self.buckets)


def grid(views: agent_pb2.Views, now_ns: int) -> Grid | None:
    """Give the buckets that a request wants, which has just come."""
    if not views.HasField("timeline"):
        return None
    wanted = views.timeline
    return Grid(
        now_ns - wanted.elapsed_milliseconds * 1_000_000, wanted.duration_milliseconds * 1_000_000, wanted.buckets
    )


class Totals(NamedTuple):
    """What one bucket holds; `work_ns` and `wait_ns` as Merged.total_ns and wait_ns have it."""

    calls: int = 0
    errors: int = 0
    work_ns: int = 0
    wait_ns: int = 0

    def plus(self, more: Totals) -> Totals:
        """Give the sum."""
        return Totals(*map(sum, zip(self, more, strict=True)))


class Buckets:
    """One container's counts by time. The sum of all buckets is `delta.difference` of the same snapshots."""

    def __init__(self, grid: Grid, start: RawCounts | None, start_ns: int, *, wanted: Wanted) -> None:
        """Count what comes after `start`; None: the container is counted since `start_ns` (CLOCK_MONOTONIC)."""
        self.grid = grid
        self._start = self._last = start or RawCounts(time_ns=start_ns)
        self._wanted = wanted
        self._filled: dict[int, Totals] = {}
        self._late = 0

    def take(self, counts: RawCounts) -> None:
        """Add what a newer snapshot has more than the last one; an older one adds nothing."""
        since_ns, now_ns = self._last.time_ns, counts.time_ns
        if now_ns <= since_ns:
            return
        rows = delta.without_lengths(self._last.rows, delta.began_before(self._start, self._last, counts))
        grown = between(replace(self._last, rows=rows), counts, wanted=self._wanted)
        self._last = counts
        if grown.calls:
            index = self.grid.bucket((since_ns + now_ns) // 2)
            self._filled[index] = self._filled.get(index, Totals()).plus(grown)
            self._late += self.grid.is_late(since_ns, now_ns)

    def double(self) -> None:
        """Go on with buckets of twice the length."""
        self.grid = self.grid.doubled()
        halves, self._filled = self._filled, {}
        for index, totals in halves.items():
            self._filled[index // 2] = self._filled.get(index // 2, Totals()).plus(totals)

    def message(self) -> agent_pb2.TimelineCounts:
        """Give the buckets that hold something, as the wire carries them."""
        indexes = sorted(self._filled)
        rows = [self._filled[index] for index in indexes]
        return agent_pb2.TimelineCounts(
            buckets=indexes,
            calls=[row.calls for row in rows],
            errors=[row.errors for row in rows],
            total_nanoseconds=[row.work_ns for row in rows],
            wait_nanoseconds=[row.wait_ns for row in rows],
            late_snapshots=self._late,
        )


def between(then: RawCounts, now: RawCounts, *, wanted: Wanted) -> Totals:
    """Everything counted from one snapshot to another of the same slot, in four numbers."""
    calls = errors = work_ns = wait_ns = 0
    for key, row in now.rows.items():
        before = then.rows.get(key, _NOTHING)
        if row is before or not delta.is_wanted(key, wanted):
            continue
        calls += _calls(row) - _calls(before)
        errors += _errors(row) - _errors(before)
        if waits(key):
            wait_ns += row.total_ns - before.total_ns
        else:
            work_ns += row.total_ns - before.total_ns
    return Totals(calls, errors, work_ns, wait_ns)


def _calls(row: Row) -> int:
    return sum(row.buckets.values()) + row.untimed


def _errors(row: Row) -> int:
    return sum(count for number, count in row.errnos.items() if number not in delta.RESTARTS)
