"""Where a container's threads waited for each other in one session, as the wire carries it. Pure.

The names of processes, which a container controls, are made safe to print here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from kubestrace_agent.text import safe
from kubestrace_agent.views.growing import Growing, longest, more
from kubestrace_agent.views.locks.sources import PART
from kubestrace_agent.views.locks.values import LockCounts, RawLocks
from kubestrace_protos.v1.views import locks_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME = "locks"
# A report has those with the longest waits; all others are added up.
MOST_REPORTED = 64
_MOST_NAME = 64
_NOTHING = LockCounts()


class LockWaits(Growing[RawLocks]):
    """The waits of a container: two readings of the kernel's counts, the first of them the start."""

    name: ClassVar[str] = NAME
    part: ClassVar[str] = PART
    may_wait: ClassVar[bool] = True
    redacts: ClassVar[bool] = True

    def told(self, start: RawLocks, now: RawLocks) -> locks_pb2.LocksResult:
        """Return where was waited since the start."""
        grown = [(key, _grown(start.locks.get(key, _NOTHING), counts)) for key, counts in now.locks.items()]
        waited = sorted((each for each in grown if each[1].waits), key=lambda each: (-each[1].total_ns, each[0]))
        others = [counts for _, counts in waited[MOST_REPORTED:]]
        return locks_pb2.LocksResult(
            locks=[self._row(pid, address, counts) for (pid, address), counts in waited[:MOST_REPORTED]],
            other_locks=len(others),
            other_waits=_sum(others, "waits") + now.other_waits - start.other_waits,
            other_nanoseconds=_sum(others, "total_ns") + now.other_ns - start.other_ns,
        )

    def _row(self, pid: int, address: int, counts: LockCounts) -> locks_pb2.Lock:
        indexes = sorted(counts.buckets)
        return locks_pb2.Lock(
            pid=counts.inner_pid,
            host_pid=pid,
            process=safe(self.redaction.text(counts.process), _MOST_NAME),
            address=address,
            threads=counts.threads,
            waits=counts.waits,
            failed=counts.failed,
            wakes=counts.wakes,
            handed_on=counts.handed_on,
            holds=counts.holds,
            held_nanoseconds=counts.held_ns,
            longest_held_nanoseconds=counts.longest_held_ns,
            total_nanoseconds=counts.total_ns,
            max_nanoseconds=counts.max_ns,
            buckets=indexes,
            counts=[counts.buckets[index] for index in indexes],
        )


def _sum(counts: Sequence[LockCounts], field: str) -> int:
    return sum(getattr(each, field) for each in counts)


def _grown(then: LockCounts, now: LockCounts) -> LockCounts:
    """What came between; the longest are known where they are longer than all before, and bounded otherwise."""
    buckets = more(then.buckets, now.buckets)
    held_ns = now.held_ns - then.held_ns
    held = now.longest_held_ns if now.longest_held_ns > then.longest_held_ns else min(now.longest_held_ns, held_ns)
    return LockCounts(
        inner_pid=now.inner_pid,
        process=now.process,
        threads=now.threads,
        waits=now.waits - then.waits,
        failed=now.failed - then.failed,
        wakes=now.wakes - then.wakes,
        handed_on=now.handed_on - then.handed_on,
        holds=now.holds - then.holds,
        held_ns=held_ns,
        longest_held_ns=held,
        total_ns=now.total_ns - then.total_ns,
        max_ns=longest(then.max_ns, now.max_ns, buckets),
        buckets=buckets,
    )
