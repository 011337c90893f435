"""A small world for the operator: an API server, agents and time that pass only as far as a test needs them."""

import asyncio
import functools
import math
import selectors
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from kubestrace_operator.agents.client import (
    AgentUnavailableError,
    Endpoint,
    InvalidRequestError,
    TraceNotFoundError,
)
from kubestrace_operator.api.spec import Selector, Workload
from kubestrace_operator.kube.errors import ClusterError, NotFoundError, RejectedError
from kubestrace_operator.kube.session_rows import SessionRow
from kubestrace_operator.sessions.admission import Places
from kubestrace_operator.sessions.container_seconds import Ledger
from kubestrace_operator.sessions.descriptions import Descriptions
from kubestrace_operator.sessions.interfaces import Dependencies
from kubestrace_operator.sessions.session import Session
from kubestrace_operator.sessions.trace_index import TraceIndex
from kubestrace_operator.views.registry import VIEWS
from kubestrace_protos.v1 import agent_pb2

TRACING = agent_pb2.ContainerState.PHASE_TRACING
ENDED = agent_pb2.ContainerState.PHASE_ENDED
FAILED = agent_pb2.ContainerState.PHASE_FAILED
CALLS_A_SECOND = 10
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)

Document = dict[str, Any]


class _JumpingSelector(selectors.DefaultSelector):
    """Waits for nothing: when nothing is ready, the time that would have been waited has passed."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready now."""
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("everything waits for something that never comes")
            self.now += timeout
        return ready


class _JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop in whose time an hour passes at once."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return seconds since the loop was made."""
        return self._jumping.now


def in_no_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test in a loop whose time jumps."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        with asyncio.Runner(loop_factory=_JumpingLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run


def now() -> datetime:
    """Return the loop's time as a date."""
    return BEGIN + timedelta(seconds=asyncio.get_running_loop().time())


def clock() -> float:
    """Return the loop's time."""
    return asyncio.get_running_loop().time()


def now_ns() -> int:
    """Return the loop's time as the wire has it."""
    return int(now().timestamp() * 1e9)


def pod(name: str, node: str = "n1", **changes: Any) -> Document:
    """Return a running pod with one container, as pods.trimmed gives it."""
    restarts = changes.pop("restarts", 0)
    state = changes.pop("state", {"running": {}})
    containers = changes.pop("containers", ["app"])
    return {
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": f"uid-{name}",
            "labels": changes.pop("labels", {"app": "shop"}),
            "ownerReferences": changes.pop("owners", []),
            "creationTimestamp": changes.pop("created", "2026-01-01T00:00:00Z"),
        },
        "spec": {
            "nodeName": node,
            "containers": [{"name": each} for each in containers],
            "initContainers": changes.pop("init", []),
            "ephemeralContainers": [],
        },
        "status": {
            "phase": changes.pop("phase", "Running"),
            "containerStatuses": [
                {
                    "name": each,
                    "containerID": f"containerd://{name}-{each}-{restarts}",
                    "restartCount": restarts,
                    "state": state,
                }
                for each in containers
            ],
            "initContainerStatuses": [],
            **changes,
        },
    }


class FakeTrace:
    """One session on one agent."""

    def __init__(self, end: float) -> None:
        self.begin_ns = now_ns()
        self.end = end
        self.containers: dict[str, tuple[agent_pb2.Container, float]] = {}
        self.duration = 0.0
        self.pods: dict[str, agent_pb2.Pod] = {}
        # By container ID, without the runtime: how it ended.
        self.exit_codes: dict[str, int] = {}
        self.views: set[str] = set()
        self.reason = agent_pb2.END_REASON_UNSPECIFIED
        self.stopped_at: float | None = None


