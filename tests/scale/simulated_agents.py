"""Node agents that only count in numbers made up here: real gRPC servers with the operator's own certificates.

They answer as an agent does, at once, and note when they were told what.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import grpc

from kubestrace_protos.v1 import agent_pb2, agent_pb2_grpc
from kubestrace_protos.v1.views import counters_pb2

# As the agents have it.
_MAX_CONTAINERS = 1024
_TOO_MANY = (("kubestrace-reason", "TooManyContainers"),)
_VIEW = "counters"
TRACING = agent_pb2.ContainerState.PHASE_TRACING


class SimulatedAgent(agent_pb2_grpc.AgentServicer):
    """One node's agent."""

    def __init__(
        self, node: str, rows: int | Callable[[str], int] = 60, *, watches_pods: bool = False, grows: bool = False
    ) -> None:
        """`rows` are the system calls that a container makes, of each or by its ID.

        `watches_pods`: it says that it counts containers from their first call. `grows`: each report has more
        calls than the one before, so that a result that lacks the last one has too few.
        """
        self.node = node
        # When StartTrace and StopTrace were called, by session UID (time.monotonic).
        self.started: dict[str, float] = {}
        self.stopped: dict[str, float] = {}
        self.calls = 0
        # What it says of its node instead.
        self.description: agent_pb2.DescribeResponse | None = None
        # WatchTrace: how many streams are open, and when the last one was opened, by session UID.
        self.watching: Counter[str] = Counter()
        self.watched: dict[str, float] = {}
        # Calls of all containers in the final report, by session UID.
        self.counted: dict[str, int] = {}
        self._rows = rows
        self._watches_pods = watches_pods
        self._grows = grows
        self._templates: dict[str, bytes] = {}
        self._finals: dict[str, bytes] = {}
        self._ends: dict[str, float] = {}
        self._begins: dict[str, int] = {}
        self._containers: dict[str, dict[str, agent_pb2.Container]] = {}
        self._sequence = 0
        self._server: grpc.aio.Server | None = None

    async def serve(self, address: str, certificate: bytes, key: bytes, ca: bytes) -> None:
        """Listen."""
        credentials = grpc.ssl_server_credentials([(key, certificate)], ca, require_client_auth=True)
        self._server = grpc.aio.server()
        agent_pb2_grpc.add_AgentServicer_to_server(self, self._server)
        self._server.add_secure_port(address, credentials)
        await self._server.start()

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            await self._server.stop(None)

    async def Describe(self, request: Any, _: Any) -> agent_pb2.DescribeResponse:  # noqa: N802
        """Know every call."""
        return self.description or agent_pb2.DescribeResponse(
            node=self.node,
            agent_id=self.node,
            can_trace=True,
            cgroup_mode=agent_pb2.CGROUP_MODE_UNIFIED,
            watches_pods=self._watches_pods,
            # The one that sessions have by themselves.
            views=[agent_pb2.ViewSupport(name=_VIEW, available=True)],
        )

    async def StartTrace(self, request: Any, context: Any) -> agent_pb2.StartTraceResponse:  # noqa: N802
        """Begin, or add containers."""
        uid = request.session_uid
        self.calls += 1
        created = uid not in self._ends
        if created:
            self.started[uid] = time.monotonic()
            self._ends[uid] = time.monotonic() + request.duration_milliseconds / 1000
            self._begins[uid] = time.time_ns()
        containers = self._containers.setdefault(uid, {})
        if len(containers.keys() | {each.container_id for each in request.containers}) > _MAX_CONTAINERS:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many containers", _TOO_MANY)
        containers.update({each.container_id: each for each in request.containers})
        return agent_pb2.StartTraceResponse(
            agent_id=self.node,
            created=created,
            containers=[self._state(uid, each) for each in containers.values()],
            start_time_unix_nanoseconds=self._begins[uid],
        )

    async def WatchTrace(self, request: Any, context: Any) -> AsyncIterator[agent_pb2.Report]:  # noqa: N802
        """Report until the end."""
        uid = request.session_uid
        if uid not in self._ends:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such trace")
        self.watching[uid] += 1
        self.watched[uid] = time.monotonic()
        try:
            while True:
                report = self._report(uid)
                yield report
                if report.final:
                    return
                left = self._ends[uid] - time.monotonic()
                await asyncio.sleep(max(0.0, min(request.interval_milliseconds / 1000, left)))
        finally:
            self.watching[uid] -= 1

    async def StopTrace(self, request: Any, context: Any) -> agent_pb2.StopTraceResponse:  # noqa: N802
        """End a trace."""
        self.calls += 1
        uid = request.session_uid
        self.stopped.setdefault(uid, time.monotonic())
        if uid not in self._ends:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such trace")
        self._ends[uid] = min(self._ends[uid], time.monotonic())
        return agent_pb2.StopTraceResponse(report=self._report(uid))

    async def ListTraces(self, _: Any, __: Any) -> agent_pb2.ListTracesResponse:  # noqa: N802
        """Tell all."""
        self.calls += 1
        return agent_pb2.ListTracesResponse(
            agent_id=self.node, traces=[agent_pb2.TraceSummary(session_uid=uid) for uid in self._ends]
        )

    def _state(self, uid: str, container: agent_pb2.Container) -> agent_pb2.ContainerState:
        return agent_pb2.ContainerState(
            container=container, phase=TRACING, pid=1, start_time_unix_nanoseconds=self._begins[uid]
        )

    def _report(self, uid: str) -> agent_pb2.Report:
        if uid in self._finals:
            return agent_pb2.Report.FromString(self._finals[uid])
        self._sequence += 1
        final = time.monotonic() >= self._ends[uid]
        report = agent_pb2.Report(
            session_uid=uid,
            node=self.node,
            agent_id=self.node,
            sequence=self._sequence,
            final=final,
            end_reason=agent_pb2.END_REASON_COMPLETED if final else agent_pb2.END_REASON_UNSPECIFIED,
            start_time_unix_nanoseconds=self._begins[uid],
            time_unix_nanoseconds=time.time_ns(),
        )
        for container in self._containers[uid].values():
            each = report.containers.add()
            each.MergeFromString(self._counts(container.container_id))
            each.syscalls[0].calls += self._sequence if self._grows else 0
            each.state.CopyFrom(self._state(uid, container))
        if final:
            self.counted[uid] = sum(row.calls for each in report.containers for row in each.syscalls)
            # Whoever asks again gets the same, as from an agent.
            self._finals[uid] = report.SerializeToString()
        return report

    def _counts(self, container_id: str) -> bytes:
        """Return a container's rows, made once."""
        if container_id not in self._templates:
            rows = self._rows if isinstance(self._rows, int) else self._rows(container_id)
            self._templates[container_id] = _container(rows).SerializeToString()
        return self._templates[container_id]


def _container(rows: int) -> agent_pb2.ContainerReport:
    made = agent_pb2.ContainerReport()
    made.views[_VIEW].Pack(counters_pb2.CountersResult())
    for row in range(rows):
        counts = made.syscalls.add(name=f"call_{row}", calls=1000, errors=10, timed=1000, max_nanoseconds=10**6)
        counts.total_nanoseconds = 10**9 - row
        counts.errnos.add(name="ENOENT", count=10)
        counts.latency.buckets.extend(range(50, 70))
        counts.latency.counts.extend([50] * 20)
    return made


def when(agents: Sequence[SimulatedAgent], uid: str, what: str) -> float | None:
    """Return when an agent was first told to start ("started") or stop ("stopped") a session's trace."""
    return min((found for agent in agents if (found := getattr(agent, what).get(uid)) is not None), default=None)
