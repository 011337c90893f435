"""Failures as the wire carries them: when each kind was first and last, and some calls with their arguments. Pure.

Everything that a container controls (paths, names of threads, addresses) is made safe to print by call_arguments.
"""

from __future__ import annotations

import heapq
import platform
import re
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

from kubestrace_agent.syscalls import errno_name, name
from kubestrace_agent.traces.delta import is_wanted
from kubestrace_agent.views.call_arguments import described, names
from kubestrace_agent.views.errors import harmless
from kubestrace_agent.views.errors.sources import PART
from kubestrace_agent.views.errors.values import ErrorsWanted
from kubestrace_agent.views.loss import Loss
from kubestrace_agent.views.view import Collector, put, put_lost
from kubestrace_protos.v1.views import errors_optional_files, errors_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from kubestrace_agent.kernel.counters.counts import RawCall
    from kubestrace_agent.syscalls import SyscallKey
    from kubestrace_agent.views.errors.values import ErrorTimes, RawErrors
    from kubestrace_protos.v1 import agent_pb2

NAME = "errors"
# Different arguments that are held of one kind of failure (up to twice as many, then so many again), and of all of a
# container: more are counted as lost.
_CANDIDATES = 64
_MOST_CANDIDATES = 4000

# In names that differ by a counter, a date, a hash or a version.
_NUMBERS = re.compile(r"[0-9a-f]*[0-9][0-9a-f]*")

# A row of the report: as SyscallCounts' name, abi and wait, and ErrnoCount's name.
_Row = tuple[str, str, bool, str]


@dataclass(slots=True)
class _Failure:
    """One kind of failure: Unix times in nanoseconds."""

    first_ns: int = 0
    last_ns: int = 0
    # Those that the kernel's program knows to do no harm; what it had counted for each key, since which first failure.
    expected: int = 0
    counted: dict[SyscallKey, tuple[int, int]] = field(default_factory=dict)
    # By their arguments.
    samples: dict[str, errors_pb2.ErrorSample] = field(default_factory=dict)

    def note(self, first_ns: int, last_ns: int) -> None:
        self.first_ns = min(self.first_ns or first_ns, first_ns)
        self.last_ns = max(self.last_ns, last_ns)

    def expect(self, times: ErrorTimes) -> None:
        """The kernel begins anew with a first failure when another session does."""
        since, before = self.counted.get(times.key, (0, 0))
        self.expected += times.expected - (before if since == times.first_ns else 0)
        self.counted[times.key] = times.first_ns, times.expected


@dataclass(eq=False)
class Failures(Collector):
    """The failures of one container for one session, each kind with up to so many samples of different arguments."""

    name: ClassVar[str] = NAME
    part: ClassVar[str] = PART
    redacts: ClassVar[bool] = True

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
                kind = self._kind(times.key, times.number)
                kind.note(first, times.last_ns + unix_minus_monotonic_ns)
                kind.expect(times)
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
        kind, said = self._kind(call.key, -call.result), described(call, self.redaction)
        known = kind.samples.pop(said, None)
        if known is None and len(kind.samples) >= 2 * _CANDIDATES:
            # Many at once: with ever new arguments each would have to be compared with all others.
            for each in _least(kind.samples):
                del kind.samples[each]
            self._candidates -= _CANDIDATES
        if known is None and self._candidates >= _MOST_CANDIDATES:
            self._loss.before -= 1
            return
        self._candidates += known is None
        thread, process = names(call, self.redaction)
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
        rows = [
            ((each.name, each.abi, each.wait, errno.name), errno.count)
            for each in report.syscalls
            for errno in each.errnos
        ]
        kinds = [self._message(row, count) for row, count in rows if row in self._kinds]
        put(report, NAME, errors_pb2.ErrorsResult(kinds=kinds))
        put_lost(report, "errorSamples", self._loss.own)

    def _message(self, row: _Row, count: int) -> errors_pb2.ErrorKind:
        kind = self._kinds[row]
        syscall, abi, wait, errno = row
        always = harmless.by_name(syscall, errno, wait=wait)
        expected = count if always else min(kind.expected, count)
        return errors_pb2.ErrorKind(
            syscall=syscall,
            abi=abi,
            wait=wait,
            errno=errno,
            first_time_unix_nanoseconds=kind.first_ns,
            last_time_unix_nanoseconds=kind.last_ns,
            samples=_chosen(kind.samples.values(), self.samples),
            expected=expected,
            harmless=(always or harmless.as_seen(errno)) if expected else errors_pb2.HARMLESS_UNSPECIFIED,
        )


@lru_cache(maxsize=4096)
def _row(key: SyscallKey, number: int) -> _Row:
    return name(key), "" if key.abi == platform.machine() else key.abi, key.waited, errno_name(number)


def _pattern(arguments: str) -> str:
    """Return what arguments have in common that differ in numbers: chunk-1.js, chunk-2.js, ... say the same."""
    return _NUMBERS.sub("#", arguments)


def _least(samples: Mapping[str, errors_pb2.ErrorSample]) -> list[str]:
    """Return those to forget: the last one of a pattern says more than one of many, however rare it is."""
    patterns = Counter(map(_pattern, samples))

    def worth(said: str) -> tuple[bool, int, int]:
        return patterns[_pattern(said)] == 1, *_order(samples[said])

    return heapq.nsmallest(_CANDIDATES, samples, key=worth)


def _order(sample: errors_pb2.ErrorSample) -> tuple[int, int]:
    """Arguments that fail again and again are worth more than those of a start, and later ones more than earlier."""
    return sample.alike, sample.time_unix_nanoseconds


def _chosen(samples: Iterable[errors_pb2.ErrorSample], count: int) -> list[errors_pb2.ErrorSample]:
    """Return as many in the order of time: the best one, the last, the first, then the best of the others.

    The best alone may all be of one moment: what a program looks for at its start fails alike each time. And of those
    that differ in numbers only, one comes before all others: a storm of one folder must not hide the single file.
    Files that programs do without come after all others.
    """
    best = sorted(samples, key=_order, reverse=True)
    telling = [each for each in best if not errors_optional_files.names_one(each.arguments)]
    # Arguments differ: those that come twice count once.
    spread = {each.arguments: each for some in (telling, best) for each in _ends_first(some)}
    of_patterns = {_pattern(each.arguments): each for each in reversed(spread.values())}
    firsts = [each for each in spread.values() if of_patterns[_pattern(each.arguments)] is each]
    rest = [each for each in spread.values() if of_patterns[_pattern(each.arguments)] is not each]
    return sorted([*firsts, *rest][:count], key=_time)


def _ends_first(best: Sequence[errors_pb2.ErrorSample]) -> list[errors_pb2.ErrorSample]:
    return [best[0], max(best, key=_time), min(best, key=_time), *best] if best else []


def _time(sample: errors_pb2.ErrorSample) -> int:
    return sample.time_unix_nanoseconds