class FakeAgent:
    """Counts ten getppid a second in each container, of which one fails."""

    def __init__(self, node: str) -> None:
        self.node = node
        self.lives = 1
        self.answers = True
        self.ready = True
        self.refuses: Exception | None = None
        # Before it answers that it has started a trace.
        self.start_seconds = 0.0
        # Before its first report.
        self.report_seconds = 0.0
        self.unknown: set[str] = set()
        self.described = agent_pb2.DescribeResponse(
            can_trace=True, cgroup_mode=agent_pb2.CGROUP_MODE_UNIFIED, watches_pods=True, redacts=True
        )
        self.described.views.extend(agent_pb2.ViewSupport(name=view.name, available=True) for view in VIEWS)
        self.traces: dict[str, FakeTrace] = {}
        self.sequence = 0
        self.requests: list[agent_pb2.StartTraceRequest] = []
        self.stops: list[str] = []

    @property
    def agent_id(self) -> str:
        """Another one in each life."""
        return f"{self.node}-{self.lives}"

    def become_older_than_views(self) -> None:
        """Be an agent that knows no views: it lists none, and drops the requests for them as unknown fields."""
        del self.described.views[:]

    def become_older_than_pods(self) -> None:
        """Be an agent that knows no pods to watch: it does not say that it does, and drops or refuses them."""
        self.described.watches_pods = False

    def restart(self) -> None:
        """Forget everything and be another agent."""
        self.traces.clear()
        self.lives += 1
        self.answers = self.ready = True

    def state(self, container: agent_pb2.Container) -> agent_pb2.ContainerState:
        """Return how a container is doing."""
        if container.container_id in self.unknown:
            return agent_pb2.ContainerState(
                container=container, phase=FAILED, reason="CgroupNotFound", message="no cgroup"
            )
        return agent_pb2.ContainerState(container=container, phase=TRACING, pid=1, host_pid=4711)

    def live(self, uid: str, restarts: int, exit_code: int = 3, name: str = "app") -> None:
        """Have a container of the only watched pod live for a moment, seen by this agent alone."""
        trace, clock = self.traces[uid], asyncio.get_running_loop().time()
        if not trace.containers:
            trace.begin_ns, trace.end = now_ns(), clock + trace.duration
        (pod,) = trace.pods.values()
        found = f"{pod.name}-{name}-{restarts}"
        trace.exit_codes[found] = exit_code
        trace.containers[found] = (
            agent_pb2.Container(
                pod_uid=pod.uid,
                pod_namespace=pod.namespace,
                pod_name=pod.name,
                container_name=name,
                container_id=found,
                restart_count=restarts,
                kind=pod.kinds[name],
            ),
            clock,
        )

    def report(self, uid: str) -> agent_pb2.Report:
        """Return what was counted of a session so far."""
        trace = self.traces[uid]
        clock = asyncio.get_running_loop().time()
        over = trace.stopped_at is not None or clock >= trace.end
        if over and not trace.reason:
            trace.reason = agent_pb2.END_REASON_COMPLETED
        until = min(clock, trace.end, trace.stopped_at if trace.stopped_at is not None else clock)
        self.sequence += 1
        report = agent_pb2.Report(
            session_uid=uid,
            node=self.node,
            agent_id=self.agent_id,
            sequence=self.sequence,
            final=over,
            end_reason=trace.reason,
            start_time_unix_nanoseconds=trace.begin_ns,
            time_unix_nanoseconds=now_ns(),
        )
        for container, since in trace.containers.values():
            each = report.containers.add(state=self.state(container))
            if container.container_id in trace.exit_codes:
                each.state.exit_code, each.state.exit_reason = trace.exit_codes[container.container_id], "Error"
            if each.state.phase == TRACING:
                calls = int((until - since) * CALLS_A_SECOND)
                each.syscalls.add(name="getppid", calls=calls, errors=1, timed=calls, total_nanoseconds=calls * 100)
                for view in VIEWS:
                    if view.name in trace.views & {support.name for support in self.described.views}:
                        each.views[view.name].Pack(view.result_type())
        return report


