"""The view `timeline`: counts in equal buckets of a session's duration, added up.

Agents count in the session's buckets (they are told how much of it has gone), so adding goes by index: no clock of a
node takes part in it. Pure; used by merge, and by charts for the status.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from kubestrace_protos.v1 import agent_pb2


@dataclass(frozen=True)
class Grid:
    """The session's buckets."""

    buckets: int
    duration_ns: int

    @property
    def bucket_ns(self) -> int:
        """The length of a bucket."""
        return self.duration_ns // self.buckets

    def begun(self, elapsed_ns: int) -> int:
        """Return how many buckets have begun so long after the start."""
        return min(max(-(-elapsed_ns * self.buckets // self.duration_ns), 1), self.buckets)


class Bucket(NamedTuple):
    """What one bucket holds."""

    calls: int = 0
    errors: int = 0
    total_ns: int = 0
    wait_ns: int = 0


@dataclass
class Timeline:
    """The buckets that hold something, by index; `late` counts snapshots that came more than half a bucket late."""

    buckets: dict[int, Bucket]
    late: int = 0


def from_counts(counts: agent_pb2.TimelineCounts) -> Timeline:
    """Return what the wire carries."""
    columns = (counts.calls, counts.errors, counts.total_nanoseconds, counts.wait_nanoseconds)
    rows = zip(counts.buckets, *columns, strict=True)
    return Timeline({index: Bucket(*numbers) for index, *numbers in rows}, counts.late_snapshots)


def add(parts: Iterable[Timeline]) -> Timeline:
    """Return the sum; the parts stay as they are."""
    total = Timeline({})
    for part in parts:
        total.late += part.late
        for index, bucket in part.buckets.items():
            known = total.buckets.get(index, Bucket())
            total.buckets[index] = Bucket(*map(sum, zip(known, bucket, strict=True)))
    return total
