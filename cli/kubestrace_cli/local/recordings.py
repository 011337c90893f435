"""One target being counted by this machine's tracer, and what was counted as the agent's Report."""

import os
import platform
import time
from pathlib import Path

from kubestrace_agent.kernel.counters.counts import RawCounts
from kubestrace_agent.kernel.counters.tracer import Tracer
from kubestrace_agent.symbols.names import Names
from kubestrace_agent.symbols.naming import Naming
from kubestrace_agent.symbols.roots import Owner, Roots
from kubestrace_agent.syscalls import SyscallKey
from kubestrace_agent.traces import delta
from kubestrace_agent.traces.unreturned import Unreturned
from kubestrace_agent.views.collectors import Collector, collectors
from kubestrace_agent.views.timeline import collector as timelines
from kubestrace_cli.local.targets import Target, TargetError
from kubestrace_protos.v1 import agent_pb2

# Of a timeline whose trace has no duration: its buckets begin so long, and double when they are all used.
_FIRST_BUCKET_NS = 100_000_000
_TICK_SECONDS = 0.5
# Where stacks are asked for: what a process has mapped must be read before it ends.
_STACKS_SECONDS = 0.1
_Phase = agent_pb2.ContainerState.Phase


class Recording:
    """Counts from the moment it is made until `finish`. The tracer stays the caller's."""

    def __init__(
        self,
        tracer: Tracer,
        target: Target,
        wanted: frozenset[SyscallKey] | None,
        *,
        buckets: int | None = None,
        duration_seconds: int | None = None,
        views: agent_pb2.Views | None = None,
    ) -> None:
        """Begin. Raises TargetError when the target has gone, and what the tracer raises.

        With `buckets` a timeline is kept: so many of the duration; without a duration at most so many, as short as
        that allows.
        """
        self._tracer = tracer
        self._target = target
        self._since = delta.Since(None, wanted=wanted, architecture=platform.machine())
        # Who runs this may look behind the descriptors of any process.
        self._unreturned = Unreturned(None, wanted=wanted, paths=True)
        try:
            if target.by_process:
                self._slot = tracer.reserve_process(target.host_pid, wanted=wanted)
            else:
                self._slot = tracer.reserve_container(target.cgroup, wanted=wanted)
        except (ProcessLookupError, FileNotFoundError) as error:
            raise TargetError(f"{target.name} has just ended") from error
        names = Names(Naming(Roots(others=[Path("/")])))
        self._collectors = collectors(views or agent_pb2.Views(), wanted, names, Owner())
        for collector in self._collectors:
            collector.begin(time.monotonic_ns(), 0)
            tracer.enable(collector.view, self._slot, collector.wanted)
        self._skipped_before = tracer.skipped_calls
        self._cpu_start = time.process_time()
        self._start_ns = time.monotonic_ns()
        self.start_unix_ns = time.time_ns()
        # After the views: what they tell are the calls that are counted.
        tracer.begin(self._slot)
        for collector in self._collectors:
            self._collect(collector)
        self.end_unix_ns = 0
        self._counts = RawCounts()
        self._grows = duration_seconds is None
        self._timeline: timelines.Buckets | None = None
        if buckets is not None:
            duration_ns = _FIRST_BUCKET_NS * buckets if duration_seconds is None else 1_000_000_000 * duration_seconds
            grid = timelines.Grid(self._start_ns, duration_ns, buckets)
            self._timeline = timelines.Buckets(grid, None, self._start_ns, wanted=wanted)

    @property
    def elapsed_seconds(self) -> float:
        """Seconds since the counting began."""
        return (time.monotonic_ns() - self._start_ns) / 1e9

    def read(self) -> int:
        """Read the counters, which must be done now and then; returns the calls so far."""
        self._counts = self._tracer.snapshot([self._slot])[self._slot]
        for collector in self._collectors:
            self._collect(collector)
            self._tracer.enable(collector.view, self._slot, collector.wanted)
        self._note_time()
        return sum(counts.calls for counts in self._difference().syscalls)

    def _collect(self, collector: Collector) -> None:
        told, lost = self._tracer.read(collector.view).get(self._slot), self._tracer.lost(collector.view, self._slot)
        collector.take(told, lost, time.time_ns() - time.monotonic_ns())

    @property
    def tick_seconds(self) -> float:
        """The time until the counters should be read next, or until the timeline's next border."""
        with_stacks = any(each.view == "slow_stacks" for each in self._collectors)
        tick_seconds = _STACKS_SECONDS if with_stacks else _TICK_SECONDS
        if self._timeline is None:
            return tick_seconds
        now_ns = time.monotonic_ns()
        border_ns = self._timeline.grid.next_border(now_ns)
        if border_ns is None and self._grows:
            border_ns = self._timeline.grid.end_ns
        return tick_seconds if border_ns is None else min(max((border_ns - now_ns) / 1e9, 0.0), tick_seconds)

    @property
    def duration_ns(self) -> int | None:
        """What the timeline's buckets divide, all together; None without a timeline."""
        return self._timeline.grid.duration_ns if self._timeline else None

    def _note_time(self) -> None:
        if self._timeline is None:
            return
        while self._grows and self._counts.time_ns > self._timeline.grid.end_ns + self._timeline.grid.bucket_ns // 2:
            self._timeline.double()
        self._timeline.take(self._counts)

    def finish(self, end_reason: agent_pb2.EndReason) -> agent_pb2.Report:
        """Read the counters for the last time, stop counting, and return the final report."""
        self._tracer.stop([self._slot])
        self.end_unix_ns = time.time_ns()
        self.read()
        cpu_seconds = time.process_time() - self._cpu_start
        millicores = round(1000 * cpu_seconds / max(self.elapsed_seconds, 1e-3))
        self._tracer.remove(self._slot)
        counted = self._difference()
        container = agent_pb2.ContainerReport(state=self._state(), syscalls=counted.syscalls, trust=counted.trust)
        container.unreturned.extend(self._unreturned.calls(self._counts))
        for collector in self._collectors:
            collector.write(container)
        skipped = self._tracer.skipped_calls - self._skipped_before
        trust = agent_pb2.Trust(agent_cpu_millicores=millicores, skipped_calls=skipped)
        trust.MergeFrom(container.trust)
        if self._timeline is not None:
            container.timeline.CopyFrom(self._timeline.message())
        return agent_pb2.Report(
            node=platform.node(),
            agent_id=f"local-{os.getpid()}",
            sequence=1,
            final=True,
            end_reason=end_reason,
            start_time_unix_nanoseconds=self.start_unix_ns,
            time_unix_nanoseconds=self.end_unix_ns,
            containers=[container],
            trust=trust,
        )

    def _difference(self) -> delta.Difference:
        return self._since.to(self._counts)

    def _state(self) -> agent_pb2.ContainerState:
        target = self._target
        return agent_pb2.ContainerState(
            container=agent_pb2.Container(container_name=target.name, container_id=target.container_id),
            phase=_Phase.PHASE_ENDED,
            host_pid=target.host_pid,
            pid=target.pid,
            start_time_unix_nanoseconds=self.start_unix_ns,
            end_time_unix_nanoseconds=self.end_unix_ns,
        )
