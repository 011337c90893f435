"""Slow calls as the wire carries them: decoded from what the kernel reported, and the slowest of them kept. Pure.

Everything that a container controls (paths, names of threads, addresses) is made safe to print here.
"""

from __future__ import annotations

import heapq
import itertools
import platform
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from kubestrace_agent.symbols.roots import Owner
from kubestrace_agent.syscalls import errno_name, name
from kubestrace_agent.traces.delta import is_wanted
from kubestrace_agent.views.call_arguments import described, names
from kubestrace_agent.views.loss import Loss
from kubestrace_agent.views.redaction import DEFAULT
from kubestrace_agent.views.slow_calls import stacks
from kubestrace_agent.views.slow_calls.sources import PART
from kubestrace_agent.views.slow_calls.values import Floors
from kubestrace_agent.views.user_stacks import Ask, Mapped
from kubestrace_agent.views.view import Collector, put, put_lost
from kubestrace_protos.v1.views import slow_calls_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kubestrace_agent.symbols.names import Names, Question
    from kubestrace_agent.syscalls import SyscallKey
    from kubestrace_agent.views.redaction import Redaction
    from kubestrace_agent.views.slow_calls.values import SlowCall
    from kubestrace_protos.v1 import agent_pb2

NAME = "slowCalls"
# Linux include/linux/errno.h: not seen by programs, who get EINTR or make the call again.
_RESTARTS = {512: "ERESTARTSYS", 513: "ERESTARTNOINTR", 514: "ERESTARTNOHAND", 516: "ERESTART_RESTARTBLOCK"}
_MAX_ERRNO = 4095


@dataclass(eq=False, slots=True)
class _Held:
    """A call that is kept; what is said of it is made when a report needs it first, as many are replaced before."""

    # None once all has been said of it.
    call: SlowCall | None
    unix_minus_monotonic_ns: int
    stacks: stacks.ReportedStacks | None = None
    message: slow_calls_pb2.SlowCall | None = None
    # On the wire, once nothing of it changes any more.
    packed: bytes | None = None


@dataclass(eq=False)
class Slowest(Collector):
    """The slowest calls of one container for one session: of calls that work and of calls that wait, `limit` each."""

    name: ClassVar[str] = NAME
    part: ClassVar[str] = PART
    redacts: ClassVar[bool] = True

    threshold_ns: int
    limit: int
    # As Selection.keys(): None is everything.
    syscalls: frozenset[SyscallKey] | None
    # Who names the frames of stacks; None where they are not asked for.
    names: Names | None = None
    # Whose files the stacks lead to.
    owner: Owner = field(default_factory=Owner)
    # When it began, CLOCK_MONOTONIC: what ended before is another session's.
    since_ns: int = 0
    # Calls that found no room.
    _loss: Loss = field(default_factory=Loss)
    # Heaps of (length, number, call), the shortest first; the number keeps calls from being compared.
    _kept: tuple[list[_Kept], list[_Kept]] = field(default_factory=lambda: ([], []))
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _mapped: Mapped = field(default_factory=Mapped)

    def begin(self, monotonic_ns: int, lost: int) -> None:
        """Take nothing that ended before."""
        self.since_ns = monotonic_ns
        self._loss.begin(lost)

    def take(self, reported: Iterable[SlowCall] | None, lost: int, unix_minus_monotonic_ns: int) -> None:
        """Keep those that are among the slowest."""
        self._loss.now = lost
        new: list[_Held] = []
        for call in reported or ():
            kept = self._kept[call.waits]
            if call.length_ns < self.threshold_ns or call.start_ns + call.length_ns < self.since_ns:
                continue
            if not is_wanted(call.key, self.syscalls):
                continue
            if len(kept) >= self.limit and call.length_ns <= kept[0][0]:
                continue
            new.append(_Held(call, unix_minus_monotonic_ns))
            entry = call.length_ns, next(self._numbers), new[-1]
            if len(kept) < self.limit:
                heapq.heappush(kept, entry)
            else:
                heapq.heapreplace(kept, entry)
        if self.names is not None:
            self._take_stacks(self.names, new)

    def _take_stacks(self, names: Names, new: Iterable[_Held]) -> None:
        """Ask what the processes of new calls have mapped, while they live; then what they had at an earlier call."""
        readers: dict[int, Ask] = {}
        questions: list[Question] = []
        for held in new:
            raw = held.call.stack if held.call else None
            if held.call is None or raw is None:
                continue
            mappings = readers.setdefault(id(raw.code), self._mapped.reader(raw.code.mappings))
            held.stacks = stacks.shared(self.owner, held.call, raw, mappings)
            questions.append(held.stacks.question)
        names.ask(questions)

    @property
    def lost(self) -> int:
        """Calls that might have been among the slowest, for which there was no room."""
        return self._loss.own

    @property
    def wanted(self) -> Floors:
        """What is still worth telling: nothing that is shorter than what is kept, once that is enough."""
        working, waiting = (kept[0][0] + 1 if len(kept) >= self.limit else self.threshold_ns for kept in self._kept)
        # Where others count calls that are not wanted here, those may be the slowest.
        return Floors(working, waiting, self.limit if self.syscalls is None else 0)

    @staticmethod
    def union(wanted: Sequence[Floors]) -> Floors:
        """What any of some sessions wants reported."""
        most = max(each.most for each in wanted) if all(each.most for each in wanted) else 0
        return Floors(min(each.working_ns for each in wanted), min(each.waiting_ns for each in wanted), most)

    def write(self, report: agent_pb2.ContainerReport) -> None:
        """Put the slowest into a report."""
        put(report, NAME, slow_calls_pb2.SlowCallsResult())
        # Messages one behind the other are one message: what is repeated adds up (the encoding of Protocol Buffers).
        report.views[NAME].value = b"".join(_packed(held, self.redaction) for held in self._shown())
        put_lost(report, "slowCalls", self.lost)

    def calls(self) -> list[slow_calls_pb2.SlowCall]:
        """The slowest: calls that work first, as waiting is what the others are for."""
        return [_said(held, self.redaction) for held in self._shown()]

    def _shown(self) -> list[_Held]:
        ordered = (held for kept in self._kept for *_, held in sorted(kept, key=lambda each: (-each[0], each[1])))
        shown = list(itertools.islice(ordered, self.limit))
        if self.names is not None:
            questions = [held.stacks.question for held in shown if held.stacks]
            self.names.ask(questions)
            self.names.wait(questions)
        return shown