class FakeAgents:
    """The calls to all agents, and which of them are ready."""

    def __init__(self, *nodes: str) -> None:
        self.by_node = {node: FakeAgent(node) for node in nodes}
        self.listeners: set[asyncio.Event] = set()

    def __getitem__(self, node: str) -> FakeAgent:
        return self.by_node[node]

    def changed(self) -> None:
        """Tell sessions that agents came or went."""
        for listener in self.listeners:
            listener.set()

    def on(self, node: str) -> Endpoint | None:
        """Return the ready agent of a node."""
        agent = self.by_node.get(node)
        return Endpoint(node, f"{node}:9640") if agent and agent.ready else None

    def all(self) -> list[Endpoint]:
        """Return all ready agents."""
        return [Endpoint(node, f"{node}:9640") for node, agent in self.by_node.items() if agent.ready]

    def subscribe(self, event: asyncio.Event) -> None:
        """Set this event whenever agents come or go."""
        self.listeners.add(event)

    def unsubscribe(self, event: asyncio.Event) -> None:
        """Stop setting it."""
        self.listeners.discard(event)

    async def describe(
        self, agent: Endpoint, syscalls: Sequence[str] = (), *, within_seconds: float = 0
    ) -> agent_pb2.DescribeResponse:
        """Know few syscalls."""
        answer = agent_pb2.DescribeResponse()
        answer.CopyFrom(self._agent(agent).described)
        answer.agent_id = self._agent(agent).agent_id
        known = {"getppid", "openat", "%file"}
        answer.syscall_problems.extend(f"{each}: did you mean openat." for each in syscalls if each not in known)
        return answer

    async def start(self, agent: Endpoint, request: agent_pb2.StartTraceRequest) -> agent_pb2.StartTraceResponse:
        """Start a trace or add to it, as the real agent does."""
        fake = self._agent(agent)
        fake.requests.append(request)
        if fake.refuses:
            raise fake.refuses
        if request.pods and not fake.described.watches_pods:
            raise InvalidRequestError("the request has fields that this agent does not know (9)", "UnknownRequest")
        clock = asyncio.get_running_loop().time()
        created = request.session_uid not in fake.traces
        trace = fake.traces.setdefault(request.session_uid, FakeTrace(math.inf))
        trace.duration = request.duration_milliseconds / 1000
        trace.pods |= {each.uid: each for each in request.pods}
        if request.containers and not trace.containers:
            trace.end = clock + trace.duration
        trace.views |= set(request.views)
        for container in request.containers:
            bare = container.container_id.rpartition("://")[2]
            known = bare if bare in trace.containers else container.container_id
            trace.containers.setdefault(known, (container, clock))
        await asyncio.sleep(fake.start_seconds)
        return agent_pb2.StartTraceResponse(
            agent_id=fake.agent_id,
            created=created,
            containers=[fake.state(container) for container, _ in trace.containers.values()],
            start_time_unix_nanoseconds=trace.begin_ns,
        )

    async def stop(self, agent: Endpoint, session_uid: str) -> agent_pb2.Report:
        """End a trace."""
        fake = self._agent(agent)
        fake.stops.append(session_uid)
        trace = self._trace(fake, session_uid)
        if not trace.reason:
            trace.reason, trace.stopped_at = agent_pb2.END_REASON_STOPPED, asyncio.get_running_loop().time()
        return fake.report(session_uid)

    async def traces(self, agent: Endpoint) -> agent_pb2.ListTracesResponse:
        """List running and kept traces."""
        uids = self._agent(agent).traces
        return agent_pb2.ListTracesResponse(traces=[agent_pb2.TraceSummary(session_uid=uid) for uid in uids])

    async def watch(
        self, agent: Endpoint, session_uid: str, interval_seconds: float = 1.0
    ) -> AsyncIterator[agent_pb2.Report]:
        """Report once an interval."""
        await asyncio.sleep(self._agent(agent).report_seconds)
        while True:
            fake = self._agent(agent)
            trace = self._trace(fake, session_uid)
            report = fake.report(session_uid)
            yield report
            if report.final:
                return
            await asyncio.sleep(min(interval_seconds, max(0.001, trace.end - asyncio.get_running_loop().time())))

    def _agent(self, agent: Endpoint) -> FakeAgent:
        fake = self.by_node[agent.node]
        if not fake.answers:
            raise AgentUnavailableError(f"the agent on node {agent.node} does not answer")
        return fake

    def _trace(self, fake: FakeAgent, session_uid: str) -> FakeTrace:
        if session_uid not in fake.traces:
            raise TraceNotFoundError("no such trace")
        return fake.traces[session_uid]


