"""Pods whose containers are counted from their first call: which slots wait for them, and which of them took one.

Belongs to the tracer's thread, as the Tracer does. A pod may be added before it has a cgroup. From then on the kernel
gives a slot to each container that is created below it (pods.bpf.c); here slots are made ready and taken back.

What the runtime does in a container before the container's program, and to bring a further program into it
(`kubectl exec`, probes), is counted in one slot for each pod, `runtime_slot`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kubestrace_agent.kernel.counters.tracer import NodeFullError, UnsupportedKernelError
from kubestrace_agent.kernel.maps.pods import SlotRef

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kubestrace_agent.kernel.counters.tracer import Tracer
    from kubestrace_agent.kernel.maps.pods import PodContainer
    from kubestrace_agent.syscalls import Wanted

_log = logging.getLogger(__name__)

# Ready for a pod of one container: for its sandbox, which the kernel cannot tell apart, for the container, and for the
# next one. One more for each further container, up to the most: the runtime makes them one after the other in some
# 100 ms each, and what is taken is replaced meanwhile.
READY_SLOTS = 3
_MOST_READY_SLOTS = 10
# For a pod that has its sandbox, and most often its containers: for two that come at a time.
_LATER_READY_SLOTS = 2
# Where half of the node's slots are in use.
_FEW_READY_SLOTS = 1


class TooManyPodsError(Exception):
    """This node watches as many pods as it can."""


# Why a pod cannot be watched; all others can.
_CANNOT = (UnsupportedKernelError, NodeFullError, TooManyPodsError, OSError)


@dataclass(frozen=True)
class NewPod:
    """A pod that is to be watched; `uid`: 32 hex digits."""

    uid: str
    wanted: Wanted
    # How many its spec has.
    containers: int = 1
    # Of the pod, where it has a cgroup.
    cgroup_id: int = 0


@dataclass
class WatchedPod:
    """A pod whose containers are counted from their first call."""

    number: int
    uid: str
    runtime_slot: int
    wanted: Wanted
    # How many are to be ready, where the node has many.
    ready_slots: int
    # Given to the kernel and not yet taken, the oldest first.
    ready: list[int] = field(default_factory=list)
    # Containers that found no slot; the next one may find one again.
    missed: int = 0


# Makes a slot for each container that pods do not have yet, by the pods' UIDs, one of which may stand there many times.
Reserve = Callable[[Sequence[str]], Sequence[int | NodeFullError]]


class PodSlots:
    """All watched pods of the node."""

    def __init__(
        self,
        tracer: Tracer,
        levels: Iterable[int | None],
        *,
        reserve: Reserve | None = None,
        release: Callable[[int], None] | None = None,
    ) -> None:
        """`levels`: depths in the cgroup tree at which containers of pods stand; None where that is not known.

        `release` takes back what `reserve` made. Raises UnsupportedKernelError where the kernel does not take the
        programs.
        """
        self._reserve = reserve or self._reserve_slots
        self._release = release or tracer.remove
        self._tracer = tracer
        self._levels = frozenset(levels)
        self._maps = tracer.pod_maps()
        self._pods: dict[str, WatchedPod] = {}
        self._containers: dict[int, PodContainer] = {}
        # Changes that were found while a pod was removed.
        self._unreported: list[PodContainer] = []

    @property
    def events_fd(self) -> int:
        """A file descriptor that is readable when `changes` has something to tell."""
        return self._maps.events_fd

    def add(self, new: Iterable[NewPod]) -> dict[str, Exception]:
        """Count the containers that these pods get from now on; gives by UID why one is not watched.

        Whoever knows no cgroup of a pod looks for one afterwards, and calls `found`: it may have come before.
        """
        problems: dict[str, Exception] = {}
        added = []
        for each in new:
            if each.uid in self._pods:
                raise ValueError(f"pod {each.uid} is watched already")
            try:
                self._pods[each.uid] = self._numbered(each)
                self._tracer.watch_pods(self._levels)
                added.append(each)
            except _CANNOT as error:
                problems[each.uid] = error
                self._drop(each.uid)
        self._make_ready([self._pods[each.uid] for each in added])
        for each in added:
            try:
                self._await(each, self._pods[each.uid])
            except OSError as error:
                problems[each.uid] = error
                self._drop(each.uid)
        return problems

    def _numbered(self, new: NewPod) -> WatchedPod:
        taken = {pod.number for pod in self._pods.values()}
        number = next((n for n in range(self._maps.capacity) if n not in taken), None)
        if number is None:
            raise TooManyPodsError(f"This node watches {len(self._pods)} pods for new containers, its limit.")
        ready_slots = min(READY_SLOTS + max(0, new.containers - 1), _MOST_READY_SLOTS)
        if new.cgroup_id:
            ready_slots = _LATER_READY_SLOTS
        self._maps.clear(number)
        return WatchedPod(number, new.uid, self._tracer.reserve_slot(wanted=new.wanted), new.wanted, ready_slots)

    def _await(self, new: NewPod, pod: WatchedPod) -> None:
        self._maps.await_pod(pod.number, new.uid)
        if new.cgroup_id:
            self._maps.watch(pod.number, new.cgroup_id)

    def _drop(self, uid: str) -> None:
        if uid in self._pods:
            self.remove(uid)

    def found(self, uid: str, cgroup_id: int) -> None:
        """Tell where a pod's cgroup is, for one that was there before `add`. Idempotent."""
        if not self._maps.state(self._pods[uid].number).cgroup_id:
            self._maps.watch(self._pods[uid].number, cgroup_id)

    def set_wanted(self, uid: str, wanted: Wanted) -> None:
        """Change what is counted of containers that the pod gets from now on, and of the runtime."""
        pod = self._pods[uid]
        if wanted != pod.wanted:
            pod.wanted = wanted
            for slot in (*pod.ready, pod.runtime_slot):
                self._tracer.set_wanted(slot, wanted)

    def changes(self) -> list[PodContainer]:
        """Containers that are new or have changed since the last call, the oldest first; slots are made ready again.

        Each is the caller's from the first time it is told, and stays until `release` or `forget`.
        """
        changed, self._unreported = self._unreported + self._look(), []
        return changed

    def _look(self) -> list[PodContainer]:
        self._maps.drain()
        changed = []
        for container in sorted(self._maps.containers(), key=lambda each: each.created_ns):
            before = self._containers.get(container.cgroup_id)
            if container != before:
                self._containers[container.cgroup_id] = container
                changed.append(container)
                if before is None and container.slot:
                    self._tracer.adopt(container.slot, container.cgroup_id, container.level)
        for pod in self._pods.values():
            self._take_stock(pod)
        self._make_ready(self._pods.values())
        return changed

    def pod_of(self, container: PodContainer) -> str:
        """Return the UID of a container's pod, or nothing where that is no longer watched."""
        return next((pod.uid for pod in self._pods.values() if pod.number == container.pod), "")

    def __contains__(self, uid: object) -> bool:
        """Tell whether a pod is watched."""
        return uid in self._pods

    def runtime_slot(self, uid: str) -> int:
        """Return the slot in which the runtime's calls are counted in a pod's containers."""
        return self._pods[uid].runtime_slot

    def cgroup_id(self, uid: str) -> int:
        """Return the ID of a pod's cgroup; 0: it has none yet, or no longer."""
        return self._maps.state(self._pods[uid].number).cgroup_id

    def ready(self, uid: str) -> list[int]:
        """Return the slots that wait for the containers of a pod."""
        return list(self._pods[uid].ready)

    def missed(self, uid: str) -> int:
        """Containers of the pod that found no slot, and so were not counted from their first call."""
        return self._pods[uid].missed

    def unmarked(self, uid: str) -> int:
        """Processes of the runtime whose calls were counted as a container's."""
        return self._maps.state(self._pods[uid].number).unmarked

    def release(self, container: PodContainer) -> None:
        """Count a container no longer; read its counters before."""
        if self._containers.pop(container.cgroup_id, None) is not None:
            self._maps.remove(container.cgroup_id)
            if container.slot:
                self._release(container.slot)

    def forget(self, container: PodContainer) -> None:
        """Drop the record of a container; its slot is the caller's from now on. Idempotent."""
        if self._containers.pop(container.cgroup_id, None) is not None:
            self._maps.remove(container.cgroup_id)

    def remove(self, uid: str) -> None:
        """Watch a pod no longer, and release its containers."""
        pod = self._pods.pop(uid)
        self._maps.forget(pod.number, uid)
        self._unreported += [each for each in self._look() if each.pod != pod.number]
        self._take_stock(pod)
        for container in [each for each in self._containers.values() if each.pod == pod.number]:
            self.release(container)
        for slot in pod.ready:
            self._release(slot)
        self._tracer.remove(pod.runtime_slot)
        if not self._pods:
            self._tracer.unwatch_pods()
            self._maps.forget_joiners()

    def close(self) -> None:
        """Release what is shared with the kernel; the slots are the tracer's to close."""
        self._maps.close()

    def _take_stock(self, pod: WatchedPod) -> None:
        """Notice what containers have taken, or found no more of."""
        state = self._maps.state(pod.number)
        pod.missed = state.missed
        del pod.ready[: len(pod.ready) - (state.given - state.taken)]

    def _make_ready(self, pods: Iterable[WatchedPod]) -> None:
        """Give slots, as long as the node has any. What then finds none is told as missed."""
        lacking: list[WatchedPod] = []
        for pod in pods:
            wanted = pod.ready_slots if self._tracer.has_many_free(len(lacking)) else _FEW_READY_SLOTS
            lacking += [pod] * (wanted - len(pod.ready))
        for pod, slot in zip(lacking, self._reserve([pod.uid for pod in lacking]) if lacking else (), strict=True):
            if isinstance(slot, NodeFullError):
                _log.warning("no slot for further containers of pod %s: %s", pod.uid, slot)
                continue
            pod.ready.append(slot)
            self._maps.give(pod.number, self._ref(slot), self._ref(pod.runtime_slot))

    def _reserve_slots(self, uids: Sequence[str]) -> list[int | NodeFullError]:
        made: list[int | NodeFullError] = []
        for uid in uids:
            try:
                made.append(self._tracer.reserve_slot(wanted=self._pods[uid].wanted))
            except NodeFullError as error:
                made.append(error)
        return made

    def _ref(self, slot: int) -> SlotRef:
        return SlotRef(slot, self._tracer.generation(slot))
