"""Pods whose containers are counted from their first call: which session watches which, and what became of each life.

The kernel says that a container was created, the runtime says which one it is and how it ended. Lives on the event
loop; what touches the counters runs in the tracer's thread. Used by registry.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kubestrace_agent.containers import cgroups, lives, pod_cgroups, procfs
from kubestrace_agent.kernel.counters.pod_slots import TooManyPodsError
from kubestrace_agent.kernel.counters.tracer import NodeFullError, UnsupportedKernelError
from kubestrace_agent.traces import reports
from kubestrace_protos.v1 import agent_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping
    from pathlib import Path

    from kubestrace_agent.containers.lives import Life
    from kubestrace_agent.containers.resolver import Runtime
    from kubestrace_agent.symbols.roots import Owner
    from kubestrace_agent.traces.attach import Attacher
    from kubestrace_agent.traces.counter import Place
    from kubestrace_agent.traces.pod_counters import PodCounters, PodLife
    from kubestrace_agent.traces.shared_counters import Asked
    from kubestrace_agent.traces.trace import Trace

_log = logging.getLogger(__name__)

# A runtime may know a container only some time after its cgroup was created; the cgroup of a sandbox it never knows.
_UNKNOWN_SECONDS = (0.05, 0.2, 0.5, 1.0)
# A final report waits so long for how the last containers ended.
_SETTLE_SECONDS = 1.0


@dataclass(frozen=True)
class PodHost:
    """Where the pods of this node are found."""

    hierarchy: cgroups.Hierarchy
    proc: Path
    runtime: Runtime


@dataclass(eq=False)
class _Followed:
    """A container from its creation until all is known of it."""

    life: PodLife
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    # It has its rows in the sessions that want it, or is none of the pod's containers.
    claimed: bool = False
    done: bool = False
    task: asyncio.Task[None] | None = None
    traced: list[reports.TracedContainer] = field(default_factory=list)

    def is_settled(self) -> bool:
        """Tell whether nothing is to be learnt now."""
        return self.done or (self.claimed and not self.life.has_ended)


class Pods:
    """All watched pods of this node."""

    def __init__(
        self,
        counters: PodCounters,
        host: PodHost,
        attacher: Attacher,
        running: Mapping[str, Trace],
        *,
        clock_ns: Callable[[], int],
        begin: Callable[[Trace], None],
    ) -> None:
        """`begin` is called with a trace that gets a container; `running` are the sessions' traces by their UIDs."""
        self.counters = counters
        self._host = host
        self._attacher = attacher
        self._thread = attacher.thread
        self._names = attacher.names
        self._running = running
        self._node = attacher.node.name
        self._clock_ns = clock_ns
        self._begin = begin
        self._followed: dict[PodLife, _Followed] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Condition()
        self._listening = False

    async def watch(self, trace: Trace, pods: Iterable[agent_pb2.Pod]) -> None:
        """Count the containers that these pods get from now on; those that cannot be watched are gaps of the trace."""
        for pod in pods:
            uid = cgroups.bare_uid(pod.uid)
            if uid is None or trace.final is not None:
                continue
            known = uid in trace.watched
            trace.watched[uid] = pod
            if not known and not await self._watch(trace, uid, pod):
                del trace.watched[uid]

    async def _watch(self, trace: Trace, uid: str, pod: agent_pb2.Pod) -> bool:
        def ask(place: Place, owner: Owner) -> Asked:
            return trace.asks(place, self._names, owner)

        try:
            await self._thread.call(self.counters.watch, uid, trace.session_uid, ask, trace.wanted)
        except (UnsupportedKernelError, NodeFullError, TooManyPodsError, OSError) as error:
            self._cannot(trace, pod, error)
            return False
        self._listen()
        there = await asyncio.to_thread(pod_cgroups.find_pod, self._host.hierarchy.root, uid)
        if there is not None:
            await self._thread.call(self.counters.found, uid, there.cgroup_id)
        return True

    def _cannot(self, trace: Trace, pod: agent_pb2.Pod, error: Exception) -> None:
        _log.warning("trace %s: containers of pod %s are counted late: %s", trace.session_uid, pod.uid[:64], error)
        if not trace.gaps:
            trace.gaps.append(reports.first_calls_not_counted(self._node, error, self._clock_ns()))

    def _listen(self) -> None:
        if not self._listening:
            self._listening = True
            asyncio.get_running_loop().add_reader(self.counters.events_fd, self._woken)

    def _woken(self) -> None:
        asyncio.get_running_loop().remove_reader(self.counters.events_fd)
        self._listening = False
        self._spawn(self._wake())

    async def _wake(self) -> None:
        try:
            await self.update()
        finally:
            if any(trace.watched for trace in self._running.values()):
                self._listen()

    async def update(self) -> None:
        """Take over what has become of the pods' containers."""

        def news() -> list[PodLife]:
            self.counters.update()
            return self.counters.news()

        for life in await self._thread.call(news):
            followed = self._followed.get(life)
            if followed is None:
                followed = self._followed[life] = _Followed(life)
                followed.task = self._spawn(self._follow(followed))
            if life.has_ended:
                followed.ended.set()

    async def counted(self, trace: Trace) -> frozenset[str]:
        """Return the IDs (64 hex digits) of containers that are counted for a trace from their first call."""
        if not trace.watched:
            return frozenset()
        await self.update()
        found = (
            lives.container_id(life.container.name)
            for life in self._followed
            if life.counter is not None and trace.session_uid in life.acquired
        )
        return frozenset(each for each in found if each)

    async def settle(self, trace: Trace) -> None:
        """Wait until it is known which containers a trace has counted and how those ended, but not for long."""
        if not trace.watched:
            return
        await self.update()
        mine = [each for life, each in self._followed.items() if trace.session_uid in life.users]
        try:
            async with asyncio.timeout(_SETTLE_SECONDS), self._changed:
                await self._changed.wait_for(lambda: all(each.is_settled() for each in mine))
        except TimeoutError:
            _log.info("trace %s ends before all is known of its containers", trace.session_uid)

    async def unwatch(self, users: list[str]) -> None:
        """Watch no pod any more for sessions that have ended."""
        await self._thread.call(self.counters.unwatch, users)
        left = self._running.keys() - set(users)
        for life, followed in list(self._followed.items()):
            if followed.task is not None and not life.users & left:
                followed.task.cancel()

    async def _follow(self, followed: _Followed) -> None:
        try:
            known = await self._identified(followed)
            if known is None:
                await self._thread.call(self.counters.drop, followed.life)
                return
            await self._claim(followed, known)
            await self._note(followed, claimed=True)
            await followed.ended.wait()
            known = await lives.ending(self._host.runtime, known)
            await self._thread.call(_write_end, followed, known)
        finally:
            self._followed.pop(followed.life, None)
            followed.done = True
            await self._note(followed, claimed=True)

    async def _note(self, followed: _Followed, *, claimed: bool) -> None:
        async with self._changed:
            followed.claimed = claimed
            self._changed.notify_all()

    async def _identified(self, followed: _Followed) -> Life | None:
        name = followed.life.container.name
        known = await lives.identify(self._host.runtime, name)
        if lives.container_id(name) is None:
            return None
        for seconds in _UNKNOWN_SECONDS:
            if known is not None:
                break
            await asyncio.sleep(seconds)
            known = await lives.identify(self._host.runtime, name)
        return known

    async def _claim(self, followed: _Followed, known: Life) -> None:
        life = followed.life
        if life.place is not None:
            life.place.owner.container_id = known.container_id
        for user in life.users:
            trace = self._running.get(user)
            if trace is None:
                continue
            pod = trace.watched.get(life.pod_uid)
            if pod is None or not _is_wanted(pod, known.name):
                await self._thread.call(self.counters.let_go, life, user)
            elif life.counter is None:
                await self._claim_uncounted(followed, trace, pod, known)
            else:
                await self._claim_counted(followed, trace, pod, known)

    async def _claim_counted(self, followed: _Followed, trace: Trace, pod: agent_pb2.Pod, known: Life) -> None:
        state = await self._state(followed.life, pod, known)
        acquired = followed.life.acquired.get(trace.session_uid)
        async with trace.lock:
            if trace.final is not None or acquired is None or known.container_id in trace.containers:
                return
            state.container.MergeFrom(trace.told.pop(known.container_id, agent_pb2.Container()))
            self._begin(trace)
            traced = trace.counted(state, acquired, state.start_time_unix_nanoseconds)
            traced.gaps += self._attacher.missing_views(trace, state, acquired)
            trace.containers[known.container_id] = traced
            followed.traced.append(traced)

    async def _claim_uncounted(self, followed: _Followed, trace: Trace, pod: agent_pb2.Pod, known: Life) -> None:
        """Attach to it as to one that was there before; one that has ended is told as not counted."""
        state = await self._state(followed.life, pod, known)
        if not followed.life.has_ended:
            await self._attacher.add(trace, [state.container], late=True)
        async with trace.lock:
            found = trace.containers.get(known.container_id)
            if trace.final is None and (found is None or found.state.phase == agent_pb2.ContainerState.PHASE_FAILED):
                await self.update()
                ended_ns = followed.life.container.emptied_ns or time.monotonic_ns()
                state.end_time_unix_nanoseconds = self._unix_ns(ended_ns)
                traced = trace.containers[known.container_id] = reports.not_counted(self._node, state)
                followed.traced.append(traced)

    async def _state(self, life: PodLife, pod: agent_pb2.Pod, known: Life) -> agent_pb2.ContainerState:
        container = agent_pb2.Container(
            pod_uid=pod.uid,
            pod_namespace=pod.namespace,
            pod_name=pod.name,
            container_name=known.name,
            container_id=known.container_id,
            restart_count=known.restart_count,
            kind=pod.kinds.get(known.name, ""),
        )
        pid = life.container.pid
        return agent_pb2.ContainerState(
            container=container,
            phase=agent_pb2.ContainerState.PHASE_TRACING,
            host_pid=pid,
            pid=await asyncio.to_thread(procfs.pid_in_container, self._host.proc, pid) if pid else 0,
            start_time_unix_nanoseconds=self._unix_ns(life.container.started_ns or life.container.created_ns),
        )

    def _unix_ns(self, monotonic_ns: int) -> int:
        return self._clock_ns() - time.monotonic_ns() + monotonic_ns

    def _spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("a container of a watched pod is lost", exc_info=task.exception())

    async def close(self) -> None:
        """Watch nothing any more."""
        if self._listening:
            asyncio.get_running_loop().remove_reader(self.counters.events_fd)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._thread.call(self.counters.close)


def _is_wanted(pod: agent_pb2.Pod, name: str) -> bool:
    return name not in pod.excluded_containers and (not pod.containers or not name or name in pod.containers)


def _write_end(followed: _Followed, known: Life) -> None:
    """Write how a life has ended into its rows; in the tracer's thread, where reports are made of them."""
    for traced in followed.traced:
        for state in traced.states:
            if known.ended:
                state.exit_code = known.exit_code
                state.exit_reason = known.reason
                state.finish_time_unix_nanoseconds = known.finish_time_unix_ns
