"""One target being counted by this machine's tracer, and what was counted as the agent's Report."""

import os
import platform
import time

from kubestrace_agent import aggregate
from kubestrace_agent.kernel.counts import RawCounts
from kubestrace_agent.kernel.tracer import Tracer
from kubestrace_agent.syscalls import SyscallKey
from kubestrace_cli.targets import Target, TargetError
from kubestrace_protos.v1 import agent_pb2

_Phase = agent_pb2.ContainerState.Phase


class Recording:
    """Counts from the moment it is made until `finish`. The tracer stays the caller's."""

    def __init__(self, tracer: Tracer, target: Target, wanted: frozenset[SyscallKey] | None) -> None:
        """Begin. Raises TargetError when the target has gone, and what the tracer raises."""
        self._tracer = tracer
        self._target = target
        self._wanted = wanted
        try:
            if target.by_process:
                self._slot = tracer.add_process(target.host_pid, wanted=wanted)
            else:
                self._slot = tracer.add_container(target.cgroup, wanted=wanted)
        except (ProcessLookupError, FileNotFoundError) as error:
            raise TargetError(f"{target.name} has just ended") from error
        self._cpu_start = time.process_time()
        self._start_ns = time.monotonic_ns()
        self.start_unix_ns = time.time_ns()
        self.end_unix_ns = 0
        self._counts = RawCounts()

    @property
    def elapsed_seconds(self) -> float:
        """Seconds since the counting began."""
        return (time.monotonic_ns() - self._start_ns) / 1e9

    def read(self) -> int:
        """Read the counters, which must be done now and then; returns the calls so far."""
        self._counts = self._tracer.snapshot([self._slot])[self._slot]
        return sum(counts.calls for counts in self._difference().syscalls)

    def finish(self, end_reason: agent_pb2.EndReason) -> agent_pb2.Report:
        """Read the counters for the last time, stop counting, and return the final report."""
        self.read()
        self.end_unix_ns = time.time_ns()
        cpu_seconds = time.process_time() - self._cpu_start
        millicores = round(1000 * cpu_seconds / max(self.elapsed_seconds, 1e-3))
        self._tracer.remove(self._slot)
        counted = self._difference()
        trust = agent_pb2.Trust(agent_cpu_millicores=millicores)
        trust.MergeFrom(counted.trust)
        return agent_pb2.Report(
            node=platform.node(),
            agent_id=f"local-{os.getpid()}",
            sequence=1,
            final=True,
            end_reason=end_reason,
            start_time_unix_nanoseconds=self.start_unix_ns,
            time_unix_nanoseconds=self.end_unix_ns,
            containers=[agent_pb2.ContainerReport(state=self._state(), syscalls=counted.syscalls, trust=counted.trust)],
            trust=trust,
        )

    def _difference(self) -> aggregate.Difference:
        return aggregate.difference(None, self._counts, wanted=self._wanted, architecture=platform.machine())

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
