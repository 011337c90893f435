"""Failures as the wire carries them: when each kind was first and last, and some calls with their arguments. Pure.

Everything that a container controls (paths, names of threads, addresses) is made safe to print by call_arguments.
"""

from __future__ import annotations

import heapq
import platform
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

from kubestrace_agent.syscalls import errno_name, name
from kubestrace_agent.traces.delta import is_wanted
from kubestrace_agent.views.call_arguments import described, names
from kubestrace_agent.views.errors.sources import PART
from kubestrace_agent.views.errors.values import ErrorsWanted
from kubestrace_agent.views.loss import Loss
from kubestrace_agent.views.view import Collector, put, put_lost
from kubestrace_protos.v1.views import errors_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kubestrace_agent.kernel.counters.counts import RawCall
    from kubestrace_agent.syscalls import SyscallKey
    from kubestrace_agent.views.errors.values import RawErrors
    from kubestrace_protos.v1 import agent_pb2

NAME = "errors"
# Different arguments that are held of one kind of failure (up to twice as many, then so many again), and of all of a
# container: more are counted as lost.
_CANDIDATES = 64
_MOST_CANDIDATES = 4000

# A row of the report: as SyscallCounts' name, abi and wait, and ErrnoCount's name.
_Row = tuple[str, str, bool, str]


@dataclass(slots=True)
class _Failure:
    """One kind of failure: Unix times in nanoseconds."""

    first_ns: int = 0
    last_ns: int = 0
    # By their arguments.
    samples: dict[str, errors_pb2.ErrorSample] = field(default_factory=dict)

    def note(self, first_ns: int, last_ns: int) -> None:
        self.first_ns = min(self.first_ns or first_ns, first_ns)
        self.last_ns = max(self.last_ns, last_ns)


@dataclass(eq=False)
class Failures(Collector):
    """The failures of one container for one session, each kind with up to so many samples of different arguments."""

    name: ClassVar[str] = NAME
    part: ClassVar[str] = PART

    samples: int
    # As Selection.keys(): None is everything.
    syscalls: frozenset[SyscallKey] | None
    _since_ns: int = 0
    _loss: Loss = field(default_factory=Loss)
    _candidates: int = 0
    _kinds: dict[_Row, _Failure] = field(default_factory=dict)

    @property
    def wanted(self) -> ErrorsWanted:
        """Times from now on: the first failure is this session's."""
        return ErrorsWanted(self._since_ns)

    @staticmethod
    def union(wanted: Sequence[ErrorsWanted]) -> ErrorsWanted:
        """Since the last beginning: those who began before have read until then."""
        return ErrorsWanted(max(each.since_ns for each in wanted))

    def begin(self, monotonic_ns: int, lost: int) -> None:
        """Take nothing that failed before."""
        self._since_ns = monotonic_ns
        self._loss.begin(lost)

    def take(self, reported: RawErrors | None, lost: int, unix_minus_monotonic_ns: int) -> None:
        """Note the times, and keep calls whose arguments are new."""
        self._loss.now = lost
        for times in reported.times if reported else ():
            if times.last_ns >= self._since_ns and is_wanted(times.key, self.syscalls):
                first = max(times.first_ns, self._since_ns) + unix_minus_monotonic_ns
                self._kind(times.key, times.number).note(first, times.last_ns + unix_minus_monotonic_ns)
        for call in reported.calls if reported else ():
            if call.start_ns + call.length_ns >= self._since_ns and is_wanted(call.key, self.syscalls):
                self._keep(call, unix_minus_monotonic_ns)

    def _kind(self, key: SyscallKey, number: int) -> _Failure:
        row = _row(key, number)
        kind = self._kinds.get(row)
        if kind is None:
            kind = self._kinds[row] = _Failure()
        return kind

    def _keep(self, call: RawCall, unix_minus_monotonic_ns: int) -> None:
        kind, said = self._kind(call.key, -call.result), described(call)
        known = kind.samples.pop(said, None)
        if known is None and len(kind.samples) >= 2 * _CANDIDATES:
            # Many at once: with ever new arguments each would have to be compared with all others.
            for each in heapq.nsmallest(_CANDIDATES, kind.samples, key=lambda each: _order(kind.samples[each])):
                del kind.samples[each]
            self._candidates -= _CANDIDATES
        if known is None and self._candidates >= _MOST_CANDIDATES:
            self._loss.before -= 1
            return
        self._candidates += known is None
        thread, process = names(call)
        kind.samples[said] = errors_pb2.ErrorSample(
            time_unix_nanoseconds=call.start_ns + call.length_ns + unix_minus_monotonic_ns,
            arguments=said,
            tid=call.inner_tid,
            pid=call.inner_pid,
            host_tid=call.tid,
            host_pid=call.pid,
            thread=thread,
            process=process,
            alike=1 + (known.alike if known else 0),
        )

    def write(self, report: agent_pb2.ContainerReport) -> None:
        """Tell of each errno that a report has what is known of it."""
        rows = ((each.name, each.abi, each.wait, errno.name) for each in report.syscalls for errno in each.errnos)
        put(report, NAME, errors_pb2.ErrorsResult(kinds=[self._message(row) for row in rows if row in self._kinds]))
        put_lost(report, "errorSamples", self._loss.own)

    def _message(self, row: _Row) -> errors_pb2.ErrorKind:
        kind = self._kinds[row]
        syscall, abi, wait, errno = row
        return errors_pb2.ErrorKind(
            syscall=syscall,
            abi=abi,
            wait=wait,
            errno=errno,
            first_time_unix_nanoseconds=kind.first_ns,
            last_time_unix_nanoseconds=kind.last_ns,
            samples=_chosen(kind.samples.values(), self.samples),
        )


@lru_cache(maxsize=4096)
def _row(key: SyscallKey, number: int) -> _Row:
    return name(key), "" if key.abi == platform.machine() else key.abi, key.waited, errno_name(number)


def _order(sample: errors_pb2.ErrorSample) -> tuple[int, int]:
    """Arguments that fail again and again are worth more than those of a start, and later ones more than earlier."""
    return sample.alike, sample.time_unix_nanoseconds


def _chosen(samples: Iterable[errors_pb2.ErrorSample], count: int) -> list[errors_pb2.ErrorSample]:
    """Return as many in the order of time: the best one, the last, the first, then the best of the others.

    The best alone may all be of one moment: what a program looks for at its start fails alike each time.
    """
    best = sorted(samples, key=_order, reverse=True)
    if not best:
        return []
    in_time = sorted(best, key=_time)
    # Arguments differ: those that come twice count once.
    spread = {each.arguments: each for each in (best[0], in_time[-1], in_time[0], *best)}
    return sorted(list(spread.values())[:count], key=_time)


def _time(sample: errors_pb2.ErrorSample) -> int:
    return sample.time_unix_nanoseconds
