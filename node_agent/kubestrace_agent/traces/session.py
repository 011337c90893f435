"""What one session counts on this node, since when, and its reports. Used by trace, and by local mode alone.

Everything here belongs to the thread that owns the counters.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kubestrace_agent.traces import reports
from kubestrace_agent.traces.shared_counters import Asked
from kubestrace_protos.v1 import agent_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from kubestrace_agent.symbols.names import Names
    from kubestrace_agent.symbols.roots import Owner
    from kubestrace_agent.syscalls import Wanted
    from kubestrace_agent.traces.counter import Counter, Place
    from kubestrace_agent.traces.pod_counters import PodCounters
    from kubestrace_agent.traces.shared_counters import Acquired, Counters
    from kubestrace_agent.views.registry import ViewRequests


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
    # Where containers of pods are counted from their first call.
    pods: PodCounters | None = None
    # What concerns the whole session.
    gaps: list[agent_pb2.Gap] = field(default_factory=list)
    # Paths and peers behind the descriptors of unreturned calls may be shown.
    shows_paths: bool = False
    start_cpu_ns: int = field(default_factory=time.process_time_ns)
    start_skipped_calls: int = 0
    start_walk_failures: int = 0
    start_monotonic: float = field(default_factory=time.monotonic)
    containers: dict[str, reports.TracedContainer] = field(default_factory=dict)
    # When that was read which the last report holds, Unix time.
    reported_ns: int = 0
    # Since when nothing more is counted, as its final report is being made (CLOCK_MONOTONIC); 0: it is counted.
    frozen_ns: int = 0

    def asks(self, place: Place, names: Names, owner: Owner) -> Asked:
        """Give what it asks of a container; `names` names the functions of stacks, by the files of `owner`."""
        return Asked(
            place,
            self.session_uid,
            self.wanted,
            lambda: self.views.collectors(self.wanted, names, owner),
            self.views.shared_key,
            paths=self.shows_paths,
            redaction=self.views.redaction,
        )

    def counted(self, state: agent_pb2.ContainerState, acquired: Acquired, start_ns: int) -> reports.TracedContainer:
        """Give a container that is counted from now on; `state` gets its start."""
        state.start_time_unix_nanoseconds = start_ns
        own = self.views.own_collectors(self.wanted)
        place = acquired.counter.place
        for collector in own:
            collector.begin_cgroup(place.own_cgroup, new=place.is_new and acquired.start is None)
            collector.begin_counts(acquired.start, acquired.begin_ns)
        return reports.TracedContainer(state, acquired.counter, acquired.share, own)

    def refresh(self) -> None:
        """Read the counters if that was not done since the last report, or lately."""
        self.counters.refresh(fresh=self.counters.read_ns <= self.reported_ns)

    def report(self, reason: agent_pb2.EndReason, clock_ns: Callable[[], int]) -> agent_pb2.Report:
        """Build a report of what was read last; the final one if there is a reason to end."""
        # At once: the event loop may add containers meanwhile.
        containers = list(self.containers.values())
        counting = any(each.counter and not each.counter.ended_ns for each in containers)
        self.reported_ns = self.counters.read_ns
        report = self._header(reason, max(self.reported_ns, self.start_ns) if counting else clock_ns())
        report.containers.extend(reports.container_report(each, self.node.name) for each in containers)
        report.trust.CopyFrom(
            reports.total_trust(
                (each.trust for each in report.containers),
                agent_cpu_millicores=self._agent_cpu_millicores(),
                skipped_calls=self.counters.skipped_calls - self.start_skipped_calls,
            )
        )
        report.trust.gaps.extend(self.gaps)
        failures = self.counters.walk_failures
        if unread := failures.count - self.start_walk_failures:
            report.trust.gaps.append(reports.tasks_not_read(self.node.name, unread, failures.why, self.start_ns))
        if self.pods is not None:
            report.trust.runtime_calls = self.pods.runtime_calls(self.session_uid)
            if unmarked := self.pods.unmarked(self.session_uid):
                report.trust.gaps.append(reports.unmarked(self.node.name, unmarked, self.start_ns))
        return report

    def freeze(self) -> None:
        """Keep what was read last for the final report; called when the session has let go of its counters."""
        self.frozen_ns = time.monotonic_ns()
        for traced in self.containers.values():
            traced.freeze()

    @property
    def frozen(self) -> bool:
        """Whether nothing more is counted."""
        return bool(self.frozen_ns)

    def ended_before(self, monotonic_ns: int) -> bool:
        """Tell whether nothing was counted any more at a time of CLOCK_MONOTONIC."""
        return 0 < self.frozen_ns < monotonic_ns

    def counted_now(self) -> list[Counter]:
        """Return the counters of its containers that are counted."""
        return [each.counter for each in list(self.containers.values()) if each.counter and not each.counter.ended_ns]

    def note_counts(self) -> None:
        """Show the newest counts to the session's own collectors."""
        for traced in list(self.containers.values()):
            traced.note_counts()

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


def stop_counting(sessions: Sequence[Session]) -> None:
    """Read the counters of sessions for the last time, all at once, and let go of them; all share one set."""
    counters, users = sessions[0].counters, [session.session_uid for session in sessions]
    containers = [each for session in sessions for each in session.containers.values()]
    try:
        counters.refresh_for_the_last_time(users)
    finally:
        counters.release({each.counter for each in containers if each.counter}, users)
    for session in sessions:
        session.freeze()
