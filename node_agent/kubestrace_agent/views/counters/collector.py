"""What one container's threads counted in one session, as the wire carries it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from kubestrace_agent.views.counters.sources import PART
from kubestrace_agent.views.loss import Loss
from kubestrace_agent.views.view import Collector, put, put_lost
from kubestrace_protos.v1.views import counters_pb2

if TYPE_CHECKING:
    from kubestrace_agent.views.counters.values import ThreadSums
    from kubestrace_protos.v1 import agent_pb2

NAME = "counters"


@dataclass(eq=False)
class ThreadCounters(Collector):
    """The sums of a container: two readings of them, the first of them the start."""

    name: ClassVar[str] = NAME
    part: ClassVar[str] = PART

    start: ThreadSums | None = None
    now: ThreadSums | None = None
    loss: Loss = field(default_factory=Loss)

    def begin(self, monotonic_ns: int, lost: int) -> None:  # noqa: ARG002 - the first reading says when it began
        """Begin with what is reported next."""
        self.loss.begin(lost)

    def take(self, reported: ThreadSums | None, lost: int, unix_minus_monotonic_ns: int) -> None:  # noqa: ARG002
        """Take the newest reading."""
        self.loss.now = lost
        if reported is not None:
            self.start = reported if self.start is None else self.start
            self.now = reported

    def write(self, report: agent_pb2.ContainerReport) -> None:
        """Tell what was added since the start."""
        if self.start is None or self.now is None:
            return
        sums = self.now.minus(self.start)
        result = counters_pb2.CountersResult(
            minor_faults=sums.minor_faults,
            major_faults=sums.major_faults,
            voluntary_switches=sums.voluntary,
            involuntary_switches=sums.involuntary,
            migrations=sums.migrations,
            run_queue_nanoseconds=sums.run_delay_ns,
            cpu_nanoseconds=sums.cpu_ns,
        )
        put(report, NAME, result)
        put_lost(report, NAME, self.loss.own)
