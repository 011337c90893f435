"""What sessions share that asked for the same of one container at the same time. Used by acquiring and reports.

Ten users who trace one workload at once then cost little more than one: what was read is worked out once for them all.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kubestrace_agent.traces.delta import Since
from kubestrace_agent.traces.unreturned import Unreturned
from kubestrace_agent.views import redacted_messages
from kubestrace_agent.views.redaction import DEFAULT
from kubestrace_protos.v1 import agent_pb2

if TYPE_CHECKING:
    from kubestrace_agent.kernel.counters.counts import RawCounts
    from kubestrace_agent.syscalls import Wanted
    from kubestrace_agent.traces.counter import Counter
    from kubestrace_agent.views.redaction import Redaction
    from kubestrace_agent.views.view import Collector


@dataclass(eq=False)
class Share:
    """What some sessions collect of one container, from the same start; belongs to the thread that owns the tracer."""

    wanted: Wanted
    collectors: list[Collector]
    # Of calls that have not returned, report files and peers too.
    paths: bool = False
    # What they do not show.
    redaction: Redaction = DEFAULT
    users: set[str] = field(default_factory=set)
    # Collectors whose part of a view cannot be had, and why: the counts are as good as without.
    missing: list[tuple[Collector, Exception]] = field(default_factory=list)
    # From which position on it needs calls in flight at attach.
    attach_end: int = 0
    _since: Since | None = None
    _unreturned: Unreturned | None = None
    # What was made of the last reading, and which that was: number of the snapshot, and of the reading of views.
    _made: tuple[tuple[int, int], agent_pb2.ContainerReport] | None = None

    def begin(self, start: RawCounts | None) -> None:
        """Count what comes after `start`; None: nothing was counted before."""
        self.attach_end = start.attach_end if start else 0
        self._since = Since(start, wanted=self.wanted, architecture=platform.machine())
        self._unreturned = Unreturned(start, wanted=self.wanted, paths=self.paths, redaction=self.redaction)

    def calls(self, counter: Counter) -> int:
        """Give the number of calls in what was read last, and make no report for that."""
        if counter.counts is None or self._since is None:
            return 0
        return sum(each.calls for each in self._since.to(counter.counts).syscalls)

    def report(self, counter: Counter) -> agent_pb2.ContainerReport:
        """Give what was read last, without what each session has of its own; not to be changed."""
        reading = counter.counts.epoch if counter.counts else -1, counter.reads
        if self._made is None or self._made[0] != reading:
            self._made = reading, self._make(counter.counts)
        return self._made[1]

    def _make(self, counts: RawCounts | None) -> agent_pb2.ContainerReport:
        report = agent_pb2.ContainerReport()
        if counts is not None and self._since is not None and self._unreturned is not None:
            counted = self._since.to(counts)
            report.syscalls.extend(counted.syscalls)
            report.trust.CopyFrom(counted.trust)
            report.unreturned.extend(self._unreturned.calls(counts))
            for user in report.trust.ring_users:
                user.process = self.redaction.text(user.process.encode()).decode()
        for collector in self.collectors:
            redacted_messages.write(collector, report)
        return report
