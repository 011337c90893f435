"""Who asked for much memory: calls that added 1 MiB or more, by stack, once they are named. Pure."""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from kubestrace_agent.symbols.roots import Owner
from kubestrace_agent.views import user_stacks
from kubestrace_agent.views.memory.sources import GROWTH
from kubestrace_agent.views.memory.values import RawGrowth
from kubestrace_agent.views.redaction import DEFAULT
from kubestrace_agent.views.user_stacks import UNKNOWN, Ask, Mapped
from kubestrace_agent.views.view import Collector, put
from kubestrace_protos.v1.views import memory_pb2

if TYPE_CHECKING:
    from kubestrace_agent.symbols.names import Names, Question
    from kubestrace_agent.views.memory.values import GrowthSample
    from kubestrace_protos.v1 import agent_pb2

MOST_FRAMES = 32
# Stacks that are told apart, and that a report has: what others added is in the sums alone.
MOST_STACKS, MOST_REPORTED = 512, 64
# Stacks that wait for their names.
_MOST_PENDING = 1024
NOT_NAMED = "[not named in time]"

# The kind of a call, and its functions, the innermost first.
Key = tuple[str, tuple[str, ...]]


@dataclass(slots=True)
class Sums:
    """Calls and what they added."""

    calls: int = 0
    bytes: int = 0

    def add(self, bytes_: int) -> None:
        """Add a call."""
        self.calls += 1
        self.bytes += bytes_


@dataclass(eq=False, slots=True)
class _Pending:
    kind: str
    bytes: int
    question: Question


@dataclass(eq=False)
class GrowthStacks(Collector):
    """Who made a container grow, for one session. Its result is a part of that of the calls, written before it."""

    name: ClassVar[str] = "memory"
    part: ClassVar[str] = GROWTH
    # The calls are counted all the same.
    unavailable: ClassVar[str] = "MemoryStacksUnavailable"

    names: Names
    # Whose files the stacks lead to.
    owner: Owner = field(default_factory=Owner)
    _start: RawGrowth | None = None
    _now: RawGrowth = field(default_factory=RawGrowth)
    _stacks: dict[Key, Sums] = field(default_factory=dict)
    _pending: deque[_Pending] = field(default_factory=deque)
    _mapped: Mapped = field(default_factory=Mapped)

    def take(self, reported: RawGrowth | None, lost: int, unix_minus_monotonic_ns: int) -> None:  # noqa: ARG002
        """Add calls, and ask for the names of their stacks, while the processes live; the first time is the start."""
        if reported is None:
            return
        self._now = reported
        if self._start is None:  # what was taken until now was for others
            self._start = reported
            return
        mappings = None
        for sample in reported.samples:
            mappings = mappings or self._mapped.reader(sample.mappings)
            self._pending.append(self._asked(sample, mappings))
        self._settle()

    def _asked(self, sample: GrowthSample, mappings: Ask) -> _Pending:
        question = user_stacks.question(self.owner, sample.pid, sample.inner_pid, sample.stack, mappings)
        return _Pending(sample.kind, sample.bytes, question)

    def _settle(self) -> None:
        """Add what has a name by now; what waits too long for one has none."""
        self.names.ask(pending.question for pending in self._pending)
        while self._pending and (self._pending[0].question.done or len(self._pending) > _MOST_PENDING):
            first = self._pending.popleft()
            self._add((first.kind, _frames(first.question)), first.bytes)

    def _add(self, key: Key, bytes_: int) -> None:
        if key in self._stacks or len(self._stacks) < MOST_STACKS:
            self._stacks.setdefault(key, Sums()).add(bytes_)

    def write(self, report: agent_pb2.ContainerReport) -> None:
        """Add the stacks to the view's result, those that added the most."""
        if self._start is None:
            return
        self._settle()
        self.names.wait([pending.question for pending in self._pending])
        self._settle()
        result = memory_pb2.MemoryResult()
        if self.name in report.views:
            report.views[self.name].Unpack(result)
        self._write(result.growth)
        put(report, self.name, result)

    def _write(self, growth: memory_pb2.MemoryGrowth) -> None:
        start = self._start or self._now
        growth.calls, growth.bytes = self._now.calls - start.calls, self._now.bytes - start.bytes
        stacks = dict(self._stacks)
        for pending in self._pending:
            stacks.setdefault((pending.kind, (NOT_NAMED,)), Sums()).add(pending.bytes)
        functions: dict[str, int] = {}
        for (kind, frames), sums in heapq.nlargest(
            MOST_REPORTED, stacks.items(), key=lambda each: (each[1].bytes, each[0])
        ):
            numbers = [functions.setdefault(each, len(functions)) for each in frames]
            growth.stacks.add(kind=kind, functions=numbers, calls=sums.calls, bytes=sums.bytes)
        growth.functions.extend(functions)


def _frames(question: Question) -> tuple[str, ...]:
    if not question.done or question.answer is None:
        return (NOT_NAMED,)
    return user_stacks.words(question.answer, user_stacks.function_word, DEFAULT, MOST_FRAMES) or (UNKNOWN,)
