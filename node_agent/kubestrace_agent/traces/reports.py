"""Builds the messages that tell what a trace counted. Pure; used by traces."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from kubestrace_agent.text import utf8
from kubestrace_agent.views import redacted_messages
from kubestrace_protos.v1 import agent_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kubestrace_agent.containers.lives import Life
    from kubestrace_agent.containers.resolver import Resolved
    from kubestrace_agent.traces.counter import Counter, Unknown
    from kubestrace_agent.traces.sharing import Share
    from kubestrace_agent.views.view import Collector

_Phase = agent_pb2.ContainerState.Phase


@dataclass(eq=False)
class TracedContainer:
    """One container of one trace: `counter` while it is counted, `settled` once nothing can be added."""

    state: agent_pb2.ContainerState
    counter: Counter | None = None
    # What other sessions collect too, and what is collected for this one alone.
    share: Share | None = None
    own: list[Collector] = field(default_factory=list)
    gaps: list[agent_pb2.Gap] = field(default_factory=list)
    # What was collected when the trace ended, where others go on.
    collected: agent_pb2.ContainerReport | None = None
    settled: agent_pb2.ContainerReport | None = None
    # Somebody asks the runtime how it ended, or has asked.
    end_asked: bool = False

    @property
    def states(self) -> list[agent_pb2.ContainerState]:
        """Its state, and that of its last report once nothing can be added to the counts."""
        return [self.state, self.settled.state] if self.settled is not None else [self.state]

    @property
    def has_ended(self) -> bool:
        """Whether its last process has ended, as far as the counters were read."""
        if self.counter is not None and self.counter.ended_ns:
            return True
        return self.settled is not None and self.settled.state.phase == _Phase.PHASE_ENDED

    def freeze(self) -> None:
        """Keep what was read last, whatever is counted later for others; called when this session has let go."""
        if self.counter is None or self.share is None:
            return
        self.note_counts()
        self.end()
        self.counter = replace(self.counter)
        if self.share.users:
            self.collected = self.share.report(self.counter)

    def end(self) -> None:
        """Have the session's own collectors give back what they hold."""
        for collector in self.own:
            collector.end()

    def note_counts(self) -> None:
        """Show the newest counts to the session's own collectors."""
        if self.counter is not None and self.counter.newest is not None:
            for collector in self.own:
                collector.count(self.counter.newest)


def write_start(rows: Iterable[TracedContainer], host_pid: int, pid: int, start_ns: int) -> None:
    """Write into a container's rows when its program was executed (Unix time), and by which process."""
    for traced in rows:
        for state in traced.states:
            state.host_pid, state.pid, state.start_time_unix_nanoseconds = host_pid, pid, start_ns


def write_end(rows: Iterable[TracedContainer], known: Life) -> None:
    """Write into a container's rows how it has ended, where that is known."""
    for traced in rows:
        for state in traced.states if known.ended else ():
            state.exit_code = known.exit_code
            state.exit_reason = known.reason
            state.finish_time_unix_nanoseconds = known.finish_time_unix_ns


def failed(container: agent_pb2.Container, reason: str, message: str) -> TracedContainer:
    """Give a container that cannot be traced."""
    state = agent_pb2.ContainerState(container=container, phase=_Phase.PHASE_FAILED, reason=reason)
    state.message = utf8(message)
    return TracedContainer(state, settled=agent_pb2.ContainerReport(state=state))


def tracing(container: agent_pb2.Container, found: Resolved) -> agent_pb2.ContainerState:
    """Give the state of a container that is counted from now on; its start is still to be said."""
    return agent_pb2.ContainerState(
        container=container,
        phase=_Phase.PHASE_TRACING,
        host_pid=found.host_pid,
        pid=found.pid,
    )


def late(node: str, state: agent_pb2.ContainerState, found: Resolved, session_start_ns: int) -> list[agent_pb2.Gap]:
    """Give the gap of a container that joined a session that ran already: its calls before that were not counted.

    The gap begins when the container started, or when the session did if that was later, or if the start is not known.
    One in the future is not: the clock was set since.
    """
    end = state.start_time_unix_nanoseconds
    started_ns = found.start_time_unix_ns if found.start_time_unix_ns <= end else 0
    begin = max(started_ns, session_start_ns)
    if begin >= end:
        return []
    since = "the container started" if begin == started_ns else "the session began"
    return [
        agent_pb2.Gap(
            node=node,
            reason="ContainerStartedEarlier",
            message=f"counting began {(end - begin) / 1e9:.3f} s after {since}",
            start_time_unix_nanoseconds=begin,
            end_time_unix_nanoseconds=end,
            container=state.container,
        )
    ]


def first_calls_not_counted(node: str, why: object, start_ns: int) -> agent_pb2.Gap:
    """Give the gap of a session whose pods cannot be watched for containers that start."""
    return agent_pb2.Gap(
        node=node,
        reason="FirstCallsNotCounted",
        message=f"containers that start are counted only from the moment when they are found: {why}",
        start_time_unix_nanoseconds=start_ns,
    )