_Kept = tuple[int, int, _Held]


def _packed(held: _Held, redaction: Redaction) -> bytes:
    """Give a result with one call as it is on the wire; the same bytes once nothing of it changes any more."""
    if held.packed is None:
        packed = slow_calls_pb2.SlowCallsResult(calls=[_said(held, redaction)]).SerializeToString()
        if held.stacks is not None:
            return packed
        held.packed = packed
    return held.packed


def _said(held: _Held, redaction: Redaction) -> slow_calls_pb2.SlowCall:
    if held.message is None:
        if held.call is None:
            raise RuntimeError("a call without its message is let go of")
        held.message = message(held.call, held.unix_minus_monotonic_ns, redaction)
    if held.stacks is not None:
        held.message.kernel_stack[:] = held.stacks.kernel
        held.message.user_stack[:] = held.stacks.user(redaction)
        if held.stacks.question.done:
            # What it was made of is much, and holds words of the program's stack.
            held.stacks, held.call = None, None
    return held.message


def message(call: SlowCall, unix_minus_monotonic_ns: int, redaction: Redaction = DEFAULT) -> slow_calls_pb2.SlowCall:
    """One call as the wire carries it."""
    failed = -_MAX_ERRNO <= call.result < 0
    abi = "" if call.key.abi == platform.machine() else call.key.abi
    thread, process = names(call, redaction)
    return slow_calls_pb2.SlowCall(
        name=name(call.key),
        abi=abi,
        wait=call.waits,
        start_time_unix_nanoseconds=call.start_ns + unix_minus_monotonic_ns,
        nanoseconds=call.length_ns,
        result=0 if failed else call.result,
        errno=(_RESTARTS.get(-call.result) or errno_name(-call.result)) if failed else "",
        arguments=described(call, redaction),
        tid=call.inner_tid,
        pid=call.inner_pid,
        host_tid=call.tid,
        host_pid=call.pid,
        thread=thread,
        process=process,
        cpu_nanoseconds=call.on_ns,
        runnable_nanoseconds=call.runnable_ns,
    )
