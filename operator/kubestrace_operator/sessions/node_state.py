"""What is known of one node of one session: its reports, its containers, what failed there and what was not counted.

Knows no agent and never waits: node.py tells it what happened, session_state.py reads it.
"""

from collections.abc import Iterable

from kubestrace_operator.agents.reports import InvalidReportError, clean
from kubestrace_operator.results.rows import bare_id
from kubestrace_operator.status.progress import Failure
from kubestrace_protos.v1 import agent_pb2

# Agents that served one node in one session; more would mean that one makes itself new again and again.
_MAX_AGENTS = 100
# A report that says that a trace has begun comes at once; no more than so much is believed of its way to us.
MOST_SECONDS_BEFORE = 10.0
_TRACED = frozenset({agent_pb2.ContainerState.PHASE_TRACING, agent_pb2.ContainerState.PHASE_ENDED})


def is_traced(state: agent_pb2.ContainerState) -> bool:
    """Tell whether a container is or was counted."""
    return state.phase in _TRACED


class KeptReport:
    """A report as it is kept: packed, which is an eighth of the memory of one that is read."""

    __slots__ = ("_packed", "sequence")

    def __init__(self, report: agent_pb2.Report) -> None:
        self.sequence = report.sequence
        self._packed = report.SerializeToString()

    def read(self) -> agent_pb2.Report:
        """Return the report."""
        return agent_pb2.Report.FromString(self._packed)


