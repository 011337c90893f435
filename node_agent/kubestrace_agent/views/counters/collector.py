"""What one container's threads counted in one session, as the wire carries it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from kubestrace_agent.views.counters import hardware
from kubestrace_agent.views.counters.sources import PART
from kubestrace_agent.views.loss import Loss
from kubestrace_agent.views.view import Collector, put, put_lost
from kubestrace_protos.v1.views import counters_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from kubestrace_agent.kernel.counters.counts import RawCounts
    from kubestrace_agent.views.counters.values import ThreadSums
    from kubestrace_protos.v1 import agent_pb2

NAME = "counters"
_SHARED = "what is traced shares its cgroup with other processes"


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


class HardwareCounters(Collector):
    """The hardware counters of a container, for one session; what cannot be had is told with the reason."""

    name: ClassVar[str] = NAME

    def __init__(self, events: Mapping[str, tuple[int, int]]) -> None:
        """`events`: type and number of each, as perf_event_open(2) has them."""
        self._asked = events
        self._events: dict[str, hardware.Event] = {}
        self._counts: dict[str, hardware.Count] = {}
        self._unavailable: dict[str, str] = dict.fromkeys(events, _SHARED)

    def begin_cgroup(self, cgroup: Path | None, *, new: bool) -> None:  # noqa: ARG002 - what came before was not counted
        """Count from now on."""
        if cgroup is None:
            return
        self._unavailable = {}
        for name, kind in self._asked.items():
            try:
                self._events[name] = hardware.Event(cgroup, kind)
                self._counts[name] = hardware.Count()
            except OSError as error:
                self._unavailable[name] = hardware.reason(error)

    def count(self, counts: RawCounts) -> None:  # noqa: ARG002 - only the moment matters
        """Read the counters, too."""
        for name, event in self._events.items():
            self._counts[name] = event.read()

    def end(self) -> None:
        """Give the descriptors back."""
        for event in self._events.values():
            event.close()
        self._events = {}

    def write(self, report: agent_pb2.ContainerReport) -> None:
        """Add them to what the view has told of threads."""
        result = counters_pb2.CountersResult()
        if NAME not in report.views or not report.views[NAME].Unpack(result):
            return
        for name in self._asked:
            row = result.hardware.add(name=name, unavailable=self._unavailable.get(name, ""))
            if name in self._counts:
                row.count, row.enabled_nanoseconds, row.running_nanoseconds = self._counts[name]
        put(report, NAME, result)
