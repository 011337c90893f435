"""What was counted, by time: buckets of a session's duration, filled from snapshots. Pure.

Nothing is added in the kernel: a bucket is the difference of two
snapshots, and so its borders are as exact as the moments of these.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from kubestrace_agent.kernel.counters.counts import RawCounts, Row
from kubestrace_agent.traces import delta
from kubestrace_agent.views.view import Collector, Moment, put
from kubestrace_protos.v1.views import timeline_pb2

if TYPE_CHECKING:
    from kubestrace_agent.syscalls import Wanted
    from kubestrace_protos.v1 import agent_pb2

NAME = "timeline"
_NOTHING = Row()


@dataclass(frozen=True)
class Grid:
    """Equal buckets of a duration that began at `origin_ns` (CLOCK_MONOTONIC, as snapshots have it)."""

    origin_ns: int
    duration_ns: int
    buckets: int
    # The duration is not known: buckets double when all are used.
    grows: bool = False

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
        return replace(self, duration_ns=2 * self.duration_ns)

    def is_used_up(self, now_ns: int) -> bool:
        """Tell whether the buckets are to double: not at once, so that the last snapshot may be a little late."""
        return self.grows and now_ns > self._used_up_ns

    @property
    def _used_up_ns(self) -> int:
        return self.end_ns + self.bucket_ns // 2

    def next_snapshot(self, now_ns: int) -> Moment | None:
        """Give when the counts are to be read next: within a quarter of a bucket of a border."""
        grid = self
        while grid.is_used_up(now_ns):
            grid = grid.doubled()
        border = grid.next_border(now_ns)
        if border is None and grid.grows:
            border = grid.end_ns if now_ns < grid.end_ns else grid._used_up_ns + 1
        return None if border is None else Moment(border, grid.bucket_ns // 4)


class Totals(NamedTuple):
    """What one bucket holds; `work_ns` and `wait_ns` as Merged.total_ns and wait_ns have it."""

    calls: int = 0
    errors: int = 0
    work_ns: int = 0
    wait_ns: int = 0

    def plus(self, more: Totals) -> Totals:
        """Give the sum."""
        return Totals(*map(sum, zip(self, more, strict=True)))


class Buckets(Collector):
    """One container's counts by time. The sum of all buckets is `delta.difference` of the same snapshots."""

    name: ClassVar[str] = NAME

    def __init__(self, grid: Grid, *, wanted: Wanted) -> None:
        self.grid = grid
        self._start = self._last = RawCounts()
        self._wanted = wanted
        self._filled: dict[int, Totals] = {}
        self._late = 0

    def begin_counts(self, start: RawCounts | None, begin_ns: int) -> None:
        """Count what comes after `start`; None: the container is counted since `begin_ns` (CLOCK_MONOTONIC)."""
        self._start = self._last = start or RawCounts(time_ns=begin_ns)

    def count(self, counts: RawCounts) -> None:
        """Add what a newer snapshot has more than the last one; an older one adds nothing."""
        while self.grid.is_used_up(counts.time_ns):
            self._double()
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

    def _double(self) -> None:
        """Go on with buckets of twice the length."""
        self.grid = self.grid.doubled()
        halves, self._filled = self._filled, {}
        for index, totals in halves.items():
            self._filled[index // 2] = self._filled.get(index // 2, Totals()).plus(totals)

    def write(self, report: agent_pb2.ContainerReport) -> None:
        """Put the buckets into a report."""
        put(report, NAME, self.message())

    def message(self) -> timeline_pb2.TimelineResult:
        """Give the buckets that hold something, as the wire carries them."""
        indexes = sorted(self._filled)
        rows = [self._filled[index] for index in indexes]
        return timeline_pb2.TimelineResult(
            buckets=indexes,
            calls=[row.calls for row in rows],
            errors=[row.errors for row in rows],
            total_nanoseconds=[row.work_ns for row in rows],
            wait_nanoseconds=[row.wait_ns for row in rows],
            late_snapshots=self._late,
            duration_milliseconds=self.grid.duration_ns // 1_000_000,
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
        if key.waited:
            wait_ns += row.total_ns - before.total_ns
        else:
            work_ns += row.total_ns - before.total_ns
    return Totals(calls, errors, work_ns, wait_ns)


def _calls(row: Row) -> int:
    return sum(row.buckets.values()) + row.untimed


def _errors(row: Row) -> int:
    return sum(count for number, count in row.errnos.items() if number not in delta.RESTARTS)
