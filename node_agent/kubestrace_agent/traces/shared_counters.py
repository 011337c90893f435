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
from kubestrace_agent.kernel.loader.programs import UnsupportedKernelError
from kubestrace_agent.traces.settling import read_until_settled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from kubestrace_agent.kernel.counters.counts import RawCounts, Row
    from kubestrace_agent.syscalls import SyscallKey, Wanted
    from kubestrace_agent.views.view import Collector

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

    def remove(self, slot: int) -> None:
        """End counting."""

    def snapshot(self, slots: Iterable[int]) -> dict[int, RawCounts]:
        """Read counters."""

    @property
    def skipped_calls(self) -> int:
        """Count what the kernel skipped, since the tracer is there."""

    def join(self, slot: int) -> RawCounts:
        """Read the counters that another trace of a slot begins with."""

    def enable(self, part: str, slot: int, wanted: Any) -> None:
        """Have a part of a view tell of a slot; None: no longer."""

    def read(self, part: str) -> Mapping[int, Any]:
        """Give what a part tells, by slot."""

    def needs_drain(self, part: str) -> bool:
        """Tell whether a part should be read at once."""

    def lost(self, part: str, slot: int) -> int:
        """Count what a part had no room for."""

    def close(self) -> None:
        """Give everything back."""


class Place(Protocol):
    """What is counted."""

    @property
    def key(self) -> int:
        """Tell it from all others that are counted."""

    def reserve(self, tracer: Tracer, wanted: Wanted) -> int:
        """Make ready to count it: its slot. Raises OSError where it has gone, and NodeFullError."""

    def has_ended(self) -> bool:
        """Tell whether nothing of it is left to be counted."""


@dataclass
class CgroupPlace:
    """A container's cgroup, with those below it."""

    cgroup: Path
    cgroup_id: int
    _was_populated: bool = False

    @property
    def key(self) -> int:
        """Its id."""
        return self.cgroup_id

    def reserve(self, tracer: Tracer, wanted: Wanted) -> int:
        """Make ready to count it."""
        return tracer.reserve_container(self.cgroup, wanted=wanted)

    def has_ended(self) -> bool:
        """Tell whether the last process is gone; a cgroup that never had one is still waiting for its first."""
        populated = cgroups.populated(self.cgroup)
        self._was_populated = self._was_populated or bool(populated)
        return populated is None or (self._was_populated and not populated)


@dataclass(eq=False)
class Counter:
    """One container being counted; `ended_ns` (Unix time) is 0 while it runs."""

    place: Place
    slot: int
    users: dict[str, Wanted] = field(default_factory=dict)
    # Part of a view -> user: what is collected beside the counts, for whom.
    collectors: dict[str, dict[str, Collector]] = field(default_factory=dict)
    counts: RawCounts | None = None
    ended_ns: int = 0


@dataclass(frozen=True)
class Acquired:
    """A container that is counted for a user, and since when."""

    counter: Counter
    # The counts that the user begins with; None: nothing was counted before.
    start: RawCounts | None
    # Collectors whose part of a view cannot be had, and why: the counts are as good as without.
    missing: list[tuple[Collector, Exception]]


