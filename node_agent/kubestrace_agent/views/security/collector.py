"""What one container's programs did that is of interest, in one session, as the wire carries it. Pure."""

from __future__ import annotations

import platform
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from kubestrace_agent.syscalls import errno_name
from kubestrace_agent.syscalls import name as call_name
from kubestrace_agent.text import safe
from kubestrace_agent.views.security import judging
from kubestrace_agent.views.security.sources import PART
from kubestrace_agent.views.security.values import MatchKey, RawSecurity, SecurityWanted
from kubestrace_agent.views.view import Collector, put, put_lost
from kubestrace_protos.v1.views import security_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kubestrace_agent.kernel.counters.counts import RawCounts
    from kubestrace_agent.views.security.values import RawMatch, RawSecurityExec
    from kubestrace_protos.v1 import agent_pb2

NAME = "security"
# Rows that are reported, those of each kind that were counted most often; the others as one number.
_MOST_MATCHES, _MOST_EXECS = 100, 100
# Kinds of executions that are kept, and PIDs whose origin is known.
_MOST_KINDS, _MOST_PIDS = 1000, 20_000
_MAX_PATH, _MAX_NAME = 512, 64


class Row(NamedTuple):
    """What calls have in common that are reported as one row."""

    kind: str
    syscall: str
    abi: str
    program: str
    object: str
    pattern: str
    access: str
    errno: str
    outside: bool
    runtime: bool


class Kind(NamedTuple):
    """What executions have in common that are reported as one row."""

    judged: judging.JudgedExec
    argument: bytes
    parent: bytes
    outside: bool
    runtime: bool


@dataclass
class Origins:
    """Which processes came from outside of the container, with those that they have started."""

    # Whether the container is known from its first process on: that one has its parent outside, too.
    from_start: bool = False
    _first: int | None = None
    _known: dict[int, bool] = field(default_factory=dict)

    def take(self, executed: RawSecurityExec) -> bool:
        """Know a process that executes a program; returns whether it came from outside."""
        entered = executed.entered and not executed.outside
        if entered and self.from_start and self._first is None:
            self._first = executed.pid
        outside = executed.outside or self._known.get(executed.parent, False) or self._known.get(executed.pid, False)
        self._known[executed.pid] = outside
        while len(self._known) > _MOST_PIDS:
            del self._known[next(iter(self._known))]
        return outside or (entered and executed.pid != self._first)

    def is_outside(self, pid: int) -> bool:
        """Whether a process is known to be from outside."""
        return self._known.get(pid, False)