class FakeCluster:
    """Pods that a test may change, sessions' objects, and every status that was written."""

    def __init__(self, *pods: Document) -> None:
        self.current = list(pods)
        self.services_by_address: dict[str, str] = {}
        self.refuses_services = False
        self.labels: dict[str, str] = {}
        # Raised when the namespace is read.
        self.hides_namespace: ClusterError | None = None
        # The namespaces whose pods were asked for.
        self.asked: list[str] = []
        self.workloads: dict[Workload, Selector] = {}
        self.written: list[Document] = []
        # Of each status that was to replace one: its phase, and whether somebody waits for it.
        self.awaited: list[tuple[str, bool]] = []
        # The status as the API server has it.
        self.status: Document = {}
        self.objects: dict[str, Document] = {}
        self.held: set[str] = set()
        # What was done to finalizers: added, or taken away.
        self.finalizers: list[bool] = []
        self.deleted: list[str] = []
        # Raised by a write of a status, or of a finalizer.
        self.failing: Callable[[Mapping[str, Any]], Exception | None] = lambda _: None
        self.error: ClusterError | None = None
        # Seconds before pods are listed; the error that listing them gives.
        self.slow = 0.0
        self.forbids: ClusterError | None = None
        # Seconds before a session is given by its name.
        self.slow_baseline = 0.0
        self._changed = asyncio.Event()

    def become(self, *pods: Document) -> None:
        """Let these be the pods from now on."""
        self.current = list(pods)
        self._changed.set()

    async def pods(
        self, namespace: str, *, failing: Callable[[ClusterError], None] | None = None
    ) -> AsyncIterator[dict[str, Document | None]]:
        """Yield the pods, then what changes; before, the API server may fail or be slow."""
        await asyncio.sleep(self.slow)
        while self.forbids is not None:
            assert failing is not None
            failing(self.forbids)
            await asyncio.sleep(1)
        self.asked.append(namespace)
        known: dict[str, Document] = {}
        while True:
            current = {each["metadata"]["uid"]: each for each in self.current}
            gone = dict.fromkeys(known.keys() - current.keys())
            yield {**{uid: each for uid, each in current.items() if known.get(uid) != each}, **gone}
            known = current
            await self._changed.wait()
            self._changed.clear()

    async def services(self, namespace: str) -> dict[str, str]:
        """Return what the test said."""
        if self.refuses_services:
            raise RejectedError("services is forbidden")
        return self.services_by_address

    async def namespace_labels(self, namespace: str) -> Mapping[str, str]:
        """Return what the test said."""
        if self.hides_namespace:
            raise self.hides_namespace
        return self.labels

    async def workload_selector(self, namespace: str, workload: Workload) -> Selector | None:
        """Return what the test said."""
        return self.workloads.get(workload)

    async def session(self, row: SessionRow) -> Mapping[str, Any]:
        """Return a session's object."""
        if row.uid not in self.objects:
            raise NotFoundError("gone")
        return {"status": self.status, **self.objects[row.uid]}

    async def session_named(self, namespace: str, name: str) -> Mapping[str, Any]:
        """Return a session's object, by what the test called it."""
        await asyncio.sleep(self.slow_baseline)
        if self.error:
            raise self.error
        if name not in self.objects:
            raise NotFoundError("gone")
        return self.objects[name]

    async def write_status(self, row: SessionRow, status: Mapping[str, Any], *, awaited: bool = True) -> None:
        """Replace the status, unless the API server fails."""
        self.awaited.append((str(status["phase"]), awaited))
        self._write(dict(status))

    async def amend_status(self, row: SessionRow, parts: Mapping[str, Any]) -> None:
        """Replace parts of the status, unless the API server fails."""
        self._write(self.status | dict(parts))

    def _write(self, status: Document) -> None:
        error = self.failing(status)
        if error is not None:
            raise error
        self.written.append(status)
        self.status = status

    async def delete_session(self, row: SessionRow) -> None:
        """Note that a session is deleted."""
        self.deleted.append(row.name)

    async def set_finalizer(self, row: SessionRow, finalizer: str, *, present: bool) -> None:
        """Hold or release."""
        if self.error:
            raise self.error
        self.finalizers.append(present)
        (self.held.add if present else self.held.discard)(row.uid)


