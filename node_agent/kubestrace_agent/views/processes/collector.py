"""Calls by process and thread as the wire carries them, and what was executed. Pure.

A process that executes another program has a row for each. Kept are the processes that live and, of those that have
ended, the ones with the most time; the others are one sum, so that all together are what was counted. Everything that a
container controls (names, paths) is made safe to print in records.
"""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from kubestrace_agent.traces.delta import is_wanted
from kubestrace_agent.views.loss import Loss
from kubestrace_agent.views.processes.origins import Origins
from kubestrace_agent.views.processes.programs import Programs
from kubestrace_agent.views.processes.records import Process, Sums
from kubestrace_agent.views.processes.sources import PART
from kubestrace_agent.views.processes.values import Wants
from kubestrace_agent.views.view import Collector, put, put_lost
from kubestrace_protos.v1.views import processes_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kubestrace_agent.symbols.roots import Held
    from kubestrace_agent.syscalls import SyscallKey
    from kubestrace_agent.views.processes.values import RawExec, RawProcesses, RawThread
    from kubestrace_protos.v1 import agent_pb2

NAME = "processes"
# Processes that have ended and are kept beyond those that are shown, and all that live: more are summed up.
_SPARE = 100
_MOST = 10_000

# Threads of a process that are told where a session does not say how many.
_THREADS = 3
# Of a process between two execs: PID of the host, when it began (CLOCK_MONOTONIC), and the kernel's number of the exec.
_Identity = tuple[int, int, int]
_asked = itertools.count(1)


@dataclass(frozen=True)
class Settings:
    """What a session asks for."""

    top: int
    threads: int = _THREADS
    arguments: bool = False
    by_program: bool = False