def too_many(node: str, most: int, start_ns: int) -> agent_pb2.Gap:
    """Give the gap of a session that has as many containers on this node as it may; further ones have no row."""
    return agent_pb2.Gap(
        node=node,
        reason="TooManyContainers",
        message=f"one trace follows at most {most} containers on a node; those that started later are not counted",
        start_time_unix_nanoseconds=start_ns,
    )


def life_lost(node: str, cgroup: str, error: Exception, time_ns: int) -> agent_pb2.Gap:
    """Give the gap of a session that has no row for a container, by an error of ours."""
    return agent_pb2.Gap(
        node=node,
        reason="ContainerNotCounted",
        message=f"the container in cgroup {cgroup[:200]} has no row: {error!r}",
        start_time_unix_nanoseconds=time_ns,
        end_time_unix_nanoseconds=time_ns,
    )


def unmarked(node: str, processes: int, start_ns: int) -> agent_pb2.Gap:
    """Give the gap that says that calls of the container runtime are among those of containers."""
    return agent_pb2.Gap(
        node=node,
        reason="RuntimeCallsCounted",
        message=f"calls of {processes} processes of the container runtime are among the containers'",
        start_time_unix_nanoseconds=start_ns,
    )


def tasks_not_read(node: str, times: int, why: str, start_ns: int) -> agent_pb2.Gap:
    """Give the gap of a session while the kernel's lists of tasks could not be read; its calls were counted."""
    return agent_pb2.Gap(
        node=node,
        reason="TasksNotRead",
        message=f"the kernel's lists of tasks could not be read {times} time{'s' * (times > 1)}, so that calls that "
        f"have not returned, users of io_uring, threads or names in stacks may be missing: {why}",
        start_time_unix_nanoseconds=start_ns,
    )


def not_counted(node: str, state: agent_pb2.ContainerState) -> TracedContainer:
    """Give a container of a watched pod that has come and gone uncounted, as the node had no slot ready for it."""
    state.phase = _Phase.PHASE_ENDED
    report = agent_pb2.ContainerReport(state=state)
    report.trust.gaps.add(
        node=node,
        reason="ContainerNotCounted",
        message="no slot was ready when the container was created, and it ended before it could be attached to",
        start_time_unix_nanoseconds=state.start_time_unix_nanoseconds,
        end_time_unix_nanoseconds=state.end_time_unix_nanoseconds,
        container=state.container,
    )
    return TracedContainer(state, settled=report)


def without_view(node: str, state: agent_pb2.ContainerState, reason: str, message: str) -> agent_pb2.Gap:
    """Give the gap of a container of which a view cannot be had, although it is counted."""
    return agent_pb2.Gap(
        node=node,
        reason=reason,
        message=message,
        start_time_unix_nanoseconds=state.start_time_unix_nanoseconds,
        container=state.container,
    )


def _state_unknown(traced: TracedContainer, unknown: Unknown, node: str) -> agent_pb2.Gap:
    """Give the gap of a container of which it could not be read whether it still runs."""
    return agent_pb2.Gap(
        node=node,
        reason="ContainerStateUnknown",
        message=f"whether the container runs could not be read: {unknown.why}",
        start_time_unix_nanoseconds=max(unknown.since_ns, traced.state.start_time_unix_nanoseconds),
        end_time_unix_nanoseconds=max(unknown.until_ns, traced.state.start_time_unix_nanoseconds),
        container=traced.state.container,
    )


def container_report(traced: TracedContainer, node: str) -> agent_pb2.ContainerReport:
    """Give what was counted of a container so far; a container that has ended is settled by this."""
    if traced.settled is not None or traced.counter is None or traced.share is None:
        return traced.settled or agent_pb2.ContainerReport(state=traced.state)
    counter = traced.counter
    report = agent_pb2.ContainerReport()
    report.CopyFrom(traced.collected or traced.share.report(counter))
    traced.note_counts()
    for collector in traced.own:
        redacted_messages.write(collector, report)
    report.trust.gaps.extend(traced.gaps)
    if counter.unknown is not None:
        report.trust.gaps.append(_state_unknown(traced, counter.unknown, node))
    if counter.ended_ns:
        traced.end()
        traced.state.phase = _Phase.PHASE_ENDED
        traced.state.end_time_unix_nanoseconds = counter.ended_ns
        traced.settled, traced.share, traced.counter = report, None, None
    report.state.CopyFrom(traced.state)
    for user in report.trust.ring_users:
        user.pod_name = traced.state.container.pod_name
        user.container_name = traced.state.container.container_name
    return report


def total_trust(parts: Iterable[agent_pb2.Trust], *, agent_cpu_millicores: int, skipped_calls: int) -> agent_pb2.Trust:
    """Add up what is missing of the containers; a report's trust is this sum, gaps included, and what is the node's."""
    total = agent_pb2.Trust(agent_cpu_millicores=agent_cpu_millicores, skipped_calls=skipped_calls)
    for part in parts:
        total.unmatched_calls += part.unmatched_calls
        total.unreturned_calls += part.unreturned_calls
        total.lost_calls += part.lost_calls
        for name, lost in part.losses.items():
            total.losses[name] += lost
        total.io_uring = total.io_uring or part.io_uring
        total.ring_users.extend(part.ring_users)
        total.other_ring_users += part.other_ring_users
        total.rings += part.rings
        total.gaps.extend(part.gaps)
    return total
