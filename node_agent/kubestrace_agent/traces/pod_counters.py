"""Counters that wait for the containers of watched pods, and become theirs when the kernel has given them away.

Used by pods. Everything here belongs to the thread that owns the tracer.
"""

from __future__ import annotations

import itertools
import platform
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kubestrace_agent.kernel.counters.pod_slots import NewPod, PodSlots
from kubestrace_agent.kernel.counters.tracer import NodeFullError
from kubestrace_agent.symbols.roots import Owner
from kubestrace_agent.traces.counter import union
from kubestrace_agent.traces.delta import difference

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from kubestrace_agent.kernel.counters.tracer import Tracer
    from kubestrace_agent.kernel.maps.pods import PodContainer
    from kubestrace_agent.syscalls import Wanted
    from kubestrace_agent.traces import counter
    from kubestrace_agent.traces.counter import Counter, Place
    from kubestrace_agent.traces.shared_counters import Acquired, Asked, Counters

    # What a session asks of a container whose place and files are given.
    Ask = Callable[[Place, Owner], Asked]


@dataclass(eq=False)
class PodPlace:
    """A container of a pod, from before it exists."""

    # Below 0, as it has no cgroup yet.
    number: int
    owner: Owner = field(default_factory=Owner)
    container: PodContainer | None = None
    # Its folder, once that was found.
    own_cgroup: Path | None = None
    is_new = True

    @property
    def key(self) -> int:
        """Its cgroup's id, once it has one."""
        return self.container.cgroup_id if self.container else self.number

    @property
    def is_there(self) -> bool:
        """Whether it exists, as far as the kernel's records were read."""
        return self.container is not None

    def reserve(self, tracer: counter.Tracer, wanted: Wanted) -> int:
        """Make ready to count whatever container gets the slot."""
        return tracer.reserve_slot(wanted=wanted)

    def has_ended(self) -> bool:
        """Tell whether its last process has ended, as far as the kernel's records were read."""
        return self.container is not None and bool(self.container.emptied_ns or self.container.removed_ns)


@dataclass(eq=False)
class _Ready:
    """A counter that waits for a container."""

    place: PodPlace
    counter: Counter
    # By user, a session's UID.
    acquired: dict[str, Acquired]


@dataclass(eq=False)
class PodLife:
    """A container that was created below a watched pod's cgroup."""

    pod_uid: str
    # As of the last `update`.
    container: PodContainer
    # Who watched the pod then.
    users: frozenset[str]
    # None: the pod had no slot left, and the container is not counted.
    counter: Counter | None = None
    place: PodPlace | None = None
    acquired: dict[str, Acquired] = field(default_factory=dict)
    # Its program was executed, and its views know it.
    begun: bool = False

    @property
    def has_ended(self) -> bool:
        """Tell whether its last process has ended."""
        return bool(self.container.emptied_ns or self.container.removed_ns)


@dataclass(eq=False)
class _Watched:
    """Who wants a pod's containers counted; by user, a session's UID."""

    asks: dict[str, Ask] = field(default_factory=dict)
    wants: dict[str, Wanted] = field(default_factory=dict)
    # Calls of the runtime before the user came.
    runtime_before: dict[str, int] = field(default_factory=dict)
    # It had a cgroup.
    seen: bool = False


_NOBODY = _Watched()