@dataclass(eq=False)
class ProcessCalls(Collector):
    """The processes of one container for one session."""

    name: ClassVar[str] = NAME
    part: ClassVar[str] = PART
    redacts: ClassVar[bool] = True

    settings: Settings
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
    # Of each process that is kept: its newest image, and the number of its first one.
    _newest: dict[tuple[int, int], Process] = field(default_factory=dict)
    _first_image: dict[tuple[int, int], int] = field(default_factory=dict)
    _origins: Origins = field(default_factory=Origins)
    _programs: Programs = field(default_factory=Programs)
    _others: Sums = field(default_factory=Sums)
    # Which image the held process was before it became the traced program: that one has its calls.
    _held_image: int | None = None
    _asks: int = field(default_factory=lambda: next(_asked))

    @property
    def wanted(self) -> Wants:
        """Command lines, where the session asks for them."""
        return Wants(self._asks if self.settings.arguments else 0)

    @staticmethod
    def union(wanted: Sequence[Wants]) -> Wants:
        """Give the newest number: who has just begun to ask is told of the processes that are there."""
        return max(wanted)

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
        self._origins.take(reported.threads)
        self._know_held(reported)
        for executed in reported.execs:
            self._take_exec(executed)
        for thread in reported.threads:
            self._take_thread(thread)
        if self.settings.arguments:
            for words in reported.words:
                process = self._kept.get(self._identity(words.pid, words.start_ns, words.image))
                if process is not None:
                    process.words = words.words

    def _know_held(self, reported: RawProcesses) -> None:
        """Find what the held process was before it was released."""
        if self.held is None or self._held_image is not None:
            return
        images = [each.image for each in reported.threads if self._is_held(each.pid, each.start_ns)]
        images += [each.image - 1 for each in reported.execs if self._is_held(each.pid, each.start_ns)]
        self._held_image = min(images, default=None)

    def _is_held(self, pid: int, start_ns: int) -> bool:
        """PIDs come back, and only the process that was held is older."""
        return self.held is not None and pid == self.held.pid and start_ns < self._since_ns

    def _identity(self, pid: int, start_ns: int, image: int) -> _Identity:
        if image == self._held_image and self._is_held(pid, start_ns):
            image += 1
        return pid, start_ns, image

    def _process(self, identity: _Identity, pid: int, parent_pid: int) -> Process | None:
        known = self._kept.get(identity)
        if known is None and len(self._kept) < _MOST:
            self.seen += 1
            known = self._kept[identity] = Process(*identity, pid, parent_pid, self.redaction)
            self._follow_on(known)
        return known

    def _follow_on(self, process: Process) -> None:
        """Join it to what the process was before."""
        of = process.host_pid, process.start_ns
        first = self._first_image.setdefault(of, process.image_id)
        process.image = max(0, process.image_id - first)
        before = self._newest.get(of)
        if before is None or before.image_id < process.image_id:
            self._newest[of] = process
        if before is not None and before.image_id < process.image_id:
            process.execs_seen = before.execs_seen
            process.execs.extend(before.execs)
            before.become(process)
        # What it did before may be reported after the exec.
        after = self._kept.get((*of, process.image_id + 1))
        if after is not None:
            process.become(after)

    def _take_thread(self, reported: RawThread) -> None:
        sums = Sums()
        used = [each for each in reported.used if is_wanted(each.key, self.syscalls)]
        for each in used:
            sums.count(each, waits=each.key.waited)
        identity = self._identity(reported.pid, reported.start_ns, reported.image)
        if not used and identity not in self._kept and not reported.process_ended:
            return
        process = self._process(identity, reported.inner_pid, reported.inner_parent)
        if process is None:
            self._others.add(sums)
            self.seen += reported.process_ended
            return
        # What held the process is not the traced program, unless it could not become that.
        own = identity[2] == reported.image
        if own or reported.process_ended:
            process.describe(reported)
        if own and reported.image_ended:
            process.became = process.became or ""
            process.ended_ns = process.ended_ns or reported.told_ns
        process.sums.add(sums)
        process.take_calls(used)
        if used or reported.id in process.threads:
            process.take_thread(reported, sums, self.settings.threads)

    def _take_exec(self, reported: RawExec) -> None:
        if reported.time_ns < self._since_ns:
            return
        of = reported.pid, reported.start_ns
        if not self._is_held(*of):
            # What it was before may have made no call that counts; its number is known all the same.
            self._first_image.setdefault(of, reported.image - 1)
        process = self._process((*of, reported.image), reported.inner_pid, reported.inner_parent)
        if process is None:
            if of not in self._newest:
                self._first_image.pop(of, None)
            return
        process.take_exec(reported)
        if self.settings.arguments and reported.words is not None:
            process.words = reported.words
        before = self._kept.get((*of, reported.image - 1))
        if before is not None:
            before.become(process)

    def _sum_up(self) -> None:
        """Called before more is taken: what has ended since the last time may still report its last calls."""
        ended = [(identity, process) for identity, process in self._kept.items() if process.settled]
        for process in self._kept.values():
            process.settled = process.has_ended
        keep = self.settings.top + _SPARE
        if len(ended) <= 2 * keep and len(self._kept) < _MOST:
            return
        for identity, process in heapq.nsmallest(len(ended) - keep, ended, key=lambda each: each[1].sums.order()):
            self._sum_up_one(process)
            del self._kept[identity]
            of = identity[:2]
            if self._newest.get(of) is process:
                del self._newest[of], self._first_image[of]

    def _sum_up_one(self, process: Process) -> None:
        if self.settings.by_program:
            outside = self._origins.is_outside(process.host_pid, process.start_ns)
            self._programs.add(process, outside=outside, begun_ns=self._begun_ns(process))
        else:
            self._others.add(process.sums)

    def _begun_ns(self, process: Process) -> int:
        """Return when it became what it is."""
        if self.held is not None and self._is_held(process.host_pid, process.start_ns) and process.image == 0:
            return max(process.start_ns, self.held.released_ns)
        return process.executed_ns or process.start_ns

    def write(self, report: agent_pb2.ContainerReport) -> None:
        """Put the busiest into a report, and the sum of the others."""
        result = self._by_program() if self.settings.by_program else self._by_process()
        put(report, NAME, result)
        # What was counted as lost a moment before the beginning may turn out to have been read.
        put_lost(report, "processCalls", max(0, self._loss.own))
        put_lost(report, "execs", self._execs_lost_now - (self._execs_lost_before or 0))

    def _by_process(self) -> processes_pb2.ProcessesResult:
        order = sorted(self._kept.values(), key=lambda each: each.sums.order(), reverse=True)
        others = Sums()
        others.add(self._others)
        for process in order[self.settings.top :]:
            others.add(process.sums)
        messages = [
            process.message(self._unix_minus_monotonic_ns, self._begun_ns(process), self.settings.threads)
            for process in order[: self.settings.top]
        ]
        for message, process in zip(messages, order, strict=False):
            message.from_outside = self._origins.is_outside(process.host_pid, process.start_ns)
        return processes_pb2.ProcessesResult(processes=messages, seen=self.seen, others=others.message())

    def _by_program(self) -> processes_pb2.ProcessesResult:
        programs = Programs()
        programs.include(self._programs)
        for process in self._kept.values():
            outside = self._origins.is_outside(process.host_pid, process.start_ns)
            programs.add(process, outside=outside, begun_ns=self._begun_ns(process))
        busiest, others = programs.busiest(self.settings.top)
        others.add(self._others)
        return processes_pb2.ProcessesResult(
            processes=[each.message(self._unix_minus_monotonic_ns) for each in busiest],
            seen=self.seen,
            others=others.message(),
        )
