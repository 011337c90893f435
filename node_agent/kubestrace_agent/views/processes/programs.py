"""Processes of one program as one row: `leaf x 600`. Pure; used by collector."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kubestrace_agent.views.processes.arguments import arguments
from kubestrace_agent.views.processes.records import Sums, syscalls
from kubestrace_protos.v1.views import processes_pb2

if TYPE_CHECKING:
    from kubestrace_agent.syscalls import SyscallKey
    from kubestrace_agent.views.processes.records import Process
    from kubestrace_agent.views.processes.values import Words

# Programs of one container that are kept apart.
_MOST = 1000
# Ways to end that are told of one program.
_ENDS = 5

# Whether it came from outside, the executable's name, and the name that the process had at its beginning.
_Key = tuple[bool, bytes, bytes]


@dataclass(slots=True)
class Program:
    """What the processes of one program did together. Times are CLOCK_MONOTONIC."""

    # The first one that was seen: it stands for the others.
    first: Process
    outside: bool
    begun_ns: int
    processes: int = 0
    living: int = 0
    threads: int = 0
    execs: int = 0
    sums: Sums = field(default_factory=Sums)
    by_call: dict[SyscallKey, list[int]] = field(default_factory=dict)
    ends: Counter[str] = field(default_factory=Counter)
    # None: they differ.
    words: Words | None = None

    def message(self, unix_minus_monotonic_ns: int) -> processes_pb2.Process:
        """Give it as the wire carries it: one process as itself."""
        message = self.first.message(unix_minus_monotonic_ns, self.begun_ns, 0)
        message.from_outside = self.outside
        message.processes = self.processes
        message.living = self.living
        message.ends.extend(
            processes_pb2.ProcessEnds(end=end, count=count) for end, count in self.ends.most_common(_ENDS) if end
        )
        if self.processes == 1:
            return message
        message.sums.CopyFrom(self.sums.message())
        message.threads = self.threads
        message.execs_seen = self.execs
        message.denied = sum(counts[3] for counts in self.by_call.values())
        del message.syscalls[:], message.arguments[:], message.execs[:]
        message.syscalls.extend(syscalls(self.by_call))
        message.arguments.extend(arguments(self.words, self.first.redaction) if self.words else ())
        for of_one in ("lifetime_nanoseconds", "exit_code", "signal", "end", "title", "name", "first_name", "image"):
            message.ClearField(of_one)
        return message


class Programs:
    """The programs of one container. What finds no room is in `others`."""

    def __init__(self) -> None:
        self._programs: dict[_Key, Program] = {}
        self.others = Sums()

    def add(self, process: Process, *, outside: bool, begun_ns: int) -> None:
        """Add one process between two execs."""
        key = outside, process.file or process.path.rpartition(b"/")[2], process.first_name
        program = self._programs.get(key)
        if program is None:
            if len(self._programs) >= _MOST:
                self.others.add(process.sums)
                return
            program = self._programs[key] = Program(process, outside, begun_ns, words=process.words)
        program.processes += 1
        program.living += process.lives
        program.threads += process.threads_seen
        program.execs += process.executed
        program.sums.add(process.sums)
        program.begun_ns = min(program.begun_ns, begun_ns)
        if program.words != process.words:
            program.words = None
        if not process.lives:
            program.ends[process.end] += 1
        _add_calls(program.by_call, process.by_call)

    def include(self, more: Programs) -> None:
        """Add all of another, which stays as it is."""
        self.others.add(more.others)
        for key, program in more._programs.items():
            known = self._programs.get(key)
            if known is None:
                known = self._programs[key] = Program(program.first, program.outside, program.begun_ns)
                known.words = program.words
            elif known.words != program.words:
                known.words = None
            known.processes += program.processes
            known.living += program.living
            known.threads += program.threads
            known.execs += program.execs
            known.sums.add(program.sums)
            known.begun_ns = min(known.begun_ns, program.begun_ns)
            known.ends.update(program.ends)
            _add_calls(known.by_call, program.by_call)

    def busiest(self, most: int) -> tuple[list[Program], Sums]:
        """Return those with the most time, and the sum of the others."""
        shown = heapq.nlargest(most, self._programs.values(), key=lambda each: each.sums.order())
        others = Sums()
        others.add(self.others)
        left_out = {id(each) for each in shown}
        for program in self._programs.values():
            if id(program) not in left_out:
                others.add(program.sums)
        return shown, others


def _add_calls(into: dict[SyscallKey, list[int]], more: dict[SyscallKey, list[int]]) -> None:
    for key, counts in more.items():
        known = into.setdefault(key, [0] * len(counts))
        for position, count in enumerate(counts):
            known[position] += count
