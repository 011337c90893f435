"""One session on one node: starts its trace there, takes its reports, and finds the agent again when it was lost."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from google.protobuf.any_pb2 import Any as Packed

from kubestrace_operator import metrics
from kubestrace_operator.agents import reports
from kubestrace_operator.agents.client import (
    START_SECONDS,
    AgentError,
    AgentFullError,
    AgentUnavailableError,
    CannotTraceError,
    Endpoint,
    InvalidRequestError,
    TraceNotFoundError,
)
from kubestrace_operator.agents.reports import InvalidReportError
from kubestrace_operator.sessions import targets
from kubestrace_operator.sessions.descriptions import Descriptions
from kubestrace_operator.sessions.interfaces import AgentCalls
from kubestrace_operator.sessions.latency import Pace
from kubestrace_operator.sessions.node_state import NodeState, is_traced
from kubestrace_operator.sessions.streams import OpenStreams
from kubestrace_operator.sessions.targets import RunningContainer
from kubestrace_operator.status.progress import Failure
from kubestrace_protos.v1 import agent_pb2

_log = logging.getLogger(__name__)
# How long agents go on when the operator is away; they end by their duration anyway.
LEASE_SECONDS = 120
_RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0)
_AGAIN_SECONDS = 5.0
_INVALID = "InvalidReport"
# Legacy is not among them: such a node traces nothing.
_CGROUP_MODES: dict[agent_pb2.CgroupMode, str] = {
    agent_pb2.CGROUP_MODE_UNIFIED: "unified",
    agent_pb2.CGROUP_MODE_HYBRID: "hybrid",
}


@dataclass(frozen=True)
class TraceRequest:
    """What a session asks of every node."""

    session_uid: str
    # "namespace/name"
    session_name: str
    syscalls: tuple[str, ...]
    # Milliseconds that are left of the session, as of now.
    remaining: Callable[[], int]
    # The requests of the views, as of now, by the view's name.
    views: Callable[[], Mapping[str, Packed]] = dict
    # Milliseconds that are gone, as of now; 0 while the session begins.
    elapsed: Callable[[], int] = lambda: 0
    # Between two reports of a node, as long as few nodes report.
    report_seconds: float = 1.0
    # Patterns of what is not shown.
    redact: tuple[str, ...] = ()
    streams: OpenStreams = field(default_factory=OpenStreams)
    descriptions: Descriptions = field(default_factory=Descriptions)

    @property
    def namespace(self) -> str:
        """The session's namespace, and that of all its containers."""
        return self.session_name.partition("/")[0]


