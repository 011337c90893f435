"""What was counted, by time: buckets of a session's duration, filled from snapshots. Pure.

Nothing is added in the kernel: a bucket is the difference of two
snapshots, and so its borders are as exact as the moments of these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

from kubestrace_agent.kernel.counters.counts import RawCounts, Row
from kubestrace_agent.traces import delta
from kubestrace_agent.views.view import Collector, put
from kubestrace_protos.v1.views import timeline_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kubestrace_agent.syscalls import SyscallKey, Wanted
    from kubestrace_agent.views.grid import Grid
    from kubestrace_protos.v1 import agent_pb2

NAME = "timeline"
_NOTHING = Row()


class Totals(NamedTuple):
    """What one bucket holds; `work_ns` and `wait_ns` as Merged.total_ns and wait_ns have it."""

    calls: int = 0
    errors: int = 0
    work_ns: int = 0
    wait_ns: int = 0

    def plus(self, more: Totals) -> Totals:
        """Give the sum."""
        return Totals(*map(sum, zip(self, more, strict=True)))


class Sums:
    """Adds up what came from some rows to later ones, in four numbers; most earlier rows were the later ones before."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        # The rows that were added up last, with their calls and errors.
        self._known: dict[SyscallKey, tuple[Row, int, int]] = {}

    def between(self, then: Mapping[SyscallKey, Row], now: Mapping[SyscallKey, Row]) -> Totals:
        """Give everything counted from one to the other."""
        calls = errors = work_ns = wait_ns = 0
        for key, row in now.items():
            before = then.get(key, _NOTHING)
            if row is before or not delta.is_wanted(key, self._wanted):
                continue
            known = self._known.get(key)
            if known is None or known[0] is not before:
                known = before, _calls(before), _errors(before)
            self._known[key] = summed = row, _calls(row), _errors(row)
            calls += summed[1] - known[1]
            errors += summed[2] - known[2]
            if key.waited:
                wait_ns += row.total_ns - before.total_ns
            else:
                work_ns += row.total_ns - before.total_ns
        return Totals(calls, errors, work_ns, wait_ns)


class Buckets(Collector):
    """One container's counts by time. The sum of all buckets is `delta.difference` of the same snapshots."""

    name: ClassVar[str] = NAME

    def __init__(self, grid: Grid, *, wanted: Wanted) -> None:
        self.grid = grid
        self._start = self._last = RawCounts()
        self._filled: dict[int, Totals] = {}
        self._late = 0
        self._sums = Sums(wanted)

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
        grown = self._sums.between(rows, counts.rows)
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


def _calls(row: Row) -> int:
    return sum(row.buckets.values()) + row.untimed


def _errors(row: Row) -> int:
    if not row.errnos:
        return 0
    return sum(count for number, count in row.errnos.items() if number not in delta.RESTARTS)
