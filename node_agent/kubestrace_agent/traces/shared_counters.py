"""The containers that are counted on this node, shared by any number of traces. Used by traces, in one thread.

A container is one slot of the tracer, however many traces want it; it is given back when the last of them lets go
or when the container has ended.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from kubestrace_agent.containers import cgroups
from kubestrace_agent.kernel.counters.tracer import UnsupportedKernelError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from pathlib import Path

    from kubestrace_agent.containers.resolver import Resolved
    from kubestrace_agent.kernel.counters.counts import RawCounts
    from kubestrace_agent.syscalls import SyscallKey, Wanted
    from kubestrace_agent.views.collectors import Collector

_log = logging.getLogger(__name__)

# Snapshots that are asked for together (all watchers wake at the same instants) are taken once.
_FRESH_SECONDS = 0.05
# Others wait meanwhile, above all for their reports.
_DRAIN_SECONDS = 0.05


class Tracer(Protocol):
    """What is asked of kernel.tracer.Tracer."""

    def reserve_container(self, cgroup_path: Path, *, wanted: Wanted) -> int:
        """Make ready to count a cgroup: its slot."""

    def begin(self, slot: int) -> None:
        """Count from now on."""

    def set_wanted(self, slot: int, wanted: Wanted) -> None:
        """Change what is counted."""

    def stop(self, slots: Collection[int]) -> None:
        """Count nothing more, and let the counters and views stand still."""

    def remove(self, slot: int) -> None:
        """End counting."""

    def snapshot(self, slots: Iterable[int]) -> dict[int, RawCounts]:
        """Read counters."""

    @property
    def skipped_calls(self) -> int:
        """Count what the kernel skipped, since the tracer is there."""

    def join(self, slot: int) -> RawCounts:
        """Read the counters that another trace of a slot begins with."""

    def enable(self, view: str, slot: int, wanted: Any) -> None:
        """Have a view tell of a slot; None: no longer."""

    def read(self, view: str) -> Mapping[int, Any]:
        """Give what a view tells, by slot."""

    def needs_drain(self, view: str) -> bool:
        """Tell whether a view should be read at once."""

    def lost(self, view: str, slot: int) -> int:
        """Count what a view had no room for."""

    def close(self) -> None:
        """Give everything back."""


@dataclass(eq=False)
class Counter:
    """One container being counted; `ended_ns` (Unix time) is 0 while it runs."""

    cgroup: Path
    cgroup_id: int
    slot: int
    users: dict[str, Wanted] = field(default_factory=dict)
    # View -> user: what is collected beside the counts, for whom.
    collectors: dict[str, dict[str, Collector]] = field(default_factory=dict)
    counts: RawCounts | None = None
    ended_ns: int = 0
    was_populated: bool = False


@dataclass(frozen=True)
class Acquired:
    """A container that is counted for a user, and since when."""

    counter: Counter
    # The counts that the user begins with; None: nothing was counted before.
    start: RawCounts | None
    # CLOCK_MONOTONIC.
    begin_ns: int
    # Views that cannot be had, and why: the counts are as good as without.
    missing: list[tuple[Collector, Exception]]


class Counters:
    """All containers that are counted. Every method belongs to the one thread that owns the tracer."""

    def __init__(self, tracer: Tracer, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._tracer = tracer
        self._clock_ns = clock_ns
        self._counters: dict[int, Counter] = {}
        self._refreshed = 0.0

    def acquire(self, container: Resolved, user: str, wanted: Wanted, collectors: Iterable[Collector] = ()) -> Acquired:
        """Count a container for a user (a session's UID), and have views collected.

        Raises NodeFullError, and OSError when the cgroup has gone.
        """
        counter = self._counters.get(container.cgroup_id)
        if counter is None:
            slot = self._tracer.reserve_container(container.cgroup, wanted=wanted)
            counter = self._counters[container.cgroup_id] = Counter(container.cgroup, container.cgroup_id, slot)
            begin: Callable[[Counter], RawCounts | None] = self._begin
        else:
            begin = self._join
        counter.users[user] = wanted
        # The views first: what they tell are the calls that are counted.
        missing = self._collect_all(counter, user, collectors)
        begin_ns = time.monotonic_ns()
        try:
            start = begin(counter)
        except BaseException:
            self.release(counter, user)
            raise
        for view in [view for view, users in counter.collectors.items() if user in users]:
            self._read_view(view)
        return Acquired(counter, start, begin_ns, missing)

    def _begin(self, counter: Counter) -> None:
        self._tracer.begin(counter.slot)
        _has_ended(counter)  # one that dies before the first refresh had a process

    def _join(self, counter: Counter) -> RawCounts:
        self._tracer.set_wanted(counter.slot, _union(counter.users.values()))
        # Also its newest counts: a report may come before the next refresh, and must not be older than its start.
        counter.counts = self._tracer.join(counter.slot)
        return counter.counts

    def _collect_all(
        self, counter: Counter, user: str, collectors: Iterable[Collector]
    ) -> list[tuple[Collector, Exception]]:
        missing: list[tuple[Collector, Exception]] = []
        for collector in collectors:
            try:
                self._collect(counter, user, collector)
            except (UnsupportedKernelError, OSError) as error:
                missing.append((collector, error))
        return missing

    def _collect(self, counter: Counter, user: str, collector: Collector) -> None:
        view = collector.view
        self._read_view(view)
        collector.begin(time.monotonic_ns(), self._tracer.lost(view, counter.slot))
        users = counter.collectors.setdefault(view, {})
        users[user] = collector
        try:
            self._want(counter, view)
        except BaseException:
            del users[user]
            raise

    def _want(self, counter: Counter, view: str) -> None:
        wanted = [each.wanted for each in counter.collectors[view].values()]
        union = next(iter(counter.collectors[view].values())).union(wanted) if wanted else None
        self._tracer.enable(view, counter.slot, union)

    def _read_view(self, view: str) -> None:
        telling = {counter.slot: counter for counter in self._counters.values() if counter.collectors.get(view)}
        if not telling:
            return
        told = self._tracer.read(view)
        unix_minus_monotonic_ns = self._clock_ns() - time.monotonic_ns()
        for slot, counter in telling.items():
            lost = self._tracer.lost(view, slot)
            for collector in counter.collectors[view].values():
                collector.take(told.get(slot), lost, unix_minus_monotonic_ns)
            self._want(counter, view)

    def release(self, counter: Counter, user: str) -> None:
        """Let go of a container; the last user ends the counting."""
        counter.users.pop(user, None)
        collected = [view for view, users in counter.collectors.items() if users.pop(user, None) is not None]
        if counter.ended_ns:
            return
        for view in collected:
            self._want(counter, view)
        if counter.users:
            self._tracer.set_wanted(counter.slot, _union(counter.users.values()))
        else:
            self._remove(counter)

    def release_all(self, counters: Iterable[Counter | None], user: str) -> None:
        """Let go of many containers; one that fails keeps none of the others."""
        for counter in filter(None, counters):
            try:
                self.release(counter, user)
            except OSError:
                _log.exception("cannot stop counting %s", counter.cgroup)

    def refresh(self, *, fresh: bool = False) -> None:
        """Read all counters and notice what has ended; not again if that was just done, unless `fresh`."""
        if not self._counters or (not fresh and time.monotonic() - self._refreshed < _FRESH_SECONDS):
            return
        # Asked before the snapshot, so that the snapshot holds everything that an ended container did.
        ended = [counter for counter in self._counters.values() if _has_ended(counter)]
        by_slot = {counter.slot: counter for counter in self._counters.values()}
        for slot, counts in self._tracer.snapshot(by_slot).items():
            by_slot[slot].counts = counts
        for view in self._views():
            self._read_view(view)
        self._refreshed = time.monotonic()
        for counter in ended:
            counter.ended_ns = self._clock_ns()
            self._remove(counter)

    def refresh_for_the_last_time(self, user: str) -> None:
        """As refresh, and before that an end of counting for containers that nobody else wants.

        So their counts and what the views tell are the same calls, although they are not read at once.
        """
        own = [counter.slot for counter in self._counters.values() if counter.users.keys() == {user}]
        self._tracer.stop(own)
        self.refresh(fresh=True)

    @property
    def skipped_calls(self) -> int:
        """Calls of any process of the node that the kernel did not have counted, since the agent started."""
        return self._tracer.skipped_calls

    def drain(self) -> bool:
        """Read the views that cannot wait for the next refresh, again while they fill as fast, but not for ever.

        Tells whether there was any: more may come soon.
        """
        until, found = time.monotonic() + _DRAIN_SECONDS, False
        for view in self._views():
            while self._tracer.needs_drain(view) and time.monotonic() < until:
                self._read_view(view)
                found = True
        return found

    def _views(self) -> set[str]:
        """Name those that anybody collects."""
        counters = self._counters.values()
        return {view for counter in counters for view, users in counter.collectors.items() if users}

    def refresh_since(self, monotonic_ns: int) -> None:
        """Read all counters, unless that was done after a moment (time.monotonic_ns)."""
        if self._refreshed < monotonic_ns / 1e9:
            self.refresh(fresh=True)

    def close(self) -> None:
        """Detach from the kernel."""
        self._counters.clear()
        self._tracer.close()

    def _remove(self, counter: Counter) -> None:
        del self._counters[counter.cgroup_id]
        self._tracer.remove(counter.slot)


def _has_ended(counter: Counter) -> bool:
    """Tell whether the last process is gone; a cgroup that never had one is still waiting for its first."""
    populated = cgroups.populated(counter.cgroup)
    counter.was_populated = counter.was_populated or bool(populated)
    return populated is None or (counter.was_populated and not populated)


def _union(wants: Iterable[Wanted]) -> Wanted:
    together: set[SyscallKey] = set()
    for wanted in wants:
        if wanted is None:
            return None
        together |= wanted
    return frozenset(together)