@dataclass(eq=False)
class Seen(Collector):
    """What was seen of one container for one session."""

    name: ClassVar[str] = NAME
    part: ClassVar[str] = PART

    own_patterns: frozenset[str] = frozenset()
    _begin_ns: int = 0
    _start: Mapping[MatchKey, int] | None = None
    _now: RawSecurity = field(default_factory=RawSecurity)
    _judged: dict[MatchKey, judging.Judged | None] = field(default_factory=dict)
    _outside: dict[MatchKey, bool] = field(default_factory=dict)
    _origins: Origins = field(default_factory=Origins)
    _execs: Counter[Kind] = field(default_factory=Counter)
    _execs_seen: int = 0
    _other_execs: int = 0
    _lost_before: int = 0
    _lost: int = 0

    def __post_init__(self) -> None:
        self._patterns = judging.Patterns.of(self.own_patterns)

    @property
    def wanted(self) -> SecurityWanted:
        """The session's own patterns."""
        return SecurityWanted(self.own_patterns)

    @staticmethod
    def union(wanted: Sequence[SecurityWanted]) -> SecurityWanted:
        """Return the patterns of all."""
        return SecurityWanted(frozenset().union(*(each.patterns for each in wanted)))

    def begin(self, monotonic_ns: int, lost: int) -> None:
        """Begin with what is reported next."""
        self._begin_ns = monotonic_ns
        self._lost_before = self._lost = lost

    def begin_counts(self, start: RawCounts | None, begin_ns: int) -> None:  # noqa: ARG002 - the start alone says it
        """Take all that is reported where nothing was counted before: some calls may have been made already."""
        if start is None:
            self._start = {}
            self._begin_ns = 0
            self._origins.from_start = True

    def take(self, reported: RawSecurity | None, lost: int, unix_minus_monotonic_ns: int) -> None:  # noqa: ARG002
        """Take the newest reading."""
        self._lost = lost
        if reported is None:
            return
        for each in reported.execs:
            self._take_exec(each)
        for key, match in reported.told.items():
            if key not in self._outside:
                self._outside[key] = match.outside or self._origins.is_outside(match.pid)
        self._start = dict(reported.counts) if self._start is None else self._start
        self._now = reported

    def _take_exec(self, raw: RawSecurityExec) -> None:
        outside = self._origins.take(raw)
        if raw.time_ns < self._begin_ns:
            return
        self._execs_seen += 1
        judged = judging.exec_judged(raw)
        if not judged.signs:
            return
        runtime = judging.is_runtime(judged.program, raw.parent_name, raw.inner_pid, entered=outside or raw.entered)
        kind = Kind(judged, raw.argument, raw.parent_name, outside, runtime)
        if kind in self._execs or len(self._execs) < _MOST_KINDS:
            self._execs[kind] += 1
        else:
            self._other_execs += 1

    def write(self, report: agent_pb2.ContainerReport) -> None:
        """Tell what was seen since the start, and what was lost."""
        if self._start is None:
            return
        rows = self._rows()
        kept = _chosen(rows, _MOST_MATCHES)
        execs = self._execs.most_common(_MOST_EXECS)
        result = security_pb2.SecurityResult(
            matches=[_match(row, *rows[row]) for row in kept],
            execs=[_exec(kind, count) for kind, count in execs],
            other_matches=sum(count for row, (count, _, _) in rows.items() if row not in kept),
            other_execs=self._other_execs + self._execs.total() - sum(count for _, count in execs),
            execs_seen=self._execs_seen,
        )
        put(report, NAME, result)
        put_lost(report, NAME, self._lost - self._lost_before + self._now.untold)

    def _rows(self) -> dict[Row, tuple[int, bytes, bytes]]:
        """How often each, with the name of the process and the path as it was named, of the first of them."""
        found: dict[Row, tuple[int, bytes, bytes]] = {}
        start = self._start or {}
        for key, now in self._now.counts.items():
            match, added = self._now.told.get(key), now - start.get(key, 0)
            if match is None or added <= 0 or (judged := self._judge(key, match)) is None:
                continue
            row = self._row(key, match, judged)
            count, process, named = found.get(row, (0, match.process, judged.named))
            found[row] = count + added, process, named
        return found

    def _judge(self, key: MatchKey, match: RawMatch) -> judging.Judged | None:
        if key not in self._judged:
            self._judged[key] = judging.judged(match, self._patterns)
        return self._judged[key]

    def _row(self, key: MatchKey, match: RawMatch, judged: judging.Judged) -> Row:
        outside, error = self._outside.get(key, False), judging.error_of(match)
        return Row(
            kind=judged.kind,
            syscall=call_name(match.call),
            abi="" if match.call.abi == platform.machine() else match.call.abi,
            program=safe(match.program, _MAX_NAME),
            object=safe(judged.object, _MAX_PATH),
            pattern=judged.pattern,
            access=judged.access,
            errno=errno_name(error) if error else "",
            outside=outside,
            runtime=judging.is_runtime(match.program, match.process, match.inner_pid, entered=match.entered),
        )


def _chosen(rows: Mapping[Row, tuple[int, bytes, bytes]], most: int) -> set[Row]:
    """The most frequent of each kind: peers may be many, and one write to a shadow file is one row."""
    by_kind: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda each: (bool(each.errno), -rows[each][0])):
        by_kind.setdefault(row.kind, []).append(row)
    return {row for of_kind in by_kind.values() for row in of_kind[:most]}


def _match(row: Row, count: int, process: bytes, named: bytes) -> security_pb2.SecurityMatch:
    return security_pb2.SecurityMatch(
        kind=row.kind,
        syscall=row.syscall,
        abi=row.abi,
        program=row.program,
        process=safe(process, _MAX_NAME),
        object=row.object,
        named=safe(named, _MAX_PATH),
        pattern=row.pattern,
        access=row.access,
        errno=row.errno,
        count=count,
        from_outside=row.outside,
        runtime=row.runtime,
    )


def _exec(kind: Kind, count: int) -> security_pb2.SecurityExec:
    judged = kind.judged
    return security_pb2.SecurityExec(
        path=safe(judged.path, _MAX_PATH),
        program=safe(judged.program, _MAX_NAME),
        argument=safe(kind.argument, _MAX_NAME),
        place=judged.place,
        signs=judged.signs,
        shell=judged.shell,
        interactive=judged.interactive,
        parent=safe(kind.parent, _MAX_NAME),
        peer=judged.peer,
        rights=judged.rights,
        count=count,
        from_outside=kind.outside,
        runtime=kind.runtime,
    )
