"""A cgroup whose processes are told, collected as a session does, for tests that run as root."""

import platform
import time

from engine_runs import Cgroup, Runs
from view_messages import processes

from kubestrace_agent.syscalls import parse_patterns
from kubestrace_agent.views.processes.collector import ProcessCalls, Settings
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views import processes_pb2
from kubestrace_protos.v1.views.processes_limits import MAX_TOP

ALL = Settings(MAX_TOP)


class Watched:
    """A cgroup whose processes are told, collected as a session does."""

    def __init__(self, runs: Runs, cgroup: Cgroup, only: list[str] | None = None, settings: Settings = ALL) -> None:
        self.tracer = runs.tracer
        self.slot = runs.trace(cgroup)
        self.collector = ProcessCalls(settings, parse_patterns(only or [], platform.machine()).keys())
        self.collector.begin(time.monotonic_ns(), 0)
        self.tracer.enable("processes", self.slot, self.collector.wanted)

    def read(self) -> None:
        """Take what there is."""
        told = self.tracer.read("processes").get(self.slot)
        offset = time.time_ns() - time.monotonic_ns()
        self.collector.take(told, self.tracer.lost("processes", self.slot), offset)

    def report(self) -> agent_pb2.ContainerReport:
        """Read, and give what a session would report."""
        self.read()
        report = agent_pb2.ContainerReport()
        self.collector.write(report)
        return report

    def processes(self) -> dict[int, processes_pb2.Process]:
        """By PID of the host."""
        return {each.host_pid: each for each in processes(self.report()).processes}


def calls_of(process: processes_pb2.Process, name: str = "getppid") -> int:
    """How often a process made a call, which is among its longest."""
    return next((each.calls for each in process.syscalls if each.name == name), 0)


def sums(report: agent_pb2.ContainerReport) -> tuple[int, int, int]:
    """Calls, errors and nanoseconds of all processes, and the calls that are lost."""
    result = processes(report)
    parts = [*(each.sums for each in result.processes), result.others]
    return (
        sum(each.calls for each in parts) + report.trust.losses["processCalls"],
        sum(each.errors for each in parts),
        sum(each.total_nanoseconds + each.wait_nanoseconds for each in parts),
    )


def summary(runs: Runs, slot: int) -> tuple[int, int, int]:
    """The same of the container as a whole."""
    syscalls = runs.since(slot).syscalls
    return (
        sum(each.calls for each in syscalls),
        sum(each.errors for each in syscalls),
        sum(each.total_nanoseconds for each in syscalls),
    )