class NodeState:
    """One node's part of a session."""

    def __init__(self, node: str, lease_seconds: int) -> None:
        """`lease_seconds` is how long agents go on unwatched, for messages."""
        self.node = node
        # The latest of each agent that served the node, by agent id.
        self.reports: dict[str, KeptReport] = {}
        self.cgroup_mode = ""
        # As uname -m has it: x86_64, aarch64.
        self.architecture = ""
        # What each agent that served the node says of itself, by agent id.
        self.described: dict[str, agent_pb2.DescribeResponse] = {}
        # The whole node's failure, as long as it lasts.
        self.failure: Failure | None = None
        # Set by a session that was taken up again: the node was traced before, so an agent that knows nothing of it
        # has lost counts since then (nanoseconds).
        self.traced_since: int | None = None
        self.agent_id = ""
        # Agents that were followed by another one, which knows nothing of what they had counted.
        self.agents_lost = 0
        # Something is counted, and it is known since when.
        self.began = False
        # How long that had been so when a report first said it: the agent had waited for a container.
        self.counted_before_seconds = 0.0
        # Reports that were refused, and what was wrong with the first of them.
        self.refused = 0
        self._first_refusal = ""
        self._lease_seconds = lease_seconds
        self._gaps: list[agent_pb2.Gap] = []
        self._states: dict[str, agent_pb2.ContainerState] = {}
        # Until when everything here is known to be counted, in the agent's time.
        self._counted_until = 0

    @property
    def traced(self) -> bool:
        """Whether anything was ever counted here."""
        return any(is_traced(state) for state in self.states())

    @property
    def has_counted(self) -> bool:
        """Whether an agent has counted here, as far as is known: what is missing since has gaps of its own."""
        return self.traced or self.traced_since is not None

    @property
    def heard(self) -> tuple[str, int]:
        """What was last heard: it changes with each report."""
        report = self.reports.get(self.agent_id)
        return self.agent_id, report.sequence if report else 0

    def states(self) -> list[agent_pb2.ContainerState]:
        """Return the latest state of every container that this node was asked to trace."""
        return list(self._states.values())

    def failures(self) -> list[Failure]:
        """Return what failed here: the whole node, or single containers; and reports that were refused."""
        if self.failure is not None:
            return [self.failure, *self._refusals()]
        failed = [
            Failure(state.reason or "Failed", state.message, self.node, name.pod_name, name.container_name)
            for state in self._newest_lives()
            if state.phase == agent_pb2.ContainerState.PHASE_FAILED
            for name in [state.container]
        ]
        return [*failed, *self._refusals()]

    def _refusals(self) -> list[Failure]:
        if not self.refused:
            return []
        count = "a report" if self.refused == 1 else f"{self.refused} reports"
        message = f"{count} of the agent on node {self.node} refused; the first one: {self._first_refusal}"
        return [Failure("InvalidReport", message, self.node)]

    def refuse(self, why: str) -> None:
        """Count a report that was refused."""
        self.refused += 1
        self._first_refusal = self._first_refusal or why

    def gaps(self) -> list[agent_pb2.Gap]:
        """Return the spans that were not counted; one that lasts until now, since the agent was lost, has no end."""
        if self.failure is None or not self._counted_until:
            return list(self._gaps)
        return [*self._gaps, self._gap(self.failure.reason, self.failure.message, self._counted_until, 0)]

    def started(self, response: agent_pb2.StartTraceResponse, *, counts_first_calls: bool = True) -> None:
        """Take over an agent's answer; another agent than before knows nothing of the trace and begins anew.

        `counts_first_calls`: it was told the pods, and counts their containers from the first call on.
        """
        start = response.start_time_unix_nanoseconds
        if not counts_first_calls and response.agent_id != self.agent_id:
            self._gaps.append(self._gap("FirstCallsNotCounted", self._counts_late(), start, 0))
        if self.agent_id and response.agent_id != self.agent_id:
            message = f"the agent on node {self.node} was restarted; counts up to its last report are kept"
            self._gaps.append(self._gap("AgentRestarted", message, self._counted_until, start))
            self.agents_lost += 1
        elif not self.agent_id and self.traced_since is not None and response.created:
            message = f"operator and agent on node {self.node} were both restarted; what was counted before is lost"
            self._gaps.append(self._gap("AgentRestarted", message, self.traced_since, start))
            self.agents_lost += 1
        self.traced_since = None
        self.failure = None
        self.agent_id = response.agent_id
        self._counted_until = max(self._counted_until, start)
        self._absorb(response.containers)
        # Of a trace that was there the next report, which comes at once, says when it began.
        self.began = self.began or (self.traced and response.created)

    def _counts_late(self) -> str:
        return (
            "containers that start are counted only from the moment when they are found: "
            f"the agent on node {self.node} is of an earlier version than the operator; update it"
        )

    def take(self, report: agent_pb2.Report) -> None:
        """Take over a report; an older one than is known changes nothing. Raises InvalidReportError."""
        if report.agent_id not in self.reports and len(self.reports) >= _MAX_AGENTS:
            raise InvalidReportError(f"it is of one more agent after {_MAX_AGENTS} on this node")
        known = self.reports.get(report.agent_id)
        if known is None or known.sequence <= report.sequence:
            self.reports[report.agent_id] = KeptReport(report)
            self._absorb(each.state for each in report.containers)
        if self.traced and not self.began:
            self.began = True
            # In the agent's time: its clock may differ from ours.
            spent_ns = report.time_unix_nanoseconds - report.start_time_unix_nanoseconds
            self.counted_before_seconds = min(max(0.0, spent_ns / 1e9), MOST_SECONDS_BEFORE)
        self.agent_id = report.agent_id
        self.failure = None
        self._counted_until = report.time_unix_nanoseconds
        if report.end_reason == agent_pb2.END_REASON_LEASE_EXPIRED:
            self._lease_expired(report)

    def lost(self) -> None:
        """Note that the session is over and the agent knows nothing of it: it was restarted."""
        if self.traced_since is not None and not self.reports:
            message = f"the agent on node {self.node} was restarted; what it had counted is lost"
            self._gaps.append(self._gap("AgentRestarted", message, self.traced_since, 0))

    def no_final_report(self) -> None:
        """Note that the session is over and its end here was not reported, though nothing says why."""
        since = self._counted_until or self.traced_since
        if self.failure is None and since:
            message = f"the agent on node {self.node} gave no final report; counts up to its last report are kept"
            self._gaps.append(self._gap("AgentUnavailable", message, since, 0))

    def _lease_expired(self, report: agent_pb2.Report) -> None:
        message = f"no operator watched for {self._lease_seconds} s, so the agent ended the trace"
        self._gaps.append(self._gap("LeaseExpired", message, report.time_unix_nanoseconds, 0))

    def _gap(self, reason: str, message: str, start: int, end: int) -> agent_pb2.Gap:
        return agent_pb2.Gap(
            node=self.node,
            reason=reason,
            message=message,
            start_time_unix_nanoseconds=start,
            end_time_unix_nanoseconds=end,
        )

    def _absorb(self, states: Iterable[agent_pb2.ContainerState]) -> None:
        for state in states:
            known = self._states.get(bare_id(state.container.container_id))
            # A new agent does not find a container that has ended: its counts are there all the same.
            if known != state and (known is None or is_traced(state) or not is_traced(known)):
                # A copy: a part of a message keeps all of the message in memory.
                own = agent_pb2.ContainerState()
                own.CopyFrom(state)
                clean(own)
                self._states[bare_id(state.container.container_id)] = own

    def _newest_lives(self) -> list[agent_pb2.ContainerState]:
        newest: dict[tuple[str, str], agent_pb2.ContainerState] = {}
        for state in self._states.values():
            key = state.container.pod_uid, state.container.container_name
            known = newest.get(key)
            if known is None or known.container.restart_count <= state.container.restart_count:
                newest[key] = state
        return list(newest.values())
