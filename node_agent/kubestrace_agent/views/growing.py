"""What a view counts from a session's first reading of a container to its newest. Used by collectors of such views."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from kubestrace_agent.views.loss import Loss
from kubestrace_agent.views.view import Collector, put, put_lost
from kubestrace_protos.v1.histograms import bucket_bounds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.protobuf.message import Message

    from kubestrace_protos.v1 import agent_pb2

Reading = TypeVar("Reading")
_32_BITS = 0xFFFFFFFF


def more(then: Mapping[int, int], now: Mapping[int, int]) -> dict[int, int]:
    """Return what came between two readings of counters that the kernel keeps in 32 bits; sparse."""
    grown = {index: count - then.get(index, 0) & _32_BITS for index, count in now.items()}
    return {index: count for index, count in grown.items() if count}


def longest(then_ns: int, now_ns: int, buckets: Mapping[int, int]) -> int:
    """Return the longest of the lengths that came between: the kernel keeps one maximum, of all sessions.

    It is known where it is longer than all before, and by its bucket otherwise.
    """
    if not buckets:
        return 0
    return now_ns if now_ns > then_ns else min(now_ns, bucket_bounds(max(buckets))[1])


@dataclass(eq=False)
class Growing(Collector, Generic[Reading]):
    """Two readings of what only grows, the first of them the start."""

    start: Reading | None = None
    now: Reading | None = None
    loss: Loss = field(default_factory=Loss)

    def begin(self, monotonic_ns: int, lost: int) -> None:  # noqa: ARG002 - the first reading says when it began
        """Begin with what is reported next."""
        self.loss.begin(lost)

    def take(self, reported: Reading | None, lost: int, unix_minus_monotonic_ns: int) -> None:  # noqa: ARG002
        """Take the newest reading."""
        self.loss.now = lost
        if reported is not None:
            self.start = reported if self.start is None else self.start
            self.now = reported

    def write(self, report: agent_pb2.ContainerReport) -> None:
        """Tell what came between, and what was lost."""
        if self.start is None or self.now is None:
            return
        put(report, self.name, self.told(self.start, self.now))
        put_lost(report, self.name, self.loss.own)

    def told(self, start: Reading, now: Reading) -> Message:
        """Return the view's result: what was added from one reading to the other."""
        raise NotImplementedError
