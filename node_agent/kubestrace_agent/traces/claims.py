"""The row of a life in each session that wants it: named by the container runtime, ended as the runtime says.

Used by pods, on the event loop; what touches the counters runs in the tracer's thread.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kubestrace_agent.containers import cgroups, lives
from kubestrace_agent.traces import reports
from kubestrace_protos.v1 import agent_pb2

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from kubestrace_agent.containers.lives import Life
    from kubestrace_agent.containers.resolver import Runtime
    from kubestrace_agent.kernel.maps.pods import PodContainer
    from kubestrace_agent.traces.attach import Attacher
    from kubestrace_agent.traces.pod_counters import PodCounters, PodLife
    from kubestrace_agent.traces.trace import Trace

_FAILED = agent_pb2.ContainerState.PHASE_FAILED


@dataclass(frozen=True)
class PodHost:
    """Where the pods of this node are found."""

    hierarchy: cgroups.Hierarchy
    runtime: Runtime


@dataclass(eq=False)
class Followed:
    """A container from its creation until all is known of it."""

    life: PodLife
    # Its program was executed, or it has ended without.
    started: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    # It has its rows in the sessions that want it, or is none of the pod's containers.
    claimed: bool = False
    done: bool = False
    task: asyncio.Task[None] | None = None
    traced: list[reports.TracedContainer] = field(default_factory=list)

    def is_settled(self) -> bool:
        """Tell whether nothing is to be learnt now."""
        return self.done or (self.claimed and not self.life.has_ended)


@dataclass(frozen=True)
class Running:
    """The traces of this node."""

    # By their sessions' UIDs.
    traces: Mapping[str, Trace]
    # One has no more rows.
    max_containers: int
    clock_ns: Callable[[], int]
    # Called with a trace that gets a container and when that one began (CLOCK_MONOTONIC, nanoseconds).
    begin: Callable[[Trace, int], None]


class Claims:
    """Gives lives their rows."""

    def __init__(
        self,
        counters: PodCounters,
        attacher: Attacher,
        running: Running,
        update: Callable[[], Awaitable[None]],
        root: Path,
    ) -> None:
        """`root` is that of the cgroup tree; `update` takes over what the kernel has seen."""
        self._counters = counters
        self._attacher = attacher
        self._thread = attacher.thread
        self._running = running.traces
        self._max_containers = running.max_containers
        self._clock_ns = running.clock_ns
        self._begin = running.begin
        self._node = attacher.node.name
        self._update = update
        self._root = root

    async def claim(self, followed: Followed, known: Life) -> None:
        """Give a life its row in each session that wants it."""
        life = followed.life
        if life.place is not None:
            life.place.owner.container_id = known.container_id
            life.place.own_cgroup = await asyncio.to_thread(_cgroup, self._root, life.container)
        for user in life.users:
            trace = self._running.get(user)
            if trace is None:
                continue
            pod = trace.watched.get(life.pod_uid)
            if pod is None or not _is_wanted(pod, known.name) or trace.ended_before(life.container.created_ns):
                await self._thread.call(self._counters.let_go, life, user)
            elif len(trace.containers) >= self._max_containers and known.container_id not in trace.containers:
                await self._thread.call(self._counters.let_go, life, user)
                _note(trace, reports.too_many(self._node, self._max_containers, self._clock_ns()))
            elif life.counter is None:
                await self._claim_uncounted(followed, trace, pod, known)
            else:
                await self._claim_counted(followed, trace, pod, known)

    async def _claim_counted(self, followed: Followed, trace: Trace, pod: agent_pb2.Pod, known: Life) -> None:
        state = self._state(followed.life, pod, known)
        acquired = followed.life.acquired.get(trace.session_uid)
        async with trace.lock:
            found = trace.containers.get(known.container_id)
            if trace.final is not None or acquired is None or (found is not None and found.state.phase != _FAILED):
                return
            state.container.MergeFrom(trace.told.pop(known.container_id, agent_pb2.Container()))
            self._begin(trace, _began_ns(followed.life))
            traced = trace.counted(state, acquired, state.start_time_unix_nanoseconds)
            traced.gaps += self._attacher.missing_views(trace, state, acquired)
            if trace.frozen:
                traced.freeze()
            self._take(followed, trace, known.container_id, traced)

    async def _claim_uncounted(self, followed: Followed, trace: Trace, pod: agent_pb2.Pod, known: Life) -> None:
        """Attach to it as to one that was there before; one that has ended is told as not counted."""
        # What the runtime does before is not the container's.
        await followed.started.wait()
        state = self._state(followed.life, pod, known)
        if not followed.life.has_ended:
            await self._attacher.add(trace, [state.container], late=True)
        async with trace.lock:
            found = trace.containers.get(known.container_id)
            if trace.final is not None:
                return
            began_ns = time.monotonic_ns()
            if found is None or found.state.phase == _FAILED:
                began_ns = _began_ns(followed.life)
                await self._update()
                ended_ns = followed.life.container.emptied_ns or time.monotonic_ns()
                state.end_time_unix_nanoseconds = self._unix_ns(ended_ns)
                found = reports.not_counted(self._node, state)
            self._begin(trace, began_ns)
            self._take(followed, trace, known.container_id, found)

    @staticmethod
    def _take(followed: Followed, trace: Trace, container_id: str, traced: reports.TracedContainer) -> None:
        traced.end_asked = True
        trace.containers[container_id] = traced
        followed.traced.append(traced)

    def _state(self, life: PodLife, pod: agent_pb2.Pod, known: Life) -> agent_pb2.ContainerState:
        container = agent_pb2.Container(
            pod_uid=pod.uid,
            pod_namespace=pod.namespace,
            pod_name=pod.name,
            container_name=known.name,
            container_id=known.container_id,
            restart_count=known.restart_count,
            kind=pod.kinds.get(known.name, ""),
        )
        return agent_pb2.ContainerState(
            container=container,
            phase=agent_pb2.ContainerState.PHASE_TRACING,
            from_start=life.counter is not None,
            start_time_unix_nanoseconds=self._unix_ns(_began_ns(life)),
        )

    def _unix_ns(self, monotonic_ns: int) -> int:
        return self._clock_ns() - time.monotonic_ns() + monotonic_ns

    async def write_start(self, followed: Followed) -> None:
        """Write into its rows when a life's program was executed, and by which process."""
        life = followed.life.container
        if life.started_ns and followed.life.counter is not None:
            start_ns = self._unix_ns(life.started_ns)
            await self._thread.call(reports.write_start, followed.traced, life.pid, life.inner_pid, start_ns)

    async def write_end(self, followed: Followed, known: Life) -> None:
        """Write into its rows how a life has ended."""
        # In the tracer's thread, where reports are made of them.
        await self._thread.call(reports.write_end, followed.traced, known)

    async def lost(self, followed: Followed, error: Exception) -> None:
        """Say in the sessions of a life that it has no row, or that how it ended is not known."""
        for user in followed.life.users:
            trace = self._running.get(user)
            if trace is not None and not followed.traced:
                await self._thread.call(self._counters.let_go, followed.life, user)
                _note(trace, reports.life_lost(self._node, followed.life.container.name, error, self._clock_ns()))


def _began_ns(life: PodLife) -> int:
    """Return when a life's program was executed, or before that when its container was created."""
    return life.container.started_ns or life.container.created_ns


def _note(trace: Trace, gap: agent_pb2.Gap) -> None:
    """Give a trace a gap, unless it has one of that reason."""
    if all(each.reason != gap.reason for each in trace.gaps):
        trace.gaps.append(gap)


def _cgroup(root: Path, container: PodContainer) -> Path | None:
    """Find the folder of a container; None where it has ended meanwhile."""
    container_id = lives.container_id(container.name)
    with suppress(OSError):
        for folder in cgroups.find(root, container_id) if container_id else ():
            if cgroups.cgroup_id(folder) == container.cgroup_id:
                return folder
    return None


def _is_wanted(pod: agent_pb2.Pod, name: str) -> bool:
    return name not in pod.excluded_containers and (not pod.containers or not name or name in pod.containers)