class PodCounters:
    """All watched pods of the node, and the counters of their containers."""

    def __init__(self, counters: Counters, tracer: Tracer, levels: Iterable[int | None]) -> None:
        """`levels`: depths in the cgroup tree at which containers of pods stand; None where that is not known.

        Raises UnsupportedKernelError where the kernel cannot tell containers from their first call.
        """
        self._counters = counters
        self._tracer = tracer
        self._slots = PodSlots(tracer, levels, reserve=self._reserve, release=self._release)
        self._watched: dict[str, _Watched] = {}
        self._ready: dict[int, _Ready] = {}
        self._lives: dict[int, PodLife] = {}
        self._news: dict[int, PodLife] = {}
        # By user: the runtime's calls in pods that have ended.
        self._runtime_done: dict[str, int] = {}
        self._numbers = itertools.count(-1, -1)

    @property
    def events_fd(self) -> int:
        """A file descriptor that is readable when `update` has something to do."""
        return self._slots.events_fd

    def watch(self, user: str, ask: Ask, wanted: Wanted, pods: Iterable[NewPod]) -> dict[str, Exception]:
        """Count for a user the containers that pods get from now on; gives by UID why one cannot be watched.

        Idempotent.
        """
        new = {pod.uid: pod for pod in pods if user not in self._watched.get(pod.uid, _NOBODY).asks}
        for uid in new:
            watched = self._watched.setdefault(uid, _Watched())
            watched.asks[user], watched.wants[user] = ask, wanted
            watched.runtime_before[user] = self._runtime_calls(uid)
        shared = [uid for uid in new if uid in self._slots]
        try:
            problems = self._join(shared, user, ask)
            problems |= self._slots.add(pod for uid, pod in new.items() if uid not in shared)
        except BaseException:
            self.unwatch([user], new)
            raise
        self.unwatch([user], problems)
        self._counters.beside_slots |= {self._slots.runtime_slot(uid) for uid in new if uid in self._slots}
        return problems

    def found(self, uid: str, cgroup_id: int) -> None:
        """Say where a pod's cgroup is that was there before `watch`."""
        if uid in self._slots:
            self._slots.found(uid, cgroup_id)

    def _join(self, uids: Collection[str], user: str, ask: Ask) -> dict[str, Exception]:
        """Have a further user's views collected of the containers that are still to come."""
        problems: dict[str, Exception] = {}
        for uid in uids:
            self._slots.set_wanted(uid, union(self._watched[uid].wants.values()))
        ready = [(uid, self._ready[slot]) for uid in uids for slot in self._slots.ready(uid)]
        results = self._counters.acquire([ask(each.place, each.place.owner) for _, each in ready])
        for (uid, each), result in zip(ready, results, strict=True):
            if isinstance(result, Exception):
                problems[uid] = result
            else:
                each.acquired[user] = result
        return problems

    def _reserve(self, uids: Sequence[str]) -> list[int | NodeFullError]:
        """Make counters that wait for containers, all at once: it takes as long as for one."""
        places = [(PodPlace(next(self._numbers)), self._watched[uid].asks) for uid in uids]
        asked = [(place, user, ask) for place, asks in places for user, ask in asks.items()]
        results = self._counters.acquire([ask(place, place.owner) for place, _, ask in asked])
        by_place: dict[int, dict[str, Acquired | Exception]] = {}
        for (place, user, _), result in zip(asked, results, strict=True):
            by_place.setdefault(place.number, {})[user] = result
        return [self._made_ready(place, by_place[place.number]) for place, _ in places]

    def _made_ready(self, place: PodPlace, results: Mapping[str, Acquired | Exception]) -> int | NodeFullError:
        acquired = {user: result for user, result in results.items() if not isinstance(result, Exception)}
        error = next((result for result in results.values() if isinstance(result, Exception)), None)
        if error is not None:
            return error if isinstance(error, NodeFullError) else NodeFullError(str(error))
        made = next(iter(acquired.values())).counter
        self._ready[made.slot] = _Ready(place, made, acquired)
        return made.slot

    def _release(self, slot: int) -> None:
        """Take back a counter that no container got, or one that came while its pod is no longer watched."""
        ready = self._ready.pop(slot)
        self._let_go(ready.counter, ready.acquired)

    def _let_go(self, counter: Counter, users: Collection[str]) -> None:
        users = [user for user in users if user in counter.users]
        if users and self._counters.holds(counter):
            self._counters.release([counter], users)

    def update(self) -> None:
        """Take over what the kernel has seen since: containers that were created, started, emptied or removed."""
        for container in self._slots.changes():
            life = self._lives.get(container.cgroup_id)
            if life is None:
                life = self._lives[container.cgroup_id] = self._born(container)
            self._take(life, container)
            self._news[container.cgroup_id] = life
        self._sweep()
        self._end_removed()

    @staticmethod
    def _take(life: PodLife, container: PodContainer) -> None:
        life.container = container
        if life.place is not None:
            life.place.container = container
        if life.counter is not None and container.started_ns and not life.begun:
            life.begun = True
            for collector in {each for share in life.counter.shares for each in share.collectors}:
                collector.began(container.started_ns)

    def _end_removed(self) -> None:
        """Watch pods no longer whose cgroups were removed: their slots are for others."""
        removed = []
        for uid, watched in self._watched.items():
            there = bool(self._slots.cgroup_id(uid)) if uid in self._slots else False
            if watched.seen and not there:
                removed.append(uid)
            watched.seen = watched.seen or there
        if removed:
            self._counters.refresh(fresh=True)  # what their last containers did
        for uid in removed:
            for user, before in self._watched[uid].runtime_before.items():
                calls = max(0, self._runtime_calls(uid) - before)
                self._runtime_done[user] = self._runtime_done.get(user, 0) + calls
            self._end(uid)

    def _born(self, container: PodContainer) -> PodLife:
        uid = self._slots.pod_of(container)
        watched = self._watched.get(uid)
        life = PodLife(uid, container, frozenset(watched.asks if watched else ()))
        ready = self._ready.pop(container.slot, None) if container.slot else None
        if ready is not None:
            life.counter, life.place, life.acquired = ready.counter, ready.place, ready.acquired
            ready.place.container = container
            self._counters.moved(ready.counter, ready.place.number)
        return life

    def news(self) -> list[PodLife]:
        """Return the lives that are new or have changed since this was last asked."""
        news, self._news = self._news, {}
        return list(news.values())

    def _sweep(self) -> None:
        """Drop the records of containers that have ended and are counted no longer."""
        for cgroup_id, life in list(self._lives.items()):
            if life.has_ended and (life.counter is None or not self._counters.holds(life.counter)):
                self._slots.forget(life.container)
                del self._lives[cgroup_id]

    def drop(self, life: PodLife) -> None:
        """Count a container no longer that is none of the pod's spec, as its sandbox."""
        if self._lives.pop(life.container.cgroup_id, None) is not None:
            self._slots.forget(life.container)
        if life.counter is not None:
            self._let_go(life.counter, life.acquired)

    def let_go(self, life: PodLife, user: str) -> None:
        """Count a container no longer for a user who does not want it."""
        life.acquired.pop(user, None)
        if life.counter is not None:
            self._let_go(life.counter, [user])

    def unwatch(self, users: Collection[str], uids: Collection[str] | None = None) -> None:
        """Watch pods no longer for users, all of theirs or those given; containers of others go on. Idempotent."""
        for user in users if uids is None else ():
            self._runtime_done.pop(user, None)
        for uid, watched in list(self._watched.items()):
            if uids is not None and uid not in uids:
                continue
            for user in users:
                watched.asks.pop(user, None)
                watched.wants.pop(user, None)
                watched.runtime_before.pop(user, None)
            if watched.asks:
                self._leave(uid, users)
            else:
                self._end(uid)

    def _leave(self, uid: str, users: Collection[str]) -> None:
        for slot in self._slots.ready(uid):
            ready = self._ready[slot]
            self._let_go(ready.counter, users)
            for user in users:
                ready.acquired.pop(user, None)
        self._slots.set_wanted(uid, union(self._watched[uid].wants.values()))

    def _end(self, uid: str) -> None:
        """Nobody watches the pod: others may still count its containers, by their cgroups."""
        del self._watched[uid]
        lives = [life for life in self._lives.values() if life.pod_uid == uid]
        for life in lives:
            del self._lives[life.container.cgroup_id]
            self._slots.forget(life.container)
        if uid in self._slots:
            self._counters.beside_slots.discard(self._slots.runtime_slot(uid))
            self._slots.remove(uid)
        for life in lives:
            if life.counter is not None:
                self._let_go(life.counter, life.acquired)
                if self._counters.holds(life.counter) and not life.container.started_ns:
                    self._tracer.begin(life.counter.slot)

    def runtime_calls(self, user: str) -> int:
        """Count the calls that the runtime made in the containers of a user's pods since the user watches them."""
        return self._runtime_done.get(user, 0) + sum(
            max(0, self._runtime_calls(uid) - watched.runtime_before[user])
            for uid, watched in self._watched.items()
            if user in watched.runtime_before
        )

    def unmarked(self, user: str) -> int:
        """Count the runtime's processes whose calls are among the containers', as there was no room to mark them."""
        return sum(self._slots.unmarked(uid) for uid, watched in self._watched.items() if user in watched.asks)

    def _runtime_calls(self, uid: str) -> int:
        counts = self._counters.beside.get(self._slots.runtime_slot(uid)) if uid in self._slots else None
        if counts is None:
            return 0
        told = difference(None, counts, wanted=None, architecture=platform.machine())
        return sum(each.calls for each in told.syscalls)

    def close(self) -> None:
        """Release what is shared with the kernel, before the tracer is closed."""
        self.unwatch({user for watched in self._watched.values() for user in watched.asks})
        self._slots.close()
