"""Callers as the wire has them: chosen calls by system call, errno and stack, added up once they are named. Pure."""

from __future__ import annotations

import heapq
import platform
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from kubestrace_agent.symbols.roots import Owner
from kubestrace_agent.syscalls import errno_name, name
from kubestrace_agent.traces.delta import is_wanted
from kubestrace_agent.views import user_stacks
from kubestrace_agent.views.callers.sources import PART
from kubestrace_agent.views.loss import Loss
from kubestrace_agent.views.user_stacks import UNKNOWN, Mapped
from kubestrace_agent.views.view import Collector, put, put_lost
from kubestrace_protos.v1.views import callers_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kubestrace_agent.symbols.names import Names, Question
    from kubestrace_agent.syscalls import SyscallKey
    from kubestrace_agent.views.callers.values import Sample
    from kubestrace_agent.views.redaction import Redaction
    from kubestrace_protos.v1 import agent_pb2

NAME = "callers"
MOST_FRAMES = 32
# Stacks that are told apart, and that a report has: all others are in their row's sums alone.
MOST_STACKS, MOST_REPORTED = 2048, 128
MOST_ROWS = 512
# Stacks that wait for their names.
_MOST_PENDING = 4096
NOT_NAMED = "[not named in time]"
REPLACED = "[the program that called was replaced]"
_EXECS = frozenset({"execve", "execveat"})

# System call, ABI and errno.
Row = tuple[str, str, str]
Frames = tuple[str, ...]


@dataclass(slots=True)
class Sums:
    """Calls that were chosen; how many calls they stand for; and the variance of that number."""

    samples: int = 0
    calls: int = 0
    variance: int = 0

    def add(self, weight: int) -> None:
        """Add one that stands for so many: of calls that are all chosen nothing is left to chance."""
        self.samples += 1
        self.calls += weight
        self.variance += weight * (weight - 1)

    def message(self) -> callers_pb2.CallerSums:
        """As the wire carries them."""
        return callers_pb2.CallerSums(samples=self.samples, calls=self.calls, variance=self.variance)


@dataclass(eq=False, slots=True)
class _Pending:
    row: Row
    weight: int
    question: Question


@dataclass(eq=False)
class CallStacks(Collector):
    """Who makes a container's calls, for one session."""

    name: ClassVar[str] = NAME
    part: ClassVar[str] = PART
    redacts: ClassVar[bool] = True

    per_second: int
    by_errno: bool
    # As Selection.keys(): None is everything.
    syscalls: frozenset[SyscallKey] | None
    names: Names
    # Whose files the stacks lead to.
    owner: Owner = field(default_factory=Owner)
    _loss: Loss = field(default_factory=Loss)
    _rows: dict[Row, Sums] = field(default_factory=dict)
    _stacks: dict[tuple[Row, Frames], Sums] = field(default_factory=dict)
    _pending: deque[_Pending] = field(default_factory=deque)
    _mapped: Mapped = field(default_factory=Mapped)
    # Calls of rows beyond the bound.
    _no_row: int = 0

    @property
    def wanted(self) -> int:
        """Stacks a second."""
        return self.per_second

    @staticmethod
    def union(wanted: Sequence[int]) -> int:
        """As many as any session asks for."""
        return max(wanted)

    def begin(self, monotonic_ns: int, lost: int) -> None:  # noqa: ARG002 - as Collector has it
        """Count from now on."""
        self._loss.begin(lost)

    def take(self, reported: Iterable[Sample] | None, lost: int, unix_minus_monotonic_ns: int) -> None:  # noqa: ARG002
        """Add calls, and ask for the names of their stacks, while the processes live."""
        self._loss.now = lost
        mappings = None
        for sample in reported or ():
            if not is_wanted(sample.key, self.syscalls):
                continue
            row = self._row_of(sample)
            if row not in self._rows and len(self._rows) >= MOST_ROWS:
                self._no_row += 1
                continue
            self._rows.setdefault(row, Sums()).add(sample.weight)
            if row[0] in _EXECS and not sample.errno:
                self._add(row, (REPLACED,), sample.weight)
                continue
            mappings = mappings or self._mapped.reader(sample.mappings)
            question = user_stacks.question(self.owner, sample.pid, sample.inner_pid, sample.stack, mappings)
            self._pending.append(_Pending(row, sample.weight, question))
        self._settle()

    def _row_of(self, sample: Sample) -> Row:
        abi = "" if sample.key.abi == platform.machine() else sample.key.abi
        errno = errno_name(sample.errno) if self.by_errno and sample.errno else ""
        return name(sample.key), abi, errno

    def _settle(self) -> None:
        """Add what has a name by now; what waits too long for one has none."""
        self.names.ask(pending.question for pending in self._pending)
        while self._pending and (self._pending[0].question.done or len(self._pending) > _MOST_PENDING):
            first = self._pending.popleft()
            self._add(first.row, _frames(first.question, self.redaction), first.weight)

    def _add(self, row: Row, frames: Frames, weight: int) -> None:
        key = row, frames
        if key in self._stacks or len(self._stacks) < MOST_STACKS:
            self._stacks.setdefault(key, Sums()).add(weight)

    def write(self, report: agent_pb2.ContainerReport) -> None:
        """Put the stacks into a report, those that make the most calls."""
        self._settle()
        self.names.wait([pending.question for pending in self._pending])
        self._settle()
        put(report, NAME, self._result())
        put_lost(report, NAME, self._loss.own + self._no_row)

    def _result(self) -> callers_pb2.CallersResult:
        most = heapq.nlargest(MOST_REPORTED, self._stacks.items(), key=lambda item: (item[1].calls, item[0]))
        functions: dict[str, int] = {}
        result = callers_pb2.CallersResult()
        rows: dict[Row, callers_pb2.CallerRow] = {}
        for (called, abi, errno), sums in self._rows.items():
            rows[called, abi, errno] = result.rows.add(name=called, abi=abi, errno=errno, sums=sums.message())
        for (row, frames), sums in most:
            numbers = [functions.setdefault(each, len(functions)) for each in frames]
            rows[row].stacks.add(functions=numbers, sums=sums.message())
        for row, unnamed in self._unnamed().items():
            numbers = [functions.setdefault(NOT_NAMED, len(functions))]
            rows[row].stacks.add(functions=numbers, sums=unnamed.message())
        result.functions.extend(functions)
        return result

    def _unnamed(self) -> dict[Row, Sums]:
        found: dict[Row, Sums] = {}
        for pending in self._pending:
            found.setdefault(pending.row, Sums()).add(pending.weight)
        return found


def _frames(question: Question, redaction: Redaction) -> Frames:
    if not question.done or question.answer is None:
        return (NOT_NAMED,)
    return user_stacks.words(question.answer, user_stacks.function_word, redaction, MOST_FRAMES) or (UNKNOWN,)