class NodeTrace:
    """The session's trace on one node, from the first container to the final report."""

    def __init__(
        self,
        node: str,
        trace_request: TraceRequest,
        calls: AgentCalls,
        on: Callable[[str], Endpoint | None],
        changed: Callable[[], None],
        notify: Callable[[str, str], None],
    ) -> None:
        """`on` finds a node's agent; `changed` is called after everything that a status may show.

        `notify` takes what a person should hear of: a reason and a message.
        """
        self.state = NodeState(node, LEASE_SECONDS)
        # Nothing more will come from this node.
        self.finished = False
        # The first attempt has come to some end: what the node does is known.
        self.settled = False
        # An agent was asked to start the trace: it may have one, even if its answer never came.
        self.asked = False
        self._node = node
        self._trace_request = trace_request
        self._calls = calls
        self._on = on
        self._changed = changed
        self._notify = notify
        self._wanted: dict[str, RunningContainer] = {}
        self._sent: set[str] = set()
        # Pods whose containers the agent counts from their first call, by UID, and those that it was told.
        self._watched: dict[str, agent_pb2.Pod] = {}
        self._told: dict[str, agent_pb2.Pod] = {}
        # The agent on this node knows what it is to watch; one of an earlier version drops that, or refuses it.
        self._can_watch = False
        # It was told pods before the session's time began, and waits for their first container.
        self._waits_since_before = False
        self._hurried = False
        self._tried: Endpoint | None = None
        # What the agent can do is known from an earlier answer, to any session.
        self._remembered = False
        # The agent whose reports come now; it may have been replaced and be about to send its last one.
        self._followed: Endpoint | None = None
        self._kick = asyncio.Event()

    @property
    def active(self) -> bool:
        """Whether the node has a trace of this session, as far as is known: there is something to wait for."""
        return bool(self._sent or self._told or self.state.reports or self.state.traced_since)

    def trace(self, containers: Iterable[RunningContainer], pods: Iterable[agent_pb2.Pod] = ()) -> None:
        """Say what runs here now and is to be traced, and whose containers are to be as soon as they start.

        What was asked before and still runs goes on.
        """
        wanted = {container.container_id: container for container in containers}
        watched = {pod.uid: pod for pod in pods}
        if wanted.keys() - self._wanted.keys() or any(self._watched.get(uid) != pod for uid, pod in watched.items()):
            self._kick.set()
        self._wanted, self._watched = wanted, watched

    def session_runs(self) -> None:
        """Have an agent know that waits for the first container here: the session's time runs, on other nodes."""
        # Once: later attempts have their pauses.
        if self._waits and not self._hurried:
            self._hurried = True
            self._kick.set()

    @property
    def _waits(self) -> bool:
        return self._waits_since_before and not self.state.traced

    def look(self) -> None:
        """Try again at once when another agent has become ready here."""
        agent = self._on(self._node)
        if agent is not None and agent != self._tried:
            self._tried = agent
            self._kick.set()

    async def run(self) -> None:
        """Trace until the final report, or until nothing more can come."""
        attempt = 0
        while not self.finished:
            heard = self.state.heard
            try:
                await self._trace()
            except (CannotTraceError, InvalidRequestError) as error:
                if not self._forget_description():
                    self._give_up(error)
            except AgentError as error:
                self._forget_description()
                if isinstance(error, TraceNotFoundError) and self._trace_request.remaining() <= 0:
                    self.state.lost()
                    self._finish()
                    return
                attempt = attempt + 1 if self.state.heard == heard else 0
                self._fail(error)
                full = isinstance(error, AgentFullError)
                await self._pause(_AGAIN_SECONDS if full else _RETRY_SECONDS[min(attempt, 3)])

    @property
    def reports_come(self) -> bool:
        """Whether there is a stream on which its reports come."""
        return self._followed is not None

    async def stop(self) -> None:
        """End the trace now and take its final report; what is known stays when the agent does not answer."""
        agent = self._followed or self._on(self._node)
        if agent is None or self.finished:
            return
        try:
            self._take(await self._calls.stop(agent, self._trace_request.session_uid))
        except TraceNotFoundError:
            self._finish()
        except AgentError as error:
            _log.info("%s: %s", self._trace_request.session_name, error)

    async def _trace(self) -> None:
        """Start or find the trace and follow it; returns after the final report, or with nothing to trace."""
        self._kick.clear()
        agent = self._tried = self._on(self._node)
        if agent is None:
            raise AgentUnavailableError(f"no kubestrace agent is ready on node {self._node}")
        if self._trace_request.remaining() <= 0:
            # The session is over: all that is left is the report that the agent kept.
            self._take(await self._calls.stop(agent, self._trace_request.session_uid))
            self._finish()
            return
        if self._wanted or self._watched or self.active:
            await self._describe(agent)
        if self._wanted or self._watchable or self.active:
            await self._follow(agent)
        else:
            # What was to be traced has gone before it could be, or the pods are not known yet.
            self.state.failure = None
            self._settle()
            await self._pause(_RETRY_SECONDS[-1])

    @property
    def _watchable(self) -> Mapping[str, agent_pb2.Pod]:
        """The pods that the agent is to watch, as far as it can."""
        return self._watched if self._can_watch else {}

    async def _follow(self, agent: Endpoint) -> None:
        if self._wanted or self._watchable:
            await self._start(agent)
        self._followed = agent
        adding = asyncio.create_task(self._add_later(agent))
        try:
            request = self._trace_request
            with request.streams.opened(request.report_seconds) as interval:
                pace = Pace(interval)
                async for report in self._calls.watch(agent, request.session_uid, interval):
                    pace.heard()
                    final = report.final
                    self._take(report)
                    # It is kept packed; read it takes eight times the memory, and the next one comes in seconds.
                    del report
                    if final:
                        return
        finally:
            adding.cancel()
            self._followed = None
        raise AgentUnavailableError(f"the agent on node {self._node} ended its reports without a final one")

    async def _start(self, agent: Endpoint) -> None:
        self._kick.clear()
        containers, watched = list(self._wanted.values()), dict(self._watchable)
        request = agent_pb2.StartTraceRequest(
            session_uid=self._trace_request.session_uid,
            session_name=self._trace_request.session_name,
            containers=[container.message() for container in containers],
            pods=list(watched.values()),
            syscalls=self._trace_request.syscalls,
            duration_milliseconds=max(1, self._trace_request.remaining()),
            lease_seconds=LEASE_SECONDS,
            views=self._trace_request.views(),
            redact=self._trace_request.redact,
            elapsed_milliseconds=(elapsed := 0 if self.state.has_counted else self._trace_request.elapsed()),
        )
        self.asked = True
        response = await self._calls.start(agent, request)
        if response.agent_id not in self.state.described:
            # It was restarted since it was asked.
            self._trace_request.descriptions.forget(agent)
            await self._describe(agent)
        # It is the process that was asked.
        self._remembered = False
        try:
            reports.check_states(response.containers, self._trace_request.namespace)
        except InvalidReportError as error:
            raise InvalidRequestError(
                f"the answer of the agent on node {self._node} was refused: {error}", _INVALID
            ) from error
        sent = {container.container_id for container in containers}
        self._sent = sent if response.agent_id != self.state.agent_id else self._sent | sent
        self._told = watched
        self.state.started(response, counts_first_calls=self._can_watch)
        self._waits_since_before = bool(watched) and not elapsed
        self._settle()

    async def _add_later(self, agent: Endpoint) -> None:
        """Send containers that come while the trace runs."""
        while True:
            # What could not be traced at first may be possible later: a slot is free, the runtime has caught up.
            await self._pause(_AGAIN_SECONDS)
            self._kick.clear()
            failed = {state.container.container_id for state in self.state.states() if not is_traced(state)}
            runs = self._waits and self._trace_request.elapsed() > 0
            if not self._wanted.keys() - (self._sent - failed) and not self._has_news() and not runs:
                continue
            try:
                await self._start(agent)
            except AgentError as error:
                _log.info("%s: %s", self._trace_request.session_name, error)

    def _has_news(self) -> bool:
        """Tell whether there are pods that the agent does not know, or knows otherwise."""
        return any(self._told.get(uid) != pod for uid, pod in self._watchable.items())

    def _forget_description(self) -> bool:
        """Have the agent asked again: it may be another process. False: this attempt has asked it."""
        if self._tried is not None:
            self._trace_request.descriptions.forget(self._tried)
        remembered, self._remembered = self._remembered, False
        return remembered

    async def _describe(self, agent: Endpoint) -> None:
        """Ask an agent for its cgroup mode and for what it can do, unless it has said so lately."""
        known = self._trace_request.descriptions
        # Another process than the one that can redact would be told too late.
        described = None if self._trace_request.redact else known.of(agent)
        self._remembered = described is not None
        if described is None:
            # As patient as with the start of a trace: a node with many sessions answers late.
            described = await self._calls.describe(agent, within_seconds=START_SECONDS)
            known.note(agent, described)
        if self._trace_request.redact and not described.redacts:
            # It would drop the patterns as fields that it does not know, and show everything.
            version = f" ({described.agent_version})" if described.agent_version else ""
            raise InvalidRequestError(
                f"the agent on node {self._node}{version} does not know spec.redact: update it", "CannotRedact"
            )
        self._can_watch = described.watches_pods
        self.state.described[described.agent_id] = described
        self.state.architecture = described.architecture
        self.state.cgroup_mode = _CGROUP_MODES.get(described.cgroup_mode, "")

    def _take(self, report: agent_pb2.Report) -> None:
        request = self._trace_request
        try:
            reports.check(report, session_uid=request.session_uid, node=self._node, namespace=request.namespace)
            self.state.take(report)
            metrics.report(accepted=True)
        except InvalidReportError as error:
            metrics.report(accepted=False)
            if not self.state.refused:
                self._notify(_INVALID, f"a report of the agent on node {self._node} was refused: {error}")
            self.state.refuse(str(error))
            # What is refused keeps nothing waiting.
            self.finished = self.finished or report.final
            self._settle()
            return
        if (
            report.final
            and report.end_reason == agent_pb2.END_REASON_AGENT_SHUTDOWN
            and self._trace_request.remaining() > 0
        ):
            # The agent is being replaced: the next one on this node takes over.
            raise AgentUnavailableError(f"the agent on node {self._node} was shut down")
        self.finished = self.finished or report.final
        self._settle()

    def _fail(self, error: AgentError) -> None:
        if self.state.failure is None and self.state.reports:
            self._notify("AgentLost", str(error))
        reason = (error.reason or "NodeFull") if isinstance(error, AgentFullError) else "AgentUnavailable"
        pods = targets.listed(sorted({container.pod for container in self._wanted.values()}))
        message = f"{error}; not traced there: {pods}" if pods else str(error)
        self.state.failure = Failure(reason, message, self._node)
        self._settle()

    def _give_up(self, error: AgentError) -> None:
        default = "InvalidSpec" if isinstance(error, InvalidRequestError) else "UnsupportedKernel"
        self.state.failure = Failure(error.reason or default, str(error), self._node)
        self._finish()

    async def _pause(self, seconds: float) -> None:
        """Wait; other containers or another agent end the wait, also those that came before it.

        Whoever reads what is wanted clears the kick just before: so none that comes during a request is lost.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._kick.wait()

    def _finish(self) -> None:
        self.finished = True
        self._settle()

    def _settle(self) -> None:
        self.settled = True
        self._changed()