async def _at_once(work: Callable[[], Any], /, *, long: bool = False) -> Any:
    """Do in the event loop what would be done beside it: time must not jump meanwhile."""
    return work()


def _let_go() -> asyncio.Future[None]:
    """Take away the finalizer of an object that has none."""
    done = asyncio.get_running_loop().create_future()
    done.set_result(None)
    return done


class Stage:
    """One session in its dependencies."""

    def __init__(self, *pods: Document, nodes: Sequence[str] = ("n1", "n2")) -> None:
        self.cluster = FakeCluster(*pods)
        self.agents = FakeAgents(*nodes)
        self.events: list[tuple[str, str, str]] = []
        self.places = Places()
        self.ledger = Ledger(now=now, clock=clock)
        # The world's clock as the operator sees it.
        self.now: Callable[[], datetime] = now
        # None: each session knows only what it has heard itself.
        self.descriptions: Descriptions | None = None
        self.only_enabled = False
        self.requesters_proven = False
        # Of events of which a session has one each.
        self.keys: list[str] = []

    @property
    def dependencies(self) -> Dependencies:
        """The fakes as a session takes them."""
        return Dependencies(
            self.cluster,
            self.agents,
            self.agents,
            now=self.now,
            offload=_at_once,
            only_enabled_namespaces=self.only_enabled,
            requesters_proven=self.requesters_proven,
            places=self.places,
            ledger=self.ledger,
            descriptions=self.descriptions or Descriptions(),
        )

    def session(self, known: Mapping[str, Any] | None = None, **spec: Any) -> Session:
        """Return a session of ten seconds over all pods with app=shop, without any view that is not named."""
        target = {"selector": {"matchLabels": {"app": "shop"}}}
        spec = {"target": target, "durationSeconds": 10, "profile": "Counts"} | spec
        body = {"metadata": {"generation": 1}, "spec": spec, "status": known or {}}
        index = TraceIndex(self.agents, self.agents)
        row = SessionRow("u1", "shop", "s1", "1")
        return Session(row, body, self.dependencies, index, self._note, _let_go)

    def _note(self, kind: str, reason: str, message: str, key: str = "") -> None:
        self.events.append((kind, reason, message))
        self.keys += [key] * bool(key)

    async def run(self, **spec: Any) -> Document:
        """Run a session to its end and return its status."""
        await self.session(**spec).run()
        return self.cluster.status

    def condition(self, kind: str) -> tuple[str, str]:
        """Return a condition's status and reason."""
        found = next(each for each in self.cluster.status["conditions"] if each["type"] == kind)
        return found["status"], found["reason"]

    def message(self) -> str:
        """Return what the session says of its end."""
        return str(next(each for each in self.cluster.status["conditions"] if each["type"] == "Finished")["message"])
