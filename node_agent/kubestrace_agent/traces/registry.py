"""The life of traces: started by a session's UID, watched, ended by time, by call, by lease or with the agent.

Knows no gRPC: it takes and gives the protocol's messages and raises admission's errors. Lives on one event loop;
everything that touches the tracer runs in one thread beside it. Used by server.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import platform
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, TypeVar

from kubestrace_agent import syscalls
from kubestrace_agent.containers import pod_cgroups
from kubestrace_agent.kernel.counters.tracer import Tracer as KernelTracer
from kubestrace_agent.kernel.counters.tracer import UnsupportedKernelError
from kubestrace_agent.service import limits as admission
from kubestrace_agent.service.tallies import Tallies
from kubestrace_agent.symbols.names import Names
from kubestrace_agent.symbols.naming import Naming
from kubestrace_agent.traces import reports
from kubestrace_agent.traces.attach import Attacher, TracerThread, bare, is_new
from kubestrace_agent.traces.batches import Batches
from kubestrace_agent.traces.claims import Running
from kubestrace_agent.traces.endings import Endings
from kubestrace_agent.traces.pace import Pace, until_next
from kubestrace_agent.traces.pod_counters import PodCounters
from kubestrace_agent.traces.pods import Pods
from kubestrace_agent.traces.session import stop_counting
from kubestrace_agent.traces.shared_counters import Counters
from kubestrace_agent.traces.trace import Trace
from kubestrace_agent.views import registry as views_registry
from kubestrace_protos.v1 import agent_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence

    from kubestrace_agent.containers.resolver import Resolver
    from kubestrace_agent.traces.claims import PodHost
    from kubestrace_agent.traces.counter import Tracer
    from kubestrace_agent.traces.session import Node
    from kubestrace_agent.views.registry import ViewRequests
    from kubestrace_agent.views.view import Moment

_log = logging.getLogger(__name__)

_T = TypeVar("_T")

# A trace, and why it ends if it does.
_ReportAsked = tuple[Trace, agent_pb2.EndReason]

_TICK_SECONDS = 1.0
# Between two looks at views that may fill before the next tick.
_DRAIN_SECONDS = 0.1
# With more traces than this, those that begin wait for one another: so much for each, and so much at most. And their
# views share snapshots.
_FEW_TRACES = 8
_GATHER_SECONDS, _MOST_GATHER_SECONDS = 0.05, 1.0
_NOTE_GATHER_SECONDS = 0.01
# Whoever waits for a report gets the last one again after this, so that it is clear that the agent is there.
_ALIVE_SECONDS = 2.0
# A final report waits so long for how the last containers ended.
_SETTLE_SECONDS = 1.0
# Reports that are made one after the other, before other work has its turn.
_BUILD_SECONDS = 0.05
# And while reports are made: a million events a second fill a ring of 8 MiB in twice that time.
_SOON_SECONDS = 0.01


class Traces:
    """All traces of this node. `tracer` is None where node.cannot_trace says why.

    Without `host` no pod can be watched for its containers' first calls.
    """

    def __init__(
        self,
        tracer: Tracer | None,
        resolver: Resolver,
        *,
        node: Node,
        limits: admission.Limits | None = None,
        names: Names | None = None,
        host: PodHost | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._node = node
        self._limits = limits or admission.Limits()
        self.tallies = Tallies()
        self._clock_ns = clock_ns
        self._counters = Counters(tracer, clock_ns) if tracer else None
        self._thread = TracerThread()
        names = names or Names(Naming())
        self._attacher = Attacher(resolver, names, node, self._thread, clock_ns, self._gather_seconds)
        self._attacher.failures = self.tallies.containers_failed
        self._running: dict[str, Trace] = {}
        self._kept: OrderedDict[str, Trace] = OrderedDict()
        self._tasks: set[asyncio.Task[object]] = set()
        self._ticker: asyncio.Task[None] | None = None
        self._closing = False
        self._sequence = itertools.count(1)
        self._ending: Batches[Trace, None] = Batches(self._stop_counting)
        self._noting: Batches[tuple[Trace, Moment], None] = Batches(self._note_counts, self._note_gather_seconds)
        self._reporting: Batches[_ReportAsked, agent_pb2.Report] = Batches(self._make_reports)
        # Apart, so that final reports do not wait for all others.
        self._finishing: Batches[_ReportAsked, agent_pb2.Report] = Batches(self._make_reports)
        self._pace = Pace()
        # Why no pod can be watched; empty: they can.
        self._no_pods = "this agent does not look at pods"
        self._pods = self._watcher(tracer, host)
        self._endings = Endings(host.runtime if host else None, self._thread)

    def _watcher(self, tracer: Tracer | None, host: PodHost | None) -> Pods | None:
        if self._counters is None or host is None or not isinstance(tracer, KernelTracer):
            return None
        try:
            counters = PodCounters(self._counters, tracer, pod_cgroups.container_levels(host.hierarchy))
        except UnsupportedKernelError as error:
            self._no_pods = str(error)
            _log.warning("containers are counted from the moment when they are found: %s", error)
            return None
        self._attacher.before_acquiring = counters.update
        running = Running(self._running, self._limits.max_containers, self._clock_ns, self._begin)
        return Pods(counters, host, self._attacher, running)

    def syscall_problems(self, patterns: Sequence[str]) -> list[str]:
        """Say what is wrong with some syscall patterns, a sentence each."""
        try:
            syscalls.parse_patterns(patterns, platform.machine())
        except syscalls.SyscallPatternError as error:
            return error.problems
        return []

    async def start(self, request: agent_pb2.StartTraceRequest) -> agent_pb2.StartTraceResponse:
        """Start the session's trace, or add containers to it. Raises admission's errors.

        Goes on to the end even if the caller goes away, so that nothing is left half made.
        """
        views = admission.check_start(request, self._limits)
        if (kept := self._kept.get(request.session_uid)) is not None:
            return self._started(kept, created=False)
        return await asyncio.shield(self._spawn(self._start(request, views)))

    async def _start(self, request: agent_pb2.StartTraceRequest, views: ViewRequests) -> agent_pb2.StartTraceResponse:
        trace = self._running.get(request.session_uid)
        created = trace is None
        if trace is None:
            trace = self._create(request, views)
        trace.last_call = time.monotonic()
        # Meanwhile: the first containers of a pod may come before those that run are found.
        watching = self._spawn(self._watch_pods(trace, request.pods))
        try:
            await self._add(trace, request.containers, late=not created or request.elapsed_milliseconds > 0)
        finally:
            await watching
            if created:
                self._run_until(trace, request)
            elif request.elapsed_milliseconds:
                self._join(trace, request)
            elif any(each.counter for each in trace.containers.values()):
                self._begin(trace, time.monotonic_ns())
        return self._started(trace, created=created)

    def _create(self, request: agent_pb2.StartTraceRequest, views: ViewRequests) -> Trace:
        if self._counters is None:
            reason, message = self._node.cannot_trace or ("CannotTrace", "this agent has no tracer")
            raise admission.CannotTraceError(reason, message)
        if self._closing:
            raise admission.ShuttingDownError("AgentShutdown", "the agent is shutting down")
        names = [trace.session_name for trace in self._running.values()]
        admission.check_room(request.session_name, names, self._node.name, self._limits)
        try:
            selection = syscalls.parse_patterns(request.syscalls, platform.machine())
        except syscalls.SyscallPatternError as error:
            raise admission.InvalidRequestError("InvalidSyscalls", str(error)) from error
        trace = Trace(
            node=self._node,
            sequence=self._sequence,
            session_uid=request.session_uid,
            session_name=request.session_name,
            counters=self._counters,
            wanted=selection.keys(),
            views=views,
            ask_views=lambda: views_registry.requests(request.views, redact=request.redact),
            lease_seconds=request.lease_seconds or self._limits.default_lease_seconds,
            start_ns=(start_ns := self._clock_ns()),
            session_start_ns=start_ns - 1_000_000 * request.elapsed_milliseconds,
            session_began_ns=time.monotonic_ns() - 1_000_000 * request.elapsed_milliseconds,
            start_skipped_calls=self._counters.skipped_calls,
            start_walk_failures=self._counters.walk_failures.count,
            pods=self._pods.counters if self._pods else None,
            shows_paths=views.shows_paths,
        )
        self._running[trace.session_uid] = trace
        _log.info("trace %s (%r) starts", trace.session_uid, trace.session_name[:320])
        return trace

    def _gather_seconds(self) -> float:
        """Give how long a trace waits for others that begin with it: those cost less later, where there are many."""
        return min(max(0, len(self._running) - _FEW_TRACES) * _GATHER_SECONDS, _MOST_GATHER_SECONDS)

    def _note_gather_seconds(self) -> float:
        """Give how long a moment waits for those of other traces, which timers give one after the other."""
        return _NOTE_GATHER_SECONDS if len(self._running) > _FEW_TRACES else 0.0

    def _run_until(self, trace: Trace, request: agent_pb2.StartTraceRequest) -> None:
        """Let time run: from here on, when the first containers are counted. A trace may have been stopped before."""
        if trace.final is not None:
            return
        loop = asyncio.get_running_loop()
        trace.duration_seconds = request.duration_milliseconds / 1000
        trace.waits = bool(trace.watched and not trace.containers and not request.elapsed_milliseconds)
        self._end_after(trace, trace.duration_seconds)
        if self._ticker is None:
            self._ticker = loop.create_task(self._tick(trace.counters))
        self._spawn(self._keep_time(trace))

    def _end_after(self, trace: Trace, seconds: float) -> None:
        """Set when the trace ends; one that waits for its first container waits on until its lease is over."""

        def end() -> None:
            if trace.waits:
                self._end_after(trace, seconds)
            else:
                self._spawn(self._end(trace, agent_pb2.END_REASON_COMPLETED))

        if trace.deadline is not None:
            trace.deadline.cancel()
        trace.deadline = asyncio.get_running_loop().call_later(seconds, end)

    def _begin(self, trace: Trace, since_ns: int) -> None:
        """Let the time of a trace run that has waited for its first container, which came then (CLOCK_MONOTONIC)."""
        if not trace.waits or trace.final is not None:
            return
        ago_ns = max(0, (now_ns := time.monotonic_ns()) - since_ns)
        trace.start_ns = trace.session_start_ns = self._clock_ns() - ago_ns
        trace.session_began_ns = now_ns - ago_ns
        self._let_run(trace, trace.duration_seconds - ago_ns / 1e9)

    def _join(self, trace: Trace, request: agent_pb2.StartTraceRequest) -> None:
        """Let the time of a trace run that waits for its first container: that of the session does, on other nodes."""
        if trace.waits and trace.final is None:
            trace.ask_views = lambda: views_registry.requests(request.views, redact=request.redact)
            trace.start_ns = self._clock_ns()
            trace.session_start_ns = trace.start_ns - 1_000_000 * request.elapsed_milliseconds
            trace.session_began_ns = time.monotonic_ns() - 1_000_000 * request.elapsed_milliseconds
            self._let_run(trace, request.duration_milliseconds / 1000)

    def _let_run(self, trace: Trace, seconds: float) -> None:
        trace.waits = False
        trace.views = trace.ask_views()
        self._end_after(trace, max(0.0, seconds))
        self._spawn(self._keep_time(trace))
        trace.begun.set()

    async def _add(self, trace: Trace, containers: Iterable[agent_pb2.Container], *, late: bool) -> None:
        counted = await self._pods.counted(trace) if self._pods else frozenset()
        new: dict[str, agent_pb2.Container] = {}
        for each in containers:
            traced = trace.containers.get(bare(each.container_id))
            if bare(each.container_id) in counted and traced is None:
                trace.told[bare(each.container_id)] = each
            elif is_new(trace, each):
                new[bare(each.container_id)] = each
            elif traced is not None and traced.state.container != each:
                await self._thread.call(_name, traced, each)
        if new and len(trace.containers.keys() | new.keys()) > self._limits.max_containers:
            raise admission.LimitReachedError(
                "TooManyContainers", f"one trace follows at most {self._limits.max_containers} containers on a node"
            )
        await self._attacher.add(trace, new.values(), late=late)

    async def _watch_pods(self, trace: Trace, pods: Sequence[agent_pb2.Pod]) -> None:
        if pods and self._pods is not None:
            await self._pods.watch(trace, pods)
        elif pods and not trace.gaps:
            trace.gaps.append(reports.first_calls_not_counted(self._node.name, self._no_pods, self._clock_ns()))

    def _started(self, trace: Trace, *, created: bool) -> agent_pb2.StartTraceResponse:
        states = (
            (each.state for each in trace.final.containers)
            if trace.final
            else (traced.state for traced in trace.containers.values())
        )
        return agent_pb2.StartTraceResponse(
            agent_id=self._node.agent_id,
            created=created,
            containers=states,
            start_time_unix_nanoseconds=trace.start_ns,
        )

    async def watch(self, session_uid: str, interval_milliseconds: int = 0) -> AsyncIterator[agent_pb2.Report]:
        """Give reports, the first at once, until one that is final. Raises admission's errors.

        Where a report takes long, as on a busy node, the one before it is given again meanwhile.
        """
        interval = admission.interval_seconds(interval_milliseconds, self._limits)
        trace = self._trace(session_uid)
        trace.watchers += 1
        report = trace.first_report()
        ended = self._spawn(trace.ended.wait())
        sent: float | None = None
        try:
            while True:
                making = self._spawn(self._report(trace))
                # The end is not to wait for a report that is still to be made.
                while not await _any_done(_ALIVE_SECONDS, making, ended):
                    yield report
                report = trace.final or making.result()
                after, sent = sent and time.monotonic() - sent, time.monotonic()
                self.tallies.report_sent(final=report.final, after_seconds=after, interval_seconds=interval)
                trace.fetched = trace.fetched or report.final
                yield report
                if report.final:
                    return
                watchers = sum(each.watchers for each in self._running.values())
                await _wait(trace, self._pace.wait_seconds(interval, watchers, time.monotonic()))
        finally:
            ended.cancel()
            trace.watchers -= 1
            trace.last_call = time.monotonic()

    async def stop(self, session_uid: str) -> agent_pb2.Report:
        """End a trace and give its final report; one that has ended gives the report it kept."""
        trace = self._trace(session_uid)
        report = await asyncio.shield(self._spawn(self._end(trace, agent_pb2.END_REASON_STOPPED)))
        self.tallies.report_sent(final=True, after_seconds=None, interval_seconds=0.0)
        trace.fetched = True
        return report

    def standing(self) -> tuple[int, int]:
        """Return how many traces run, and how many containers they count; from any thread."""
        running = list(self._running.values())
        counted = {name for trace in running for name, each in list(trace.containers.items()) if each.counter}
        return len(running), len(counted)

    def list(self) -> list[agent_pb2.TraceSummary]:
        """Sum up the traces that run and those that have ended and are kept."""
        return [
            agent_pb2.TraceSummary(
                session_uid=trace.session_uid,
                session_name=trace.session_name,
                ended=trace.final is not None,
                containers=len(trace.final.containers if trace.final else trace.containers),
                start_time_unix_nanoseconds=trace.start_ns,
            )
            for trace in (*self._running.values(), *self._kept.values())
        ]

    async def shutdown(self) -> None:
        """End every trace, so that watchers get final reports, and give the tracer back. Idempotent."""
        if self._closing:
            return
        self._closing = True
        while self._running:
            await asyncio.gather(
                *(self._end(trace, agent_pb2.END_REASON_AGENT_SHUTDOWN) for trace in self._running.values())
            )
        await self._endings.close()
        if self._pods is not None:
            await self._pods.close()
        if self._counters is not None:
            await self._thread.call(self._counters.close)
        self._thread.close()

    def _trace(self, session_uid: str) -> Trace:
        trace = self._running.get(session_uid) or self._kept.get(session_uid)
        if trace is None:
            raise admission.TraceNotFoundError("TraceNotFound", f"no trace of session {session_uid[:128]!r} is here")
        trace.last_call = time.monotonic()
        return trace

    async def _report(self, trace: Trace) -> agent_pb2.Report:
        report = trace.final or await self._reporting.ask((trace, agent_pb2.END_REASON_UNSPECIFIED))
        if trace.frozen:
            await trace.ended.wait()
        return trace.final or report

    async def _make_reports(self, asked: Sequence[_ReportAsked]) -> Sequence[agent_pb2.Report | Exception]:
        """Build reports of many traces: those that can be built soon, so that nobody waits long for the thread."""
        built, seconds = await self._thread.timed(_built, asked, self._clock_ns)
        self._pace.note(seconds / len(built))
        return built

    async def _end(self, trace: Trace, reason: agent_pb2.EndReason) -> agent_pb2.Report:
        await self._freeze(trace)
        await self._settle(trace)
        async with trace.lock:
            if trace.final is not None:
                return trace.final
            trace.final = await self._final(trace, reason)
            trace.containers.clear()
        if trace.deadline is not None:
            trace.deadline.cancel()
        self.tallies.traces_ended[agent_pb2.EndReason.Name(reason).removeprefix("END_REASON_")] += 1
        self._keep(trace)
        trace.begun.set()
        trace.ended.set()
        if self._pods is not None and trace.watched:
            self._spawn(self._pods.unwatch(trace))
        _log.info("trace %s ends: %s", trace.session_uid, agent_pb2.EndReason.Name(reason))
        return trace.final

    async def _freeze(self, trace: Trace) -> None:
        """Count nothing more, and read what was counted."""
        async with trace.lock:
            if not trace.frozen and trace.final is None:
                try:
                    await self._ending.ask(trace)
                except Exception as error:  # noqa: BLE001 - the final report says so
                    _log.exception("trace %s: the counts cannot be read", trace.session_uid)
                    trace.unreadable = f"the counts could not be read: {error!r}"

    async def _final(self, trace: Trace, reason: agent_pb2.EndReason) -> agent_pb2.Report:
        """Make the final report: a trace must end, whatever is wrong with its counts."""
        if not trace.unreadable:
            try:
                return await self._finishing.ask((trace, reason))
            except Exception as error:  # noqa: BLE001 - the final report says so
                _log.exception("trace %s: no counts in its final report", trace.session_uid)
                trace.unreadable = f"the report could not be made: {error!r}"
        self.tallies.reports_failed += 1
        return trace.empty_report(reason, self._clock_ns(), trace.unreadable)

    async def _settle(self, trace: Trace) -> None:
        """Wait until it is known which containers were counted and how those ended, but not for long."""
        self._endings.look(trace.containers.values())
        ended = self._endings.settle(trace.containers.values(), _SETTLE_SECONDS)
        await asyncio.gather(ended, *([self._pods.settle(trace, _SETTLE_SECONDS)] if self._pods else ()))

    async def _stop_counting(self, traces: Sequence[Trace]) -> Sequence[None]:
        """Read the counters of traces that end for the last time, all at once."""
        await self._thread.call(stop_counting, traces)
        return [None] * len(traces)

    async def _note_counts(self, noted: Sequence[tuple[Trace, Moment]]) -> Sequence[None]:
        """Read counters once for the moments at which many views want that."""

        def note() -> None:
            going_on = [(trace, moment) for trace, moment in noted if not trace.frozen]
            counters.peek_near((counter, moment) for trace, moment in going_on for counter in trace.counted_now())
            for trace, _ in going_on:
                trace.note_counts()

        counters = noted[0][0].counters
        await self._thread.call(note)
        return [None] * len(noted)

    def _keep(self, trace: Trace) -> None:
        self._running.pop(trace.session_uid, None)
        if not self._running and self._ticker is not None:
            self._ticker.cancel()
            self._ticker = None
        self._kept[trace.session_uid] = trace
        if len(self._kept) > self._limits.max_kept:
            self._drop(next(iter(self._kept)))
        asyncio.get_running_loop().call_later(self._limits.keep_seconds, self._drop, trace.session_uid)

    def _drop(self, session_uid: str) -> None:
        """Let go of an ended trace's report."""
        dropped = self._kept.pop(session_uid, None)
        if dropped is not None and not dropped.fetched:
            self.tallies.reports_lost += 1

    async def _tick(self, counters: Counters) -> None:
        """Read what fills each second while any trace runs, notice what has ended, and see to leases."""
        while True:
            # Not together with reports, which read all that a tick does.
            await self._pass(until_next(_TICK_SECONDS, time.monotonic() - _TICK_SECONDS / 4), counters)
            try:
                await self._thread.call(counters.tick, _TICK_SECONDS)
            except Exception:  # noqa: BLE001 - whatever is wrong with the counts, leases must be seen to
                _log.exception("cannot read the counters")
            for trace in self._running.values():
                self._endings.look(trace.containers.values())
            for trace in [each for each in self._running.values() if each.deadline and each.lease_is_over()]:
                self._spawn(self._end(trace, agent_pb2.END_REASON_LEASE_EXPIRED))

    async def _pass(self, seconds: float, counters: Counters) -> None:
        """Wait; meanwhile views are read that fill faster, or whose processes end sooner."""
        until, more = time.monotonic() + seconds, False
        while (left := until - time.monotonic()) > 0:
            await asyncio.sleep(min(left, _SOON_SECONDS if more else _DRAIN_SECONDS))
            more = False
            if any(trace.views.parts for trace in self._running.values()):
                try:
                    more = await self._thread.call(counters.drain)
                except Exception:  # noqa: BLE001 - the next refresh will say the same
                    _log.exception("cannot read the views")

    async def _keep_time(self, trace: Trace) -> None:
        """Take the snapshots that views want at certain moments; what a busy node has missed is not made up for."""
        after_ns = 0
        while not trace.ended.is_set():
            moment = trace.views.next_snapshot(max(after_ns, time.monotonic_ns()))
            if moment is None:
                return
            after_ns, shared = moment.at_ns, self._with_others(moment)
            if await _happens(trace.ended, (shared.at_ns - time.monotonic_ns()) / 1e9):
                return
            try:
                await self._noting.ask((trace, shared))
            except Exception:  # noqa: BLE001 - the next snapshot holds what this one would have
                _log.exception("trace %s: no snapshot for its views", trace.session_uid)

    def _with_others(self, moment: Moment) -> Moment:
        """Give when many traces want a snapshot together, as near to their moments as these allow."""
        return moment if len(self._running) <= _FEW_TRACES else moment.rounded()

    def _spawn(self, work: Coroutine[object, object, _T]) -> asyncio.Task[_T]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _name(traced: reports.TracedContainer, container: agent_pb2.Container) -> None:
    """Take over what the operator says of a container; in the tracer's thread, where reports are made of it."""
    for state in traced.states:
        state.container.MergeFrom(container)


