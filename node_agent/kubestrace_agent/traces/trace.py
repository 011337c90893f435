"""One session's trace on this node: what it counts, since when, and its reports. Used by traces."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kubestrace_agent.traces import reports
from kubestrace_protos.v1 import agent_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kubestrace_agent.syscalls import Wanted
    from kubestrace_agent.traces.shared_counters import Counters
    from kubestrace_agent.views.timeline.collector import Grid


@dataclass(frozen=True)
class Node:
    """Who reports. `cannot_trace` is (reason, message) when no trace can run here."""

    name: str
    agent_id: str
    cannot_trace: tuple[str, str] | None = None


@dataclass(eq=False)
class Trace:
    """One session's trace on this node; `final` is set once it has ended, and is then all that is left of it."""

    node: Node
    # Shared by all traces of this agent: numbers their reports.
    sequence: Iterator[int]
    session_uid: str
    session_name: str
    counters: Counters
    wanted: Wanted
    # What is collected beside the counts.
    views: agent_pb2.Views
    lease_seconds: int
    start_ns: int
    # Of the session, which other nodes may have counted for before.
    session_start_ns: int
    start_cpu_ns: int = field(default_factory=time.process_time_ns)
    start_skipped_calls: int = 0
    start_monotonic: float = field(default_factory=time.monotonic)
    # Held while containers change or are read, so that the end comes before or after, never between.
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    containers: dict[str, reports.TracedContainer] = field(default_factory=dict)
    watchers: int = 0
    last_call: float = field(default_factory=time.monotonic)
    deadline: asyncio.TimerHandle | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    final: agent_pb2.Report | None = None
    # When that was read which the last report holds, Unix time.
    reported_ns: int = 0
    # Nothing more is counted: its final report is being made.
    frozen: bool = False
    # The buckets of a timeline, where one is asked for.
    grid: Grid | None = None

    def lease_is_over(self) -> bool:
        """Tell whether nobody has watched or called for too long."""
        return not self.watchers and time.monotonic() - self.last_call > self.lease_seconds

    def refresh(self) -> None:
        """Read the counters if that was not done since the last report, or lately."""
        self.counters.refresh(fresh=self.counters.read_ns <= self.reported_ns)

    def report(self, reason: agent_pb2.EndReason, clock_ns: Callable[[], int]) -> agent_pb2.Report:
        """Build a report of what was read last; the final one if there is a reason to end.

        Belongs to the thread that owns the counters.
        """
        # At once: the event loop may add containers meanwhile.
        containers = list(self.containers.values())
        counting = any(each.counter and not each.counter.ended_ns for each in containers)
        self.reported_ns = self.counters.read_ns
        report = self._header(reason, max(self.reported_ns, self.start_ns) if counting else clock_ns())
        report.containers.extend(reports.container_report(each) for each in containers)
        report.trust.CopyFrom(
            reports.total_trust(
                (each.trust for each in report.containers),
                agent_cpu_millicores=self._agent_cpu_millicores(),
                skipped_calls=self.counters.skipped_calls - self.start_skipped_calls,
            )
        )
        return report

    def freeze(self) -> None:
        """Keep what was read last for the final report; called when the session has let go of its counters."""
        self.frozen = True
        for traced in self.containers.values():
            traced.freeze()

    def note_time(self) -> None:
        """Put the newest snapshot into the timeline. Belongs to the thread of the counters, like report."""
        for traced in list(self.containers.values()):
            traced.note_time()

    def first_report(self) -> agent_pb2.Report:
        """Give what was counted when the trace began: nothing."""
        report = self._header(agent_pb2.END_REASON_UNSPECIFIED, self.start_ns)
        report.containers.extend(agent_pb2.ContainerReport(state=each.state) for each in self.containers.values())
        return report

    def empty_report(self, reason: agent_pb2.EndReason, time_ns: int, message: str) -> agent_pb2.Report:
        """Give a final report that holds nothing but the reason why."""
        report = self._header(reason, time_ns)
        report.trust.gaps.add(
            node=self.node.name,
            reason="ReportFailed",
            message=message,
            start_time_unix_nanoseconds=self.start_ns,
            end_time_unix_nanoseconds=time_ns,
        )
        return report

    def _header(self, reason: agent_pb2.EndReason, time_ns: int) -> agent_pb2.Report:
        return agent_pb2.Report(
            session_uid=self.session_uid,
            node=self.node.name,
            agent_id=self.node.agent_id,
            sequence=next(self.sequence),
            final=reason != agent_pb2.END_REASON_UNSPECIFIED,
            end_reason=reason,
            start_time_unix_nanoseconds=self.start_ns,
            time_unix_nanoseconds=time_ns,
        )

    def _agent_cpu_millicores(self) -> int:
        """Give this process's use of CPU since the trace began, in thousandths of one core, rounded up."""
        spent_ns = time.process_time_ns() - self.start_cpu_ns
        return -(-spent_ns // max(int((time.monotonic() - self.start_monotonic) * 1e6), 1_000_000))
