"""What one container's cgroup counted in one session, as the wire carries it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from kubestrace_agent.views.resources.values import Reading
from kubestrace_agent.views.resources.watching import WATCHER
from kubestrace_agent.views.view import Collector, put
from kubestrace_protos.v1.views import resources_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from kubestrace_agent.containers.network_counters import PodCounters
    from kubestrace_agent.kernel.counters.counts import RawCounts
    from kubestrace_agent.views.resources.by_bucket import ByBucket
    from kubestrace_agent.views.resources.watching import WatchedCgroup
    from kubestrace_protos.v1 import agent_pb2

NAME = "resources"
_GROUPS = ("cpu", "memory", "pressure", "pids", "pods", "limits")
_SHARED = "what is traced shares its cgroup with other processes"
_UNREAD = "the container ended before its cgroup could be read"


class Numbers(Collector):
    """The numbers of a container: two readings of them, the first of them the start."""

    name: ClassVar[str] = NAME

    def __init__(self, by_bucket: ByBucket | None = None) -> None:
        self._by_bucket = by_bucket
        self._cgroup: WatchedCgroup | None = None
        self._start: Reading | None = None
        self._now: Reading | None = None
        self._counts_ns = 0
        # There are newer counts than the last reading.
        self._is_due = False
        self._problem = _SHARED
        # The network namespace has been there before the container: its first reading is the start.
        self._network_start: PodCounters | None = None
        self._network: PodCounters | None = None

    def begin_cgroup(self, cgroup: Path | None, *, new: bool) -> None:
        """Begin with what the cgroup says now, or with nothing where it was created for this container."""
        if cgroup is None:
            return
        self._problem = _UNREAD
        self._cgroup = WATCHER.watched(cgroup)
        if self._cgroup is not None:
            self._now = self._cgroup.read(fresh=not new)
            self._start = Reading(self._now.time_ns) if new and self._now else self._now
            if self._by_bucket and self._start:
                self._by_bucket.begin(self._start)
            self._take_network()

    def count(self, counts: RawCounts) -> None:
        """Read again, once for each snapshot of the counts; or when it is told, where nobody needs what was between."""
        if counts.time_ns == self._counts_ns or self._cgroup is None:
            return
        self._counts_ns = counts.time_ns
        # Between the first and the newest reading buckets alone need any.
        if self._by_bucket is not None or self._start is None or self._network_start is None:
            self._read()
        else:
            self._is_due = True

    def end(self) -> None:
        """Read for the last time, if that is due."""
        if self._is_due:
            self._read()

    def _read(self) -> None:
        if self._cgroup is None:
            return
        self._is_due = False
        self._now = self._cgroup.read()
        if self._start is None:
            self._start = self._now
        if self._by_bucket and self._now:
            self._by_bucket.add(self._now)
        self._take_network()

    def _take_network(self) -> None:
        if self._now is not None and self._now.network is not None:
            self._network = self._now.network
            self._network_start = self._network_start or self._network

    def write(self, report: agent_pb2.ContainerReport) -> None:
        """Tell what was added since the start, and how it stands now."""
        self.end()
        result = resources_pb2.ResourcesResult()
        if self._start is None or self._now is None:
            result.unavailable.update(dict.fromkeys(_GROUPS, self._problem))
        else:
            result.grown.update(added(self._start.grown, self._now.grown))
            result.levels.update(self._now.levels)
            result.unavailable.update(self._now.unavailable)
            result.ended_unread = self._cgroup is not None and self._cgroup.ended_unread
            result.covered_nanoseconds = self._now.time_ns - self._start.time_ns
        if self._by_bucket is not None:
            result.by_bucket.CopyFrom(self._by_bucket.message())
        if self._network_start is not None and self._network is not None:
            result.pod_network.of_node = self._network.host_network
            result.pod_network.counters.update(added(self._network_start.numbers, self._network.numbers))
            result.pod_network.levels.update(self._network.levels)
        put(report, NAME, result)


def added(then: Mapping[str, int], now: Mapping[str, int]) -> Mapping[str, int]:
    """Return what was added between two readings; nothing falls, but for counters that a file has lost."""
    return {name: max(0, value - then.get(name, 0)) for name, value in now.items()}
