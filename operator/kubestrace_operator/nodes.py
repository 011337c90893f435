"""One session on one node: starts its trace there, takes its reports, and finds the agent again when it was lost."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from kubestrace_operator import targets
from kubestrace_operator.agents import (
    AgentError,
    AgentFullError,
    AgentUnavailableError,
    CannotTraceError,
    Endpoint,
    InvalidRequestError,
    TraceNotFoundError,
)
from kubestrace_operator.ports import AgentCalls
from kubestrace_operator.progress import Failure
from kubestrace_operator.targets import RunningContainer
from kubestrace_protos.v1 import agent_pb2

_log = logging.getLogger(__name__)
# How long agents go on when the operator is away; they end by their duration anyway.
LEASE_SECONDS = 120
_RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0)
_AGAIN_SECONDS = 5.0
# Legacy is not among them: such a node traces nothing.
_CGROUP_MODES: dict[agent_pb2.CgroupMode, str] = {
    agent_pb2.CGROUP_MODE_UNIFIED: "unified",
    agent_pb2.CGROUP_MODE_HYBRID: "hybrid",
}
_TRACED = frozenset({agent_pb2.ContainerState.PHASE_TRACING, agent_pb2.ContainerState.PHASE_ENDED})


@dataclass(frozen=True)
class Order:
    """What a session asks of every node."""

    session_uid: str
    # "namespace/name"
    session_name: str
    syscalls: tuple[str, ...]
    # Milliseconds that are left of the session, as of now.
    remaining: Callable[[], int]


def is_traced(state: agent_pb2.ContainerState) -> bool:
    """Tell whether a container is or was counted."""
    return state.phase in _TRACED


class NodeTrace:
    """The session's trace on one node, from the first container to the final report."""

    def __init__(
        self,
        node: str,
        order: Order,
        calls: AgentCalls,
        on: Callable[[str], Endpoint | None],
        changed: Callable[[], None],
        notify: Callable[[str, str], None],
    ) -> None:
        """`on` finds a node's agent; `changed` is called after everything that a status may show.

        `notify` takes what a person should hear of: a reason and a message.
        """
        self.node = node
        self.reports: dict[str, agent_pb2.Report] = {}
        self.gaps: list[agent_pb2.Gap] = []
        self.cgroup_mode = ""
        # The whole node's failure, as long as it lasts.
        self.failure: Failure | None = None
        # Nothing more will come from this node.
        self.finished = False
        # The first attempt has come to some end: what the node does is known.
        self.settled = False
        # Set by a session that was taken up again: the node was traced before, so an agent that knows nothing of it
        # has lost counts since then (nanoseconds).
        self.traced_since: int | None = None
        self._order = order
        self._calls = calls
        self._on = on
        self._changed = changed
        self._notify = notify
        self._wanted: dict[str, RunningContainer] = {}
        self._states: dict[str, agent_pb2.ContainerState] = {}
        self._agent_id = ""
        self._tried: Endpoint | None = None
        self._kick = asyncio.Event()
        self._sent: set[str] = set()
        # Until when everything here is known to be counted, in the agent's time.
        self._counted_until = 0

    @property
    def traced(self) -> bool:
        """Whether anything was ever counted here."""
        return any(is_traced(state) for state in self.states())

    @property
    def active(self) -> bool:
        """Whether the node has a trace of this session, as far as is known: there is something to wait for."""
        return bool(self._sent or self.reports or self.traced_since)

    def states(self) -> list[agent_pb2.ContainerState]:
        """Return the latest state of every container that this node was asked to trace."""
        return list(self._states.values())

    def failures(self) -> list[Failure]:
        """Return what failed here: the whole node, or single containers."""
        if self.failure is not None:
            return [self.failure]
        return [
            Failure(state.reason or "Failed", state.message, self.node, name.pod_name, name.container_name)
            for state in self._newest_lives()
            if state.phase == agent_pb2.ContainerState.PHASE_FAILED
            for name in [state.container]
        ]

    def want(self, containers: Iterable[RunningContainer]) -> None:
        """Say what runs here now and is to be traced; what was asked before and still runs goes on."""
        wanted = {container.container_id: container for container in containers}
        if wanted.keys() - self._wanted.keys():
            self._kick.set()
        self._wanted = wanted

    def look(self) -> None:
        """Try again at once when another agent has become ready here."""
        agent = self._on(self.node)
        if agent is not None and agent != self._tried:
            self._tried = agent
            self._kick.set()

    async def run(self) -> None:
        """Trace until the final report, or until nothing more can come."""
        attempt = 0
        while not self.finished:
            agent, heard = self._on(self.node), self._heard()
            self._tried = agent
            try:
                if agent is None:
                    raise AgentUnavailableError(f"no kubestrace agent is ready on node {self.node}")
                await self._trace(agent)
            except (CannotTraceError, InvalidRequestError) as error:
                self._give_up(error)
            except AgentError as error:
                if isinstance(error, TraceNotFoundError) and self._order.remaining() <= 0:
                    self._lost()
                    return
                attempt = attempt + 1 if self._heard() == heard else 0
                self._fail(error)
                full = isinstance(error, AgentFullError)
                await self._pause(_AGAIN_SECONDS if full else _RETRY_SECONDS[min(attempt, 3)])

    async def stop(self) -> None:
        """End the trace now and take its final report; what is known stays when the agent does not answer."""
        agent = self._on(self.node)
        if agent is None or self.finished:
            return
        try:
            self._take(await self._calls.stop(agent, self._order.session_uid))
        except TraceNotFoundError:
            self._finish()
        except AgentError as error:
            _log.info("%s: %s", self._order.session_name, error)

    async def _trace(self, agent: Endpoint) -> None:
        """Start or find the trace and follow it; returns after the final report or when the stream ends early."""
        if self._order.remaining() <= 0:
            # The session is over: all that is left is the report that the agent kept.
            self._take(await self._calls.stop(agent, self._order.session_uid))
            self._finish()
            return
        if self._wanted:
            await self._start(agent)
        elif not self.active:
            # What was to be traced has gone before it could be, or the pods are not known yet.
            self.failure = None
            self._settle()
            await self._pause(_RETRY_SECONDS[-1])
            return
        adding = asyncio.create_task(self._add_later(agent))
        try:
            async for report in self._calls.watch(agent, self._order.session_uid):
                self._take(report)
                if report.final:
                    return
        finally:
            adding.cancel()
        raise AgentUnavailableError(f"the agent on node {self.node} ended its reports without a final one")

    async def _start(self, agent: Endpoint) -> None:
        containers = list(self._wanted.values())
        request = agent_pb2.StartTraceRequest(
            session_uid=self._order.session_uid,
            session_name=self._order.session_name,
            containers=[container.message() for container in containers],
            syscalls=self._order.syscalls,
            duration_milliseconds=max(1, self._order.remaining()),
            lease_seconds=LEASE_SECONDS,
        )
        response = await self._calls.start(agent, request)
        sent = {container.container_id for container in containers}
        self._sent = sent if response.agent_id != self._agent_id else self._sent | sent
        self._note_agent(response)
        self._absorb(response.containers)
        self.failure = None
        self._settle()
        if not self.cgroup_mode:
            await self._ask_mode(agent)

    async def _add_later(self, agent: Endpoint) -> None:
        """Send containers that come while the trace runs."""
        while True:
            # What could not be traced at first may be possible later: a slot is free, the runtime has caught up.
            await self._pause(_AGAIN_SECONDS)
            failed = {state.container.container_id for state in self.states() if not is_traced(state)}
            if not self._wanted.keys() - (self._sent - failed):
                continue
            try:
                await self._start(agent)
            except AgentError as error:
                _log.info("%s: %s", self._order.session_name, error)
                self._sent -= self._wanted.keys()

    async def _ask_mode(self, agent: Endpoint) -> None:
        try:
            described = await self._calls.describe(agent)
        except AgentError:
            return
        self.cgroup_mode = _CGROUP_MODES.get(described.cgroup_mode, "")

    def _take(self, report: agent_pb2.Report) -> None:
        known = self.reports.get(report.agent_id)
        if known is None or known.sequence <= report.sequence:
            self.reports[report.agent_id] = report
            self._absorb(each.state for each in report.containers)
        self._agent_id = report.agent_id
        self._counted_until = report.time_unix_nanoseconds
        self.failure = None
        if report.final:
            self._end(report)
        self._settle()

    def _end(self, report: agent_pb2.Report) -> None:
        if report.end_reason == agent_pb2.END_REASON_AGENT_SHUTDOWN and self._order.remaining() > 0:
            # The agent is being replaced: the next one on this node takes over.
            raise AgentUnavailableError(f"the agent on node {self.node} was shut down")
        if report.end_reason == agent_pb2.END_REASON_LEASE_EXPIRED:
            self._lease_expired(report)
        self._finish()

    def _lease_expired(self, report: agent_pb2.Report) -> None:
        if any(gap.reason == "LeaseExpired" for gap in report.trust.gaps):
            return
        message = f"no operator watched for {LEASE_SECONDS} s, so the agent ended the trace"
        self._gap("LeaseExpired", message, report.time_unix_nanoseconds, 0)

    def _note_agent(self, response: agent_pb2.StartTraceResponse) -> None:
        """Note a gap when another agent than before, which knows nothing of the trace, has begun anew."""
        start = response.start_time_unix_nanoseconds
        if self._agent_id and response.agent_id != self._agent_id:
            message = f"the agent on node {self.node} was restarted; counts up to its last report are kept"
            self._gap("AgentRestarted", message, self._counted_until, start)
        elif not self._agent_id and self.traced_since is not None and response.created:
            message = f"operator and agent on node {self.node} were both restarted; what was counted before is lost"
            self._gap("AgentRestarted", message, self.traced_since, start)
        self.traced_since = None
        self._agent_id = response.agent_id
        self._counted_until = max(self._counted_until, start)

    def _gap(self, reason: str, message: str, start: int, end: int) -> None:
        self.gaps.append(self._gap_of(reason, message, start, end))

    def _gap_of(self, reason: str, message: str, start: int, end: int) -> agent_pb2.Gap:
        return agent_pb2.Gap(
            node=self.node,
            reason=reason,
            message=message,
            start_time_unix_nanoseconds=start,
            end_time_unix_nanoseconds=end,
        )

    def all_gaps(self) -> list[agent_pb2.Gap]:
        """Return the spans that were not counted; one that lasts until now, since the agent was lost, has no end."""
        if self.failure is None or not self._counted_until:
            return list(self.gaps)
        return [*self.gaps, self._gap_of(self.failure.reason, self.failure.message, self._counted_until, 0)]

    def _absorb(self, states: Iterable[agent_pb2.ContainerState]) -> None:
        for state in states:
            known = self._states.get(state.container.container_id)
            # A new agent does not find a container that has ended: its counts are there all the same.
            if known is None or is_traced(state) or not is_traced(known):
                self._states[state.container.container_id] = state

    def _newest_lives(self) -> list[agent_pb2.ContainerState]:
        newest: dict[tuple[str, str], agent_pb2.ContainerState] = {}
        for state in self._states.values():
            key = state.container.pod_uid, state.container.container_name
            known = newest.get(key)
            if known is None or known.container.restart_count <= state.container.restart_count:
                newest[key] = state
        return list(newest.values())

    def _heard(self) -> tuple[str, int]:
        report = self.reports.get(self._agent_id)
        return self._agent_id, report.sequence if report else 0

    def _fail(self, error: AgentError) -> None:
        if self.failure is None and self.reports:
            self._notify("AgentLost", str(error))
        reason = (error.reason or "NodeFull") if isinstance(error, AgentFullError) else "AgentUnavailable"
        pods = targets.listed(sorted({container.pod for container in self._wanted.values()}))
        self.failure = Failure(reason, f"{error}; not traced there: {pods}" if pods else str(error), self.node)
        self._settle()

    def _give_up(self, error: AgentError) -> None:
        default = "InvalidSpec" if isinstance(error, InvalidRequestError) else "UnsupportedKernel"
        self.failure = Failure(error.reason or default, str(error), self.node)
        self._finish()

    async def _pause(self, seconds: float) -> None:
        """Wait before the next attempt; other containers or another agent end the wait."""
        self._kick.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._kick.wait()

    def _lost(self) -> None:
        """The session is over and the agent knows nothing of it: it was restarted."""
        if self.traced_since is not None and not self.reports:
            message = f"the agent on node {self.node} was restarted; what it had counted is lost"
            self._gap("AgentRestarted", message, self.traced_since, 0)
        self._finish()

    def _finish(self) -> None:
        self.finished = True
        self._settle()

    def _settle(self) -> None:
        self.settled = True
        self._changed()
