"""What one session counts on this node, since when, and its reports. Used by trace, and by local mode alone.

Everything here belongs to the thread that owns the counters.
"""

from __future__ import annotations

import platform
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kubestrace_agent.traces import delta, reports
from kubestrace_agent.traces.unreturned import Unreturned
from kubestrace_protos.v1 import agent_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kubestrace_agent.symbols.names import Names
    from kubestrace_agent.syscalls import Wanted
    from kubestrace_agent.traces.shared_counters import Counters, Place
    from kubestrace_agent.views.registry import ViewRequests
    from kubestrace_agent.views.view import Collector

    Missing = list[tuple[Collector, Exception]]


@dataclass(frozen=True)
class Node:
    """Who reports. `cannot_trace` is (reason, message) when no trace can run here."""

    name: str
    agent_id: str
    cannot_trace: tuple[str, str] | None = None


@dataclass(eq=False, kw_only=True)
class Session:
    """One session on this node."""

    node: Node
    # Shared by all of this agent: numbers their reports.
    sequence: Iterator[int]
    session_uid: str
    counters: Counters
    wanted: Wanted
    # What is collected beside the counts.
    views: ViewRequests
    start_ns: int
    # Paths and peers behind the descriptors of unreturned calls may be shown.
    shows_paths: bool = False
    start_cpu_ns: int = field(default_factory=time.process_time_ns)
    start_skipped_calls: int = 0
    start_monotonic: float = field(default_factory=time.monotonic)
    containers: dict[str, reports.TracedContainer] = field(default_factory=dict)

    def count(
        self, place: Place, state: agent_pb2.ContainerState, names: Names, clock_ns: Callable[[], int]
    ) -> tuple[reports.TracedContainer, Missing]:
        """Count a container from now on; also which collectors cannot be had, and why.

        `state` gets its start. Raises what Counters.acquire does.
        """
        collectors = self.views.collectors(self.wanted, names)
        acquired = self.counters.acquire(place, self.session_uid, self.wanted, collectors)
        state.start_time_unix_nanoseconds = clock_ns()
        missing = [collector for collector, _ in acquired.missing]
        traced = reports.TracedContainer(
            state,
            acquired.counter,
            delta.Since(acquired.start, wanted=self.wanted, architecture=platform.machine()),
            collectors=[each for each in collectors if each not in missing],
            unreturned=Unreturned(acquired.start, wanted=self.wanted, paths=self.shows_paths),
        )
        return traced, acquired.missing

    def report(self, reason: agent_pb2.EndReason, clock_ns: Callable[[], int]) -> agent_pb2.Report:
        """Build a report: the final one, after which nothing is counted, if there is a reason to end."""
        final = reason != agent_pb2.END_REASON_UNSPECIFIED
        try:
            if final:
                self.counters.refresh_for_the_last_time(self.session_uid)
            else:
                self.counters.refresh()
            report = self._header(reason, clock_ns())
            report.containers.extend(reports.container_report(each) for each in self.containers.values())
        finally:
            if final:
                self.counters.release_all([each.counter for each in self.containers.values()], self.session_uid)
        report.trust.CopyFrom(
            reports.total_trust(
                (each.trust for each in report.containers),
                agent_cpu_millicores=self._agent_cpu_millicores(),
                skipped_calls=self.counters.skipped_calls - self.start_skipped_calls,
            )
        )
        return report

    def note_counts(self, moment_ns: int) -> None:
        """Show the collectors a snapshot that was taken after a moment (CLOCK_MONOTONIC)."""
        self.counters.refresh_since(moment_ns)
        for traced in self.containers.values():
            traced.note_counts()

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
