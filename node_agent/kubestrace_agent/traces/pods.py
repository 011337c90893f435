"""Pods whose containers are counted from their first call: which session watches which, and what became of each life.

The kernel says that a container was created, the runtime says which one it is and how it ended. Lives on the event
loop; what touches the counters runs in the tracer's thread. Used by registry.
"""

from __future__ import annotations

import asyncio
import logging
import select
from typing import TYPE_CHECKING

from kubestrace_agent.containers import cgroups, lives, pod_cgroups
from kubestrace_agent.kernel.counters.pod_slots import NewPod
from kubestrace_agent.traces import reports
from kubestrace_agent.traces.claims import Claims, Followed

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Mapping

    from kubestrace_agent.containers.lives import Life
    from kubestrace_agent.symbols.roots import Owner
    from kubestrace_agent.traces.attach import Attacher
    from kubestrace_agent.traces.claims import PodHost, Running
    from kubestrace_agent.traces.counter import Place
    from kubestrace_agent.traces.pod_counters import PodCounters, PodLife
    from kubestrace_agent.traces.shared_counters import Asked
    from kubestrace_agent.traces.trace import Trace
    from kubestrace_protos.v1 import agent_pb2

_log = logging.getLogger(__name__)

# A runtime may know a container only some time after its cgroup was created; the cgroup of a sandbox it never knows.
_UNKNOWN_SECONDS = (0.05, 0.2, 0.5, 1.0)


class Pods:
    """All watched pods of this node."""

    def __init__(self, counters: PodCounters, host: PodHost, attacher: Attacher, running: Running) -> None:
        """`attacher` attaches to containers that were there before."""
        self.counters = counters
        self._host = host
        self._thread = attacher.thread
        self._names = attacher.names
        self._running = running.traces
        self._clock_ns = running.clock_ns
        self._node = attacher.node.name
        self._claims = Claims(counters, attacher, running, self.update, host.hierarchy.root)
        self._followed: dict[PodLife, Followed] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Condition()
        self._listening = False
        self._closed = False

    async def watch(self, trace: Trace, pods: Iterable[agent_pb2.Pod]) -> None:
        """Count the containers that these pods get from now on; those that cannot be watched are gaps of the trace."""
        named = {uid: pod for pod in pods if (uid := cgroups.bare_uid(pod.uid))}
        new = named.keys() - trace.watched.keys()
        changed = {uid: pod for uid, pod in named.items() if uid not in new and trace.watched[uid] != pod}
        if changed:
            trace.watched |= changed
            await self._thread.call(_name_kinds, trace, [*changed.values()])
        # Before and after: nothing is missed of a pod whose cgroup is there, or is created meanwhile.
        there = await self._find(new)
        if new and not trace.frozen:
            await self._watch(trace, {uid: named[uid] for uid in new}, there)
        for uid, cgroup_id in (await self._find(new - there.keys())).items():
            await self._thread.call(self.counters.found, uid, cgroup_id)

    async def _find(self, uids: Iterable[str]) -> dict[str, int]:
        """Return the IDs of the cgroups that pods have now."""
        wanted = frozenset(uids)
        return await asyncio.to_thread(pod_cgroups.find_pods, self._host.hierarchy.root, wanted) if wanted else {}

    async def _watch(self, trace: Trace, pods: Mapping[str, agent_pb2.Pod], there: Mapping[str, int]) -> None:
        def ask(place: Place, owner: Owner) -> Asked:
            return trace.asks(place, self._names, owner)

        trace.watched |= pods
        new = [NewPod(uid, trace.wanted, len(pod.kinds), there.get(uid, 0)) for uid, pod in pods.items()]
        problems = await self._thread.call(self.counters.watch, trace.session_uid, ask, trace.wanted, new)
        for uid, error in problems.items():
            del trace.watched[uid]
            _log.warning("trace %s: containers of pod %s are counted late: %s", trace.session_uid, uid, error)
            if not trace.gaps:
                trace.gaps.append(reports.first_calls_not_counted(self._node, error, self._clock_ns()))
        if problems.keys() != pods.keys():
            self._listen()

    def _is_current(self) -> bool:
        """Tell whether all is known that the kernel has seen: the tracer's thread need not be waited for."""
        return self._listening and not select.select([self.counters.events_fd], [], [], 0)[0]

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
                followed = self._followed[life] = Followed(life)
                followed.task = self._spawn(self._follow(followed))
            if life.container.started_ns or life.has_ended:
                followed.started.set()
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

    async def settle(self, trace: Trace, within_seconds: float) -> None:
        """Wait until it is known which containers a trace has counted and how those ended, but not for long."""
        if not trace.watched:
            return
        if not self._is_current():
            await self.update()
        mine = [
            each
            for life, each in self._followed.items()
            if trace.session_uid in life.users and not trace.ended_before(life.container.created_ns)
        ]
        try:
            async with asyncio.timeout(within_seconds), self._changed:
                await self._changed.wait_for(lambda: all(each.is_settled() for each in mine))
        except TimeoutError:
            _log.info("trace %s ends before all is known of its containers", trace.session_uid)

    async def unwatch(self, trace: Trace) -> None:
        """Watch no pod any more for a session that has ended."""
        users = [trace.session_uid]
        # One after the other, so that other sessions have their turn.
        for uids in (*([uid] for uid in trace.watched), None):
            if self._closed:
                return
            await self._thread.call(self.counters.unwatch, users, uids)
        for life, followed in list(self._followed.items()):
            if followed.task is not None and not life.users & self._running.keys():
                followed.task.cancel()

    async def _follow(self, followed: Followed) -> None:
        try:
            known = await self._identified(followed)
            if known is None:
                await self._thread.call(self.counters.drop, followed.life)
                return
            await self._claims.claim(followed, known)
            await self._note(followed, claimed=True)
            await followed.started.wait()
            await self._claims.write_start(followed)
            await followed.ended.wait()
            await self._claims.write_end(followed, await lives.ending(self._host.runtime, known))
        except Exception as error:  # noqa: BLE001 - the sessions say so, and all others go on
            _log.exception("container %s of a watched pod is lost", followed.life.container.name[:200])
            await self._claims.lost(followed, error)
        finally:
            self._followed.pop(followed.life, None)
            followed.done = True
            await self._note(followed, claimed=True)

    async def _note(self, followed: Followed, *, claimed: bool) -> None:
        async with self._changed:
            followed.claimed = claimed
            self._changed.notify_all()

    async def _identified(self, followed: Followed) -> Life | None:
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

    def _spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("the watching of pods has failed", exc_info=task.exception())

    async def close(self) -> None:
        """Watch nothing any more."""
        self._closed = True
        if self._listening:
            asyncio.get_running_loop().remove_reader(self.counters.events_fd)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._thread.call(self.counters.close)


def _name_kinds(trace: Trace, pods: Iterable[agent_pb2.Pod]) -> None:
    """Say of which kind containers are that came before their pod was known to have them (`kubectl debug`)."""
    kinds = {pod.uid: pod.kinds for pod in pods}
    for traced in list(trace.containers.values()):
        for state in traced.states:
            container = state.container
            if container.pod_uid in kinds and not container.kind:
                container.kind = kinds[container.pod_uid].get(container.container_name, "")