def _built(asked: Sequence[_ReportAsked], clock_ns: Callable[[], int]) -> list[agent_pb2.Report | Exception]:
    """Build one report at least, and more while little time has passed; in the thread that owns the counters."""
    until = time.monotonic() + _BUILD_SECONDS
    built: list[agent_pb2.Report | Exception] = []
    for trace, reason in asked:
        try:
            if reason != agent_pb2.END_REASON_UNSPECIFIED:
                built.append(trace.report(reason, clock_ns))
            elif trace.frozen:  # its final report comes instead
                built.append(agent_pb2.Report())
            else:
                trace.refresh()
                built.append(trace.report(reason, clock_ns))
        except Exception as error:  # noqa: BLE001 - the others have their reports
            built.append(error)
        if time.monotonic() > until:
            break
    return built


async def _wait(trace: Trace, seconds: float) -> None:
    """Wait for the next report's time; that a trace begins, or ends, is reported at once."""
    await _happens(trace.begun if trace.waits else trace.ended, seconds)


async def _any_done(within_seconds: float, *tasks: asyncio.Task[Any]) -> bool:
    done, _ = await asyncio.wait(tasks, timeout=within_seconds, return_when=asyncio.FIRST_COMPLETED)
    return bool(done)


async def _happens(event: asyncio.Event, within_seconds: float) -> bool:
    try:
        async with asyncio.timeout(within_seconds):
            return await event.wait()
    except TimeoutError:
        return False
