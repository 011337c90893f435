"""Calls by process and thread as the wire carries them, and what was executed. Pure.

Kept are the processes that live and, of those that have ended, the ones with the most time; the others are one sum, so
that all together are what was counted. Everything that a container controls (names, paths) is made safe to print here.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from kubestrace_agent.traces.delta import is_wanted
from kubestrace_agent.views.loss import Loss
from kubestrace_agent.views.processes.records import Process, Sums
from kubestrace_agent.views.processes.sources import PART
from kubestrace_agent.views.view import Collector, put, put_lost
from kubestrace_protos.v1.views import processes_pb2

if TYPE_CHECKING:
    from kubestrace_agent.symbols.roots import Held
    from kubestrace_agent.syscalls import SyscallKey
    from kubestrace_agent.views.processes.values import RawExec, RawProcesses, RawThread
    from kubestrace_protos.v1 import agent_pb2

NAME = "processes"
# Processes that have ended and are kept beyond those that are shown, and all that live: more are summed up.
_SPARE = 100
_MOST = 10_000

# Of a process: PID of the host and when it began, CLOCK_MONOTONIC.
_Identity = tuple[int, int]


@dataclass(eq=False)
class ProcessCalls(Collector):
    """The processes of one container for one session."""

    name: ClassVar[str] = NAME
    part: ClassVar[str] = PART

    top: int
    # As Selection.keys(): None is everything.
    syscalls: frozenset[SyscallKey] | None
    held: Held | None = None
    seen: int = 0
    _since_ns: int = 0
    _execs_lost_before: int | None = None
    _execs_lost_now: int = 0
    _unix_minus_monotonic_ns: int = 0
    _loss: Loss = field(default_factory=Loss)
    _kept: dict[_Identity, Process] = field(default_factory=dict)
    _others: Sums = field(default_factory=Sums)

    def begin(self, monotonic_ns: int, lost: int) -> None:
        """Take nothing that was executed before; calls come as what was made since the last reading."""
        self._since_ns = monotonic_ns
        self._loss.begin(lost)

    def take(self, reported: RawProcesses | None, lost: int, unix_minus_monotonic_ns: int) -> None:
        """Add what the threads did, and sum up what is too much to keep."""
        self._loss.now = lost
        # Once: the beginning of a process, which is part of what it is, must not waver.
        self._unix_minus_monotonic_ns = self._unix_minus_monotonic_ns or unix_minus_monotonic_ns
        if reported is None:
            return
        if self._execs_lost_before is None:
            self._execs_lost_before = reported.lost_execs
        self._execs_lost_now = reported.lost_execs
        self._sum_up()
        # Threads know the newest name: they are reported again after they have executed a program.
        for executed in reported.execs:
            self._take_exec(executed)
        for thread in reported.threads:
            self._take_thread(thread)

    def _process(self, identity: _Identity, pid: int, parent_pid: int) -> Process | None:
        known = self._kept.get(identity)
        if known is None and len(self._kept) < _MOST:
            self.seen += 1
            known = self._kept[identity] = Process(*identity, pid, parent_pid)
        return known

    def _take_thread(self, reported: RawThread) -> None:
        sums = Sums()
        used = [each for each in reported.used if is_wanted(each.key, self.syscalls)]
        for each in used:
            sums.count(each, waits=each.key.waited)
        if not used and (reported.pid, reported.start_ns) not in self._kept and not reported.process_ended:
            return
        process = self._process((reported.pid, reported.start_ns), reported.inner_pid, reported.inner_parent)
        if process is None:
            self._others.add(sums)
            self.seen += reported.process_ended
            return
        process.command = reported.argument or reported.process or process.command
        process.file = reported.file or process.file
        process.status = process.status if reported.status is None else reported.status
        if reported.process_ended:
            process.ended_ns = reported.told_ns
        process.sums.add(sums)
        process.take_calls(used)
        if used or reported.id in process.threads:
            process.take_thread(reported, sums)

    def _take_exec(self, reported: RawExec) -> None:
        if reported.time_ns < self._since_ns:
            return
        process = self._process((reported.pid, reported.start_ns), reported.inner_pid, reported.inner_parent)
        if process is not None:
            process.command = reported.argument or reported.path.rpartition(b"/")[2]
            process.path = reported.path
            process.execs_seen += 1
            process.execs.append((reported.time_ns, reported.argument, reported.path))

    def _sum_up(self) -> None:
        """Called before more is taken: a process's last threads may report their end after it has reported its own."""
        ended = [(identity, process) for identity, process in self._kept.items() if process.has_ended]
        keep = self.top + _SPARE
        if len(ended) <= 2 * keep and len(self._kept) < _MOST:
            return
        for identity, process in heapq.nsmallest(len(ended) - keep, ended, key=lambda each: each[1].sums.order()):
            self._others.add(process.sums)
            del self._kept[identity]

    def _begun_ns(self, process: Process) -> int:
        """Return when it became what it is: PIDs come back, and only the process that was held is older."""
        if self.held is not None and process.host_pid == self.held.pid and process.start_ns < self._since_ns:
            return max(process.start_ns, self.held.released_ns)
        return process.start_ns

    def write(self, report: agent_pb2.ContainerReport) -> None:
        """Put the busiest into a report, and the sum of the others."""
        order = sorted(self._kept.values(), key=lambda each: each.sums.order(), reverse=True)
        others = Sums()
        others.add(self._others)
        for process in order[self.top :]:
            others.add(process.sums)
        result = processes_pb2.ProcessesResult(
            processes=[
                process.message(self._unix_minus_monotonic_ns, self._begun_ns(process)) for process in order[: self.top]
            ],
            seen=self.seen,
            others=others.message(),
        )
        put(report, NAME, result)
        # What was counted as lost a moment before the beginning may turn out to have been read.
        put_lost(report, "processCalls", max(0, self._loss.own))
        put_lost(report, "execs", self._execs_lost_now - (self._execs_lost_before or 0))
