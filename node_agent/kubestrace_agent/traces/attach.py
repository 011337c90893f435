"""Attach containers to traces: resolve, count, and collect what the session asks for. Used by registry."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from kubestrace_agent.containers import cgroups
from kubestrace_agent.containers.resolver import Resolved, UnresolvedError
from kubestrace_agent.kernel.counters.tracer import NodeFullError, UnsupportedKernelError
from kubestrace_agent.symbols.roots import Owner
from kubestrace_agent.traces import reports
from kubestrace_agent.traces.batches import Batches
from kubestrace_agent.traces.counter import CgroupPlace
from kubestrace_agent.traces.shared_counters import Acquired, Asked, Counters
from kubestrace_agent.views.view import UNSUPPORTED
from kubestrace_protos.v1 import agent_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kubestrace_agent.containers.resolver import Resolver
    from kubestrace_agent.symbols.names import Names
    from kubestrace_agent.traces.session import Node
    from kubestrace_agent.traces.trace import Trace

_log = logging.getLogger(__name__)

# Containers that are found within this time begin together.
_TOGETHER_SECONDS = 0.05

# A container as it was asked for, and what the search for it gave.
_Found = tuple["agent_pb2.Container", Resolved | UnresolvedError]
# What one trace asks at one time.
_Batch = tuple[Counters, list[Asked]]

_P = ParamSpec("_P")
_T = TypeVar("_T")


class TracerThread:
    """The one thread to which the tracer and all that is counted belong."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tracer")

    async def call(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Run something there, one at a time."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, lambda: function(*args, **kwargs))

    async def timed(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> tuple[_T, float]:
        """As call; also the seconds that it took there, without those of waiting for its turn."""

        def run() -> tuple[_T, float]:
            begin = time.monotonic()
            return function(*args, **kwargs), time.monotonic() - begin

        return await self.call(run)

    def close(self) -> None:
        """End it, once what it does now is done."""
        self._executor.shutdown(wait=False)


class Attacher:
    """Attaches containers to traces; `names` names the functions of stacks."""

    def __init__(
        self,
        resolver: Resolver,
        names: Names,
        node: Node,
        thread: TracerThread,
        clock_ns: Callable[[], int],
        gather_seconds: Callable[[], float],
    ) -> None:
        """`gather_seconds` says how long traces that begin wait for others to begin with."""
        self._resolver = resolver
        self.names = names
        self.node = node
        self.thread = thread
        self._clock_ns = clock_ns
        # Containers that could not be counted, by reason.
        self.failures: Counter[str] = Counter()
        # Runs in the tracer's thread.
        self.before_acquiring: Callable[[], None] = lambda: None
        self._acquiring: Batches[_Batch, list[Acquired | Exception]] = Batches(self._acquire, gather_seconds)

    async def add(self, trace: Trace, containers: Iterable[agent_pb2.Container], *, late: bool) -> None:
        """Add containers to a trace; `late`: it ran already. One that fails is recorded as failed.

        Those that are found at the same time begin at the same time, together with those of other traces.
        """
        looking = [asyncio.create_task(self._look_up(trace, container)) for container in containers]
        while looking:
            done, rest = await asyncio.wait(looking, timeout=_TOGETHER_SECONDS)
            if not done:
                done, rest = await asyncio.wait(looking, return_when=asyncio.FIRST_COMPLETED)
            found = [task.result() for task in looking if task in done]
            looking = [task for task in looking if task in rest]
            await self._attach(trace, found, late=late)

    async def _look_up(self, trace: Trace, container: agent_pb2.Container) -> _Found:
        try:
            return container, await self._resolver.resolve(container)
        except UnresolvedError as error:
            _log.info("trace %s: %s: %s", trace.session_uid, error.reason, error)
            return container, error
        except (OSError, ValueError) as error:  # whatever it did to be so odd, the others are traced
            _log.exception("trace %s: cannot look up %r", trace.session_uid, container.container_id[:100])
            return container, UnresolvedError("LookupFailed", f"cannot look up the container on its node: {error!r}")

    async def _attach(self, trace: Trace, looked_up: Iterable[_Found], *, late: bool) -> None:
        async with trace.lock:
            # It may have ended, or another call have added the container, during the search.
            new = [each for each in looked_up if not trace.frozen and is_new(trace, each[0])]
            asked = [
                trace.asks(CgroupPlace(found.cgroup, found.cgroup_id), self.names, _owner(found))
                for _, found in new
                if isinstance(found, Resolved)
            ]
            results = iter(await self._acquiring.ask((trace.counters, asked)) if asked else ())
            for container, found in new:
                if isinstance(found, UnresolvedError):
                    traced = reports.failed(container, found.reason, str(found))
                else:
                    traced = self._traced(trace, container, found, next(results), late=late)
                if traced.state.phase == agent_pb2.ContainerState.PHASE_FAILED:
                    self.failures[traced.state.reason] += 1
                trace.containers[bare(container.container_id)] = traced

    async def _acquire(self, asked: list[_Batch]) -> list[list[Acquired | Exception]]:
        """Have the containers of many traces counted in one call; all traces share one set of counters."""
        counters = asked[0][0]

        def acquire() -> list[Acquired | Exception]:
            # A container may have been created with a slot of its own since it was looked up.
            self.before_acquiring()
            return counters.acquire([each for _, part in asked for each in part])

        results = iter(await self.thread.call(acquire))
        return [[next(results) for _ in part] for _, part in asked]

    def _traced(
        self,
        trace: Trace,
        container: agent_pb2.Container,
        found: Resolved,
        acquired: Acquired | Exception,
        *,
        late: bool,
    ) -> reports.TracedContainer:
        if isinstance(acquired, Exception):
            return _not_counted(container, found, acquired)
        state = reports.tracing(container, found)
        traced = trace.counted(state, acquired, self._clock_ns())
        if late:
            session_start_ns = trace.session_start_by(state.start_time_unix_nanoseconds)
            traced.gaps += reports.late(self.node.name, state, found, session_start_ns)
        traced.gaps += self.missing_views(trace, state, acquired)
        return traced

    def missing_views(self, trace: Trace, state: agent_pb2.ContainerState, acquired: Acquired) -> list[agent_pb2.Gap]:
        """Give the gaps of a container of which views cannot be had."""
        gaps = []
        for collector, why in acquired.share.missing:
            _log.warning("trace %s: no %s: %s", trace.session_uid, collector.name, why)
            message = f"{collector.name}: {why}"
            gaps.append(reports.without_view(self.node.name, state, collector.unavailable, message))
        for name in trace.views.unknown:
            message = f"{name}: the agent of this node does not know this view"
            gaps.append(reports.without_view(self.node.name, state, UNSUPPORTED, message))
        return gaps


def _owner(found: Resolved) -> Owner:
    place = cgroups.parse(str(found.cgroup))
    return Owner(place.container_id if place else "")


def _not_counted(container: agent_pb2.Container, found: Resolved, error: Exception) -> reports.TracedContainer:
    match error:
        case NodeFullError():
            return reports.failed(container, "NodeFull", str(error))
        case UnsupportedKernelError():  # loading worked, attaching does not
            return reports.failed(container, error.reason, str(error))
        case FileNotFoundError():
            return reports.failed(container, "CgroupNotFound", f"{found.cgroup} ended before counting began")
    _log.error("cannot count %s", found.cgroup, exc_info=error)
    return reports.failed(container, "TracerFailed", f"cannot count {found.cgroup}: {error}")


def bare(container_id: str) -> str:
    """Return a container's ID without the name of its runtime."""
    return container_id.rpartition("://")[2]


def is_new(trace: Trace, container: agent_pb2.Container) -> bool:
    """Tell whether a container is to be sought: it is unknown, or could not be traced when last asked for."""
    traced = trace.containers.get(bare(container.container_id))
    return traced is None or traced.state.phase == agent_pb2.ContainerState.PHASE_FAILED
