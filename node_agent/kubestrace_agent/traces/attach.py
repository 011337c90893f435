"""Attach containers to traces: resolve, count, and collect what a session asks for. Used by registry."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from kubestrace_agent.containers.resolver import Resolved, UnresolvedError
from kubestrace_agent.kernel.counters.tracer import NodeFullError, UnsupportedKernelError
from kubestrace_agent.traces import reports
from kubestrace_agent.traces.shared_counters import CgroupPlace
from kubestrace_agent.views.view import UNSUPPORTED
from kubestrace_protos.v1 import agent_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kubestrace_agent.containers.resolver import Resolver
    from kubestrace_agent.symbols.names import Names
    from kubestrace_agent.traces.session import Node
    from kubestrace_agent.traces.trace import Trace

_log = logging.getLogger(__name__)

_P = ParamSpec("_P")
_T = TypeVar("_T")


class TracerThread:
    """The one thread to which the tracer and all that is counted belong."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tracer")

    async def call(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Run something there, one at a time."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, lambda: function(*args, **kwargs))

    def close(self) -> None:
        """End it, once what it does now is done."""
        self._executor.shutdown(wait=False)


class Attacher:
    """Attaches containers to traces; `names` names the functions of stacks."""

    def __init__(
        self, resolver: Resolver, names: Names, node: Node, thread: TracerThread, clock_ns: Callable[[], int]
    ) -> None:
        self._resolver = resolver
        self._names = names
        self._node = node
        self._thread = thread
        self._clock_ns = clock_ns

    async def add(self, trace: Trace, containers: Iterable[agent_pb2.Container], *, late: bool) -> None:
        """Add containers to a trace, all at once; `late`: it ran already. One that fails is recorded as failed."""
        await asyncio.gather(*(self._attach(trace, container, late=late) for container in containers))

    async def _attach(self, trace: Trace, container: agent_pb2.Container, *, late: bool) -> None:
        try:
            found: Resolved | UnresolvedError = await self._resolver.resolve(container)
        except UnresolvedError as error:
            _log.info("trace %s: %s: %s", trace.session_uid, error.reason, error)
            found = error
        except (OSError, ValueError) as error:  # whatever it did to be so odd, the others are traced
            _log.exception("trace %s: cannot look up %r", trace.session_uid, container.container_id[:100])
            found = UnresolvedError("LookupFailed", f"cannot look up the container on its node: {error!r}")
        async with trace.lock:
            # It may have ended, or another call have added the container, during the search.
            if trace.final is None and is_new(trace, container):
                trace.containers[container.container_id] = await self._traced_container(
                    trace, container, found, late=late
                )

    async def _traced_container(
        self, trace: Trace, container: agent_pb2.Container, found: Resolved | UnresolvedError, *, late: bool
    ) -> reports.TracedContainer:
        if isinstance(found, UnresolvedError):
            return reports.failed(container, found.reason, str(found))
        place = CgroupPlace(found.cgroup, found.cgroup_id)
        state = reports.tracing(container, found)
        try:
            traced, missing = await self._thread.call(trace.count, place, state, self._names, self._clock_ns)
        except NodeFullError as error:
            return reports.failed(container, "NodeFull", str(error))
        except UnsupportedKernelError as error:  # loading worked, attaching does not
            return reports.failed(container, error.reason, str(error))
        except FileNotFoundError:
            return reports.failed(container, "CgroupNotFound", f"{found.cgroup} ended before counting began")
        except (OSError, ValueError) as error:
            _log.exception("cannot count %s", found.cgroup)
            return reports.failed(container, "TracerFailed", f"cannot count {found.cgroup}: {error}")
        if late:
            traced.gaps += reports.late(self._node.name, state, found, trace.session_start_ns)
        for collector, why in missing:
            _log.warning("trace %s: no %s: %s", trace.session_uid, collector.name, why)
            message = f"{collector.name}: {why}"
            traced.gaps.append(reports.without_view(self._node.name, state, collector.unavailable, message))
        for name in trace.views.unknown:
            message = f"{name}: the agent of this node does not know this view"
            traced.gaps.append(reports.without_view(self._node.name, state, UNSUPPORTED, message))
        return traced


def is_new(trace: Trace, container: agent_pb2.Container) -> bool:
    """Tell whether a container is to be sought: it is unknown, or could not be traced when last asked for."""
    traced = trace.containers.get(container.container_id)
    return traced is None or traced.state.phase == agent_pb2.ContainerState.PHASE_FAILED
