"""One TraceSession from end to end.

A session finds its pods, has every node that runs one traced, follows both, and writes what comes of it. It survives
the loss of any of them, and of this process: everything that it needs to go on is in its status and in the agents.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from functools import partial
from itertools import pairwise
from typing import Any, Protocol

from google.protobuf.any_pb2 import Any as Packed

from kubestrace_operator import metrics
from kubestrace_operator.agents.client import AgentError
from kubestrace_operator.agents.reports import MAX_MESSAGE, text
from kubestrace_operator.api import applied, conditions
from kubestrace_operator.api.conditions import Outcome
from kubestrace_operator.api.spec import InvalidSpecError, Target, TraceSpec, parse
from kubestrace_operator.comparison.baseline import Compared
from kubestrace_operator.kube.errors import ClusterError, RejectedError
from kubestrace_operator.kube.pods import PodChanges
from kubestrace_operator.kube.session_rows import SessionRow
from kubestrace_operator.kube.status_writer import StatusWriter, growing, write_last
from kubestrace_operator.sessions import baselines, outcomes, remaining_traces, targets
from kubestrace_operator.sessions.admission import Admission
from kubestrace_operator.sessions.clock import Schedule
from kubestrace_operator.sessions.interfaces import ClusterCalls, Dependencies
from kubestrace_operator.sessions.latency import Latency
from kubestrace_operator.sessions.node import LEASE_SECONDS, NodeTrace, TraceRequest
from kubestrace_operator.sessions.pod_watcher import PodWatcher
from kubestrace_operator.sessions.session_state import SessionState
from kubestrace_operator.sessions.targets import Found
from kubestrace_operator.sessions.trace_index import TraceIndex
from kubestrace_operator.views import registry
from kubestrace_operator.views.view import Span
from kubestrace_protos.v1 import expressions


class Notify(Protocol):
    """Takes type, reason and message of an event; of those with one key a session has one."""

    def __call__(self, kind: str, reason: str, message: str, key: str = "") -> None:
        """Post it some time."""


# Reports of a node in a session: what an agent counts after its last report is lost with it.
_REPORTS = 15
_REPORT_MOST_SECONDS = 4.0
_MAX_PROBLEMS = 128
_LET_GO_SECONDS = 0.5


class Session:
    """One TraceSession, from what its object says to a terminal status."""

    def __init__(
        self,
        row: SessionRow,
        body: Mapping[str, Any],
        dependencies: Dependencies,
        index: TraceIndex,
        notify: Notify,
        let_go: Callable[[], asyncio.Future[None]],
    ) -> None:
        """`body` is the session's object; its status is what an earlier operator wrote.

        `index` knows which agents have its traces; `notify` posts events; `let_go` takes the object's finalizer away.
        """
        self.row = row
        self._raw_spec = applied.spec(body)
        self._cluster = dependencies.cluster
        self._calls = dependencies.agents
        self._directory = dependencies.directory
        self._timing = dependencies.timing
        self._index = index
        self._notify = notify
        self._let_go = let_go
        self._now = dependencies.now
        self._offload = dependencies.offload
        self._streams = dependencies.streams
        self._descriptions = dependencies.descriptions
        generation = body["metadata"].get("generation", 1)
        self._state = SessionState(generation, body.get("status") or {}, dependencies.now)
        self._writer = StatusWriter(self._write, self._document, self._intervals(), self._vanish)
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._schedule = Schedule(self._state, dependencies.timing, dependencies.now)
        self._nodes: dict[str, NodeTrace] = {}
        # An earlier operator may have started traces on nodes that are not found yet.
        self._resumed = self._state.start is not None
        self._latency = Latency(resumed=self._resumed)
        # None: not parsed, or it cannot be served.
        self._spec: TraceSpec | None = None
        # Nodes whose agents have said that they stopped its trace, by stop_traces.
        self._stopped: set[str] = set()
        self._gone = False
        self._cancelled = False
        self._suspended = False
        # Of the status that was written last; empty: none was.
        self._written_phase = ""
        # An earlier operator has written that this generation is suspended.
        known = body.get("status") or {}
        self._known_as_suspended = (known.get("phase"), known.get("observedGeneration")) == (
            conditions.SUSPENDED,
            generation,
        )
        created = str(body["metadata"].get("creationTimestamp") or "")
        self._admission = Admission(dependencies.places, row.namespace, row.uid, created)
        self._only_enabled = dependencies.only_enabled_namespaces
        self._ledger = dependencies.ledger
        # What its status says that it has used: before it was suspended, or under an earlier operator.
        self._used_before: int = known.get("containerSeconds") or 0
        self._state.container_seconds = self._container_seconds
        # Those of an earlier operator's last status.
        self._containers_before = len(known.get("containers") or ())
        # It has its turn among the sessions of its namespace.
        self._entered = False
        # Nodes that count, as of the last look.
        self._counting = 0
        # Agents that were lost, as of the last look.
        self._agents_lost = 0
        # Nodes that were asked for their final reports.
        self._asked: set[str] = set()
        self._idle_asked = False
        self._crash: BaseException | None = None
        # None: not checked yet.
        self._problems: tuple[str, ...] | None = None
        # What the nodes were last told of.
        self._ordered: Found | None = None
        self._shows_peers = False
        # What the nodes were last asked for of the views, and of which time.
        self._views_asked: tuple[Span, Mapping[str, Packed]] | None = None
        self._pods = PodWatcher(dependencies.cluster, row.namespace, dependencies.timing.retry, self._note_pods)

    def change(self, spec: Mapping[str, Any], generation: int) -> None:
        """Take over a changed spec: of a session that runs a person may set cancel or suspend."""
        self._state.generation = max(generation, self._state.generation)
        if spec.get("cancel") is True:
            self._cancelled = True
            self._latency.cancelled()
        self._suspended = self._suspended or spec.get("suspend") is True
        self._wake.set()

    def namespace_closed(self) -> None:
        """Ask again whether the namespace may be traced: the watch says that it may not. One that runs goes on."""
        if self._spec is not None and self._state.start is None and not self.suspended:
            self._check_namespace()

    async def run(self) -> None:
        """Serve the session to its end. When this is cancelled the agents go on: another operator takes it up."""
        self._directory.subscribe(self._wake)
        writing = asyncio.create_task(self._writer.run())
        writing.add_done_callback(self._ended)
        try:
            outcome = await self._serve()
            await self._stop_tasks()
            self._writer.close()
            await writing
            await self._finish(outcome)
        finally:
            self._admission.leave()
            self._ledger.leave(self.row.uid)
            self._directory.unsubscribe(self._wake)
            writing.cancel()
            await self._stop_tasks()

    async def give_up(self, error: BaseException) -> None:
        """Write an end for a session that cannot be served; what an earlier operator wrote of its counts stays."""
        await give_up(self._state, self.row, self._cluster, error)

    async def stop_traces(self) -> None:
        """End the session's traces: on the nodes that were asked for one, and wherever an earlier operator may have."""
        agents = {agent for name in self._unstopped() if (agent := self._directory.on(name))}
        if self._resumed:
            agents.update(await self._index.perhaps_tracing(self._trace_uid))
        self._stopped |= await remaining_traces.stop_all(self._trace_uid, self._calls, agents)

    async def stop_remaining(self) -> None:
        """End what traces remain on nodes without a final report, once their agents are back; lasts a lease at most."""
        nodes, uid = self._unstopped(), self._trace_uid
        await remaining_traces.stop(uid, nodes, self._calls, self._directory, LEASE_SECONDS)

    def _unstopped(self) -> list[str]:
        """Return the nodes that may have a trace of the session still."""
        asked = [name for name, node in self._nodes.items() if (node.asked or node.active) and not node.finished]
        return [name for name in asked if name not in self._stopped]

    @property
    def standing(self) -> Outcome:
        """Where it stands."""
        return self._state.outcome

    @property
    def suspended(self) -> bool:
        """Whether it ended to be begun anew when its spec is changed."""
        return self._state.outcome.phase == conditions.SUSPENDED

    @property
    def _trace_uid(self) -> str:
        """The name of the session's traces at the agents, which keep those of before a suspension for a while."""
        times = self._state.suspensions
        return f"{self.row.uid}.{times}" if times else self.row.uid

    async def _serve(self) -> Outcome:
        try:
            spec = parse(self._raw_spec)
        except InvalidSpecError as error:
            return outcomes.invalid(error.problems)
        self._spec = spec
        self._state.filtered = bool(spec.syscalls)
        self._schedule.duration_seconds = spec.duration_seconds
        self._cancelled = self._cancelled or spec.cancel
        self._suspended = self._suspended or spec.suspend
        self._state.views, self._state.duration_seconds = spec.views, spec.duration_seconds
        self._shows_peers = any(view.shows_peers for view, _ in registry.chosen(spec.views))
        self._trace_request = TraceRequest(
            self._trace_uid,
            self.row.path,
            spec.syscalls,
            lambda: int(1000 * self._schedule.remaining),
            lambda: self._view_requests(spec),
            lambda: int(1000 * self._schedule.elapsed) if self._schedule.settled else 0,
            min(max(spec.duration_seconds / _REPORTS, 1.0), _REPORT_MOST_SECONDS),
            spec.redact,
            self._streams,
            self._descriptions,
        )
        if self._state.start is not None:
            self._admission.take_up()
            await self._find_traces(self._state.start)
        else:
            self._check_namespace()
        # At once: until the end it may be deleted.
        self._spawn(self._read_baseline(spec))
        if spec.syscalls and self._state.start is None:
            self._spawn(self._check_syscalls(spec))
        else:
            self._problems = ()
        return await self._until_over(spec)

    def _view_requests(self, spec: TraceSpec) -> Mapping[str, Packed]:
        span = Span(1000 * spec.duration_seconds, int(1000 * self._schedule.elapsed))
        if self._views_asked is None or self._views_asked[0] != span:
            # All nodes of a session that begins are asked for the same.
            self._views_asked = span, registry.requests(spec.views, span)
        return self._views_asked[1]

    def _check_namespace(self) -> None:
        labels, retry = self._cluster.namespace_labels, self._timing.retry
        self._spawn(self._admission.check(labels, retry, self._wake.set, only_enabled=self._only_enabled))

    async def _until_over(self, spec: TraceSpec) -> Outcome:
        while True:
            outcome = await self._ended_early()
            if outcome is not None:
                return outcome
            if not self._enter(spec):
                await self._wake.wait()
                self._wake.clear()
                continue
            self._order_nodes()
            self._note_start()
            self._schedule.follow_clock()
            self._note_lost_agents()
            outcome = self._over() if self._state.start is not None else self._hopeless(spec)
            if outcome is None:
                await self._sleep()
                continue
            if outcome.phase == conditions.FAILED:
                # A trace whose containers could not be found counts nothing, but it is there.
                await self._stop_nodes()
            return outcome

    async def _ended_early(self) -> Outcome | None:
        """Return how it ends before its time, if it does. Raises what a task of it failed with."""
        if self._crash is not None:
            raise self._crash
        if self._gone:
            return Outcome(conditions.CANCELLED, "Deleted", "The session was deleted.")
        if self._problems:
            return outcomes.invalid(self._problems)
        if self._suspended and not self._cancelled:
            await self._stop_nodes()
            return outcomes.suspended(ran=self._state.start is not None)
        if self._cancelled:
            await self._stop_nodes()
            self._note_silent()
            return outcomes.cancelled(self._state.summary(self._schedule.elapsed, final=True))
        if self._state.start is not None and (used_up := self._ledger.used_up(self.row.namespace)):
            await self._stop_nodes()
            return outcomes.quota_used(used_up, self._state.summary(self._schedule.elapsed, final=True))
        return await self._refused()

    async def _refused(self) -> Outcome | None:
        """Return how it ends where its namespace is closed before it runs."""
        if self._state.start is not None or not self._admission.refusal:
            return None
        # Agents may have been asked before it was closed.
        await self._stop_nodes()
        return outcomes.not_authorized(self._admission.refusal)

    def _enter(self, spec: TraceSpec) -> bool:
        """Take the session's turn among those of its namespace; False: it has to wait for others."""
        if self._entered:
            return True
        if not self._admission.enter(self._wake):
            self._say(outcomes.waits_for_place(self._admission.full))
            return False
        if self._state.start is None and (used_up := self._ledger.used_up(self.row.namespace)):
            self._ledger.wait(self.row.uid, self.row.namespace, self._wake)
            self._admission.waited = True
            self._say(outcomes.waits_for_quota(used_up))
            return False
        self._ledger.follow(self.row.uid, self.row.namespace, self._state.containers_now, self._wake)
        if self._state.start is not None:
            self._ledger.take_up(self.row.uid, self._containers_before, self._schedule.elapsed)
        self._entered = True
        if self._admission.waited:
            self._schedule.begin_again()
            self._state.begin_waiting()
        if spec.target is not None:
            self._spawn(self._follow(spec.target))
        return True

    # Pods, patterns, nodes.

    async def _follow(self, target: Target) -> None:
        try:
            await self._pods.run(target, lambda: self._state.chosen, self._found)
        except RejectedError as error:
            self._problems = (f"spec.target: {error}",)
            self._wake.set()

    def _note_pods(self, changes: PodChanges) -> None:
        """Take over names of pods for the addresses of peers, where these are shown."""
        if self._shows_peers:
            self._state.peers.update(changes)

    def _found(self, found: Found | None) -> None:
        if found is not None:
            self._state.note(found)
        self._wake.set()

    async def _read_baseline(self, spec: TraceSpec) -> None:
        self._state.compared = await baselines.read(self._cluster, self.row.namespace, spec)

    async def _check_syscalls(self, spec: TraceSpec) -> None:
        """Check the patterns: expressions here, and what needs the names of the calls by any one agent."""
        wrong = await self._offload(lambda: expressions.problems(spec.syscalls))
        if wrong:
            self._problems = tuple(f"spec.syscalls: {each}" for each in wrong)
        while self._problems is None:
            for agent in self._directory.all():
                with suppress(AgentError):
                    described = await self._calls.describe(agent, spec.syscalls)
                    problems = (text(each, MAX_MESSAGE) for each in described.syscall_problems[:_MAX_PROBLEMS])
                    self._problems = tuple(f"spec.syscalls: {each}" for each in problems)
                    break
            else:
                await asyncio.sleep(self._timing.retry / 4)
        self._wake.set()

    async def _find_traces(self, start: datetime) -> None:
        """Take up the nodes that trace this session already: the operator was restarted."""
        tracing = {agent.node for agent in await self._index.tracing(self._trace_uid)}
        for name in tracing | self._state.nodes_before:
            self._begin_node(name).state.traced_since = int(start.timestamp() * 1e9)

    def _order_nodes(self) -> None:
        """Have every node trace what runs there now."""
        if self._problems is None or self._state.found is None or self._admission.refusal is None:
            return
        # Each report is a reason to look at the session; of hundreds of nodes only what changed is looked at.
        if self._state.found is not self._ordered:
            self._ordered = self._state.found
            self._order_pods(self._ordered)
        runs = self._state.start is not None and self._schedule.settled
        for node in self._nodes.values():
            if runs:
                node.session_runs()
            node.look()

    def _order_pods(self, found: Found) -> None:
        by_node = targets.by_node(found.running)
        watched = targets.watched_by_node(found.pods)
        for name in (by_node.keys() | watched.keys()) - self._nodes.keys():
            self._begin_node(name)
        for name, node in self._nodes.items():
            node.trace(by_node.get(name, ()), watched.get(name, ()))

    def _begin_node(self, name: str) -> NodeTrace:
        node = NodeTrace(name, self._trace_request, self._calls, self._directory.on, self._wake.set, self._warn)
        self._nodes[name] = node
        self._state.nodes[name] = node.state
        self._spawn(node.run())
        return node

    async def _stop_nodes(self) -> None:
        await self._stop_all(self._nodes.values())

    async def _stop_all(self, nodes: Iterable[NodeTrace]) -> None:
        await asyncio.gather(*(node.stop() for node in nodes))

    # Where the session stands.

    def _note_start(self) -> None:
        state = self._state
        if state.start is None and (begun := [node for node in state.nodes.values() if node.began]):
            state.start = self._schedule.started(max(node.counted_before_seconds for node in begun))
        counting = sum(node.began for node in state.nodes.values())
        if state.outcome.phase == conditions.TRACING and counting > self._counting:
            # A node was slow to start: who waits for its pods sees them.
            self._writer.soon()
        self._counting = counting
        if state.start is None or state.outcome.phase == conditions.TRACING:
            return
        nodes = self._nodes.values()
        if (nodes and all(node.settled for node in nodes)) or self._schedule.settled:
            self._say(outcomes.tracing(state.summary(self._schedule.elapsed)))
            self._notify("Normal", "Tracing", state.outcome.message)

    def _note_lost_agents(self) -> None:
        """Have it written that an agent is lost: what it had counted is known here only, and so is the gap."""
        lost = sum(node.agents_lost for node in self._state.nodes.values())
        if lost > self._agents_lost:
            self._writer.keep()
        self._agents_lost = lost

    def _hopeless(self, spec: TraceSpec) -> Outcome | None:
        """Say what the session waits for; return how it ends when it has waited long enough."""
        nodes = self._nodes.values()
        refused = bool(nodes) and all(node.finished for node in nodes)
        over = refused or (self._schedule.waited_enough and (self._looked() or self._schedule.looked_enough))
        if not over and not self._schedule.worth_a_word:
            # Most sessions begin at once, and nobody reads what they waited for meanwhile.
            return None
        reason, message = outcomes.waits_for(self._state.found, self._pods.missing, self._state.failures())
        if self._admission.refusal is None and self._admission.problem:
            reason, message = "PodsNotListed", self._admission.problem
        if over:
            return outcomes.nothing_traced(reason, message, self._state.failures(final=True))
        self._say(outcomes.pending(reason, message, spec.duration_seconds))
        return None

    def _looked(self) -> bool:
        """Tell whether it is known here what can be traced: another operator may have done the waiting."""
        known = self._pods.answered and self._problems is not None
        return known and all(node.settled for node in self._nodes.values())

    def _over(self) -> Outcome | None:
        """Return how the session ends once its time is over and its nodes have reported, or had the time to."""
        if self._schedule.remaining > 0:
            return None
        self._schedule.see_end()
        late = self._schedule.late
        open_nodes = {name: node for name, node in self._nodes.items() if not node.finished}
        idle = [node for node in open_nodes.values() if not node.state.traced and node.state.failure is None]
        if idle and not self._idle_asked:
            # They have waited for containers that never came, and have no end of their own.
            self._idle_asked = True
            self._spawn(self._stop_all(idle))
        due = {name: node for name, node in open_nodes.items() if late >= self._patience(node)}
        if to_ask := due.keys() - self._asked:
            self._asked |= to_ask
            self._spawn(self._stop_all([due[name] for name in to_ask]))
        if any(late < self._allowance(node) for node in open_nodes.values()):
            return None
        silent = self._note_silent()
        metrics.REPORTS_LOST.inc(len(silent))
        summary = self._state.summary(self._schedule.elapsed, final=True)
        return outcomes.completed(summary, unanswered=silent)

    def _note_silent(self) -> list[str]:
        """Return the nodes whose final report never came; what they counted since their last one is a gap."""
        nodes = {name: node for name, node in self._nodes.items() if not node.finished}
        for node in nodes.values():
            if node.active:
                node.state.no_final_report()
        return [name for name, node in nodes.items() if node.active or node.state.failure is not None]

    def _patience(self, node: NodeTrace) -> float:
        """Return how long after the end to wait before a node is asked for its final report."""
        return self._timing.streamed if node.reports_come else self._timing.final

    def _allowance(self, node: NodeTrace) -> float:
        """Return how long after the end to wait for a node: one that never traced has nothing to say."""
        if not node.active:
            return 0.0
        return self._timing.grace if node.state.failure is None else self._timing.final

    async def _finish(self, outcome: Outcome) -> None:
        state = self._state
        if outcome.phase == conditions.SUSPENDED and not self._gone:
            await self._suspend(outcome)
            return
        self._schedule.follow_clock()
        state.outcome, state.completion = outcome, self._now()
        if self._gone:
            await self.stop_traces()
            return
        letting_go = self._let_go()
        await self._ask_for_services()
        if self._spec is not None and not isinstance(state.compared, Compared):
            await self._read_baseline(self._spec)
        document = await self._document()
        # Done by now, unless the API server is slow: the status is not to wait for it.
        await asyncio.wait([letting_go], timeout=_LET_GO_SECONDS)
        if await write_last(self.row.path, _endings(state, self.row, self._cluster, document)):
            metrics.finished(outcome.phase, outcome.reason)
            if state.start is not None:
                self._latency.final(self._schedule.late)
            normal = outcome.phase != conditions.FAILED and outcome.reason != "PartiallyCompleted"
            self._notify("Normal" if normal else "Warning", outcome.reason, outcome.message)
            for key, message in outcomes.critical(document or {}):
                self._notify("Warning", "CriticalFinding", message, key)
        else:
            await self.stop_traces()

    async def _ask_for_services(self) -> None:
        """Have peers named by their Services; where that is not allowed they stay addresses."""
        if self._shows_peers:
            with suppress(ClusterError):
                self._state.peers.services = await self._cluster.services(self.row.namespace)

    async def _suspend(self, outcome: Outcome) -> None:
        """Write that the session is suspended, and nothing of what it counted: it will be begun anew."""
        write = partial(self._cluster.write_status, self.row, self._state.suspended(outcome))
        if not self._known_as_suspended and await write_last(self.row.path, [write]):
            self._notify("Normal", outcome.reason, outcome.message)

    def _container_seconds(self) -> int | None:
        """Return what it has used in all; None: nobody counts."""
        used = self._ledger.used_by(self.row.uid)
        if used is None:
            return self._used_before or None
        # Of traces that were taken up the ledger knows what they used from their start.
        return max(used, self._used_before) if self._resumed else self._used_before + used

    def _say(self, outcome: Outcome) -> None:
        if outcome != self._state.outcome:
            self._state.outcome = outcome
            self._writer.urgent()

    async def _sleep(self) -> None:
        """Sleep until something happens or is due."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._schedule.until_due() + 0.001):
                await self._wake.wait()
        self._wake.clear()

    # Writing and tasks.

    async def _write(self, document: Mapping[str, Any]) -> None:
        await self._cluster.write_status(self.row, document, awaited=document["phase"] != self._written_phase)
        self._state.note_written(document)
        self._written_phase = document["phase"]
        if document["phase"] == conditions.TRACING:
            self._latency.tracing()

    async def _document(self) -> Mapping[str, Any] | None:
        """Return the status as of now: totals while it goes on, everything at the end."""
        if not self._state.counts_known:
            return None
        return await self._offload(self._state.snapshot(), long=self._state.outcome.finished)

    def _intervals(self) -> Iterator[float]:
        """Yield the seconds to the next status: ever more, and after the first none shortly before the end."""
        for number, (seconds, following) in enumerate(pairwise(growing(self._timing.update, self._timing.update_most))):
            left = self._schedule.remaining
            # The end has a write of its own.
            ends_first = number and self._state.start is not None and 0 < left < seconds + following
            yield left + following if ends_first else seconds

    def _vanish(self) -> None:
        self._gone = True
        self._wake.set()

    def _warn(self, reason: str, message: str) -> None:
        self._notify("Warning", reason, message)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._crash = task.exception()
            self._wake.set()

    async def _stop_tasks(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def give_up(state: SessionState, row: SessionRow, cluster: ClusterCalls, error: BaseException) -> None:
    """Write an end for a session that cannot be served."""
    state.outcome = outcomes.broken(error)
    state.completion = state.now()
    await write_last(row.path, _endings(state, row, cluster, None))


def _endings(
    state: SessionState, row: SessionRow, cluster: ClusterCalls, document: Mapping[str, Any] | None
) -> list[Callable[[], Awaitable[None]]]:
    """Return the writes of the end, the one that says most first.

    Without a document the counts are unknown: what an earlier operator wrote of them stays.
    """
    minimal = state.minimal()
    # With its end, from which a TTL counts.
    known = ("observedGeneration", "phase", "completionTime", "conditions")
    bare = {name: minimal[name] for name in known if name in minimal}
    whole = [partial(cluster.write_status, row, each) for each in (minimal, bare)]
    if document is None:
        return [partial(cluster.amend_status, row, minimal), *whole]
    return [partial(cluster.write_status, row, document), *whole]