class Counters:
    """All containers that are counted. Every method belongs to the one thread that owns the tracer."""

    def __init__(self, tracer: Tracer, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._tracer = tracer
        self._clock_ns = clock_ns
        self._counters: dict[int, Counter] = {}
        self._refreshed = 0.0

    def acquire(self, place: Place, user: str, wanted: Wanted, collectors: Sequence[Collector] = ()) -> Acquired:
        """Count a container for a user (a session's UID), and have views collected.

        Raises NodeFullError, and OSError when the container has gone.
        """
        counter = self._counters.get(place.key)
        if counter is None:
            counter = self._counters[place.key] = Counter(place, place.reserve(self._tracer, wanted))
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
        for part in [part for part, users in counter.collectors.items() if user in users]:
            self._read_part(part)
        for collector in collectors:
            collector.begin_counts(start, begin_ns)
        return Acquired(counter, start, missing)

    def _begin(self, counter: Counter) -> None:
        self._tracer.begin(counter.slot)
        counter.place.has_ended()  # one that dies before the first refresh had a process

    def _join(self, counter: Counter) -> RawCounts:
        self._tracer.set_wanted(counter.slot, _union(counter.users.values()))
        # Also its newest counts: a report may come before the next refresh, and must not be older than its start.
        counter.counts = self._tracer.join(counter.slot)
        return counter.counts

    def _collect_all(
        self, counter: Counter, user: str, collectors: Iterable[Collector]
    ) -> list[tuple[Collector, Exception]]:
        missing: list[tuple[Collector, Exception]] = []
        for collector in (each for each in collectors if each.part):
            try:
                self._collect(counter, user, collector)
            except (UnsupportedKernelError, OSError) as error:
                missing.append((collector, error))
        return missing

    def _collect(self, counter: Counter, user: str, collector: Collector) -> None:
        part = collector.part
        self._read_part(part)
        collector.begin(time.monotonic_ns(), self._tracer.lost(part, counter.slot))
        users = counter.collectors.setdefault(part, {})
        users[user] = collector
        try:
            self._want(counter, part)
        except BaseException:
            del users[user]
            raise

    def _want(self, counter: Counter, part: str) -> None:
        wanted = [each.wanted for each in counter.collectors[part].values()]
        union = next(iter(counter.collectors[part].values())).union(wanted) if wanted else None
        self._tracer.enable(part, counter.slot, union)

    def _read_part(self, part: str) -> None:
        telling = {counter.slot: counter for counter in self._counters.values() if counter.collectors.get(part)}
        if not telling:
            return
        told = self._tracer.read(part)
        unix_minus_monotonic_ns = self._clock_ns() - time.monotonic_ns()
        for slot, counter in telling.items():
            lost = self._tracer.lost(part, slot)
            for collector in counter.collectors[part].values():
                collector.take(told.get(slot), lost, unix_minus_monotonic_ns)
            self._want(counter, part)

    def release(self, counter: Counter, user: str) -> None:
        """Let go of a container; the last user ends the counting."""
        counter.users.pop(user, None)
        collected = [part for part, users in counter.collectors.items() if users.pop(user, None) is not None]
        if counter.ended_ns:
            return
        for part in collected:
            self._want(counter, part)
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
                _log.exception("cannot stop counting %s", counter.place)

    def refresh(self, *, fresh: bool = False) -> None:
        """Read all counters and notice what has ended; not again if that was just done, unless `fresh`."""
        if not self._counters or (not fresh and time.monotonic() - self._refreshed < _FRESH_SECONDS):
            return
        # Asked before the snapshot, so that the snapshot holds everything that an ended container did.
        ended = [counter for counter in self._counters.values() if counter.place.has_ended()]
        by_slot = {counter.slot: counter for counter in self._counters.values()}
        for slot, counts in self._tracer.snapshot(by_slot).items():
            by_slot[slot].counts = counts
        for part in self._parts():
            self._read_part(part)
        self._refreshed = time.monotonic()
        for counter in ended:
            counter.ended_ns = self._clock_ns()
            self._remove(counter)

    def refresh_for_the_last_time(self, user: str) -> None:
        """As refresh, and before that an end of counting for containers that nobody else wants.

        So their counts and what the views tell are the same calls, although they are not read at once.
        """
        own = [counter for counter in self._counters.values() if counter.users.keys() == {user}]
        for counter in own:
            self._tracer.set_wanted(counter.slot, frozenset())
        if any(counter.collectors for counter in own):
            read_until_settled(lambda: self._refreshed_rows(own))
        else:
            self.refresh(fresh=True)

    def _refreshed_rows(self, counters: Iterable[Counter]) -> list[Mapping[SyscallKey, Row]]:
        self.refresh(fresh=True)
        return [counter.counts.rows for counter in counters if counter.counts]

    @property
    def skipped_calls(self) -> int:
        """Calls of any process of the node that the kernel did not have counted, since the agent started."""
        return self._tracer.skipped_calls

    def drain(self) -> bool:
        """Read the parts that cannot wait for the next refresh, again while they fill as fast, but not for ever.

        Tells whether there was any: more may come soon.
        """
        until, found = time.monotonic() + _DRAIN_SECONDS, False
        for part in self._parts():
            while self._tracer.needs_drain(part) and time.monotonic() < until:
                self._read_part(part)
                found = True
        return found

    def _parts(self) -> set[str]:
        """Name the parts of views that anybody collects."""
        counters = self._counters.values()
        return {part for counter in counters for part, users in counter.collectors.items() if users}

    def refresh_since(self, monotonic_ns: int) -> None:
        """Read all counters, unless that was done after a moment (time.monotonic_ns)."""
        if self._refreshed < monotonic_ns / 1e9:
            self.refresh(fresh=True)

    def close(self) -> None:
        """Detach from the kernel."""
        self._counters.clear()
        self._tracer.close()

    def _remove(self, counter: Counter) -> None:
        del self._counters[counter.place.key]
        self._tracer.remove(counter.slot)


def _union(wants: Iterable[Wanted]) -> Wanted:
    together: set[SyscallKey] = set()
    for wanted in wants:
        if wanted is None:
            return None
        together |= wanted
    return frozenset(together)
