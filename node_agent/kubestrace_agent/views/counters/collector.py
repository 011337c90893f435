"""What one container's threads counted in one session, as the wire carries it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from kubestrace_agent.views.counters import hardware
from kubestrace_agent.views.counters.sources import PART
from kubestrace_agent.views.counters.values import ThreadSums
from kubestrace_agent.views.growing import Growing
from kubestrace_agent.views.view import Collector, put
from kubestrace_protos.v1.views import counters_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from kubestrace_agent.kernel.counters.counts import RawCounts
    from kubestrace_protos.v1 import agent_pb2

NAME = "counters"
_SHARED = "what is traced shares its cgroup with other processes"


class ThreadCounters(Growing[ThreadSums]):
    """The sums of a container: two readings of them, the first of them the start."""

    name: ClassVar[str] = NAME
    part: ClassVar[str] = PART
    may_wait: ClassVar[bool] = True

    def told(self, start: ThreadSums, now: ThreadSums) -> counters_pb2.CountersResult:
        """Return what was added since the start."""
        sums = now.minus(start)
        return counters_pb2.CountersResult(
            minor_faults=sums.minor_faults,
            major_faults=sums.major_faults,
            voluntary_switches=sums.voluntary,
            involuntary_switches=sums.involuntary,
            migrations=sums.migrations,
            run_queue_nanoseconds=sums.run_delay_ns,
            cpu_nanoseconds=sums.cpu_ns,
        )


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
