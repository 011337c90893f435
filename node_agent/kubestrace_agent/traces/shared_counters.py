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
from kubestrace_agent.kernel.counters.tracer import NodeFullError
from kubestrace_agent.kernel.loader.programs import UnsupportedKernelError
from kubestrace_agent.traces.settling import read_until_settled
from kubestrace_agent.traces.shared_views import SharedViews

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from kubestrace_agent.kernel.counters.counts import RawCounts, Row
    from kubestrace_agent.syscalls import SyscallKey, Wanted
    from kubestrace_agent.views.view import Collector, Moment

_log = logging.getLogger(__name__)

# Snapshots that are asked for together (all watchers wake at the same instants) are taken once. Where one takes long,
# it is good for longer.
_FRESH_SECONDS = 0.05
_MOST_FRESH_SECONDS = 0.5
# Others wait meanwhile, above all for their reports.
_DRAIN_SECONDS = 0.05
_NOT_YET = RuntimeError("not counted yet")
# What concerns one container alone.
_ONES_OWN = (NodeFullError, UnsupportedKernelError, OSError, ValueError)


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

    def join(self, slots: Sequence[int]) -> dict[int, RawCounts]:
        """Read the counters that further traces of some slots begin with."""

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
    # Part of a view -> what the kernel was last asked for.
    enabled: dict[str, Any] = field(default_factory=dict)
    counts: RawCounts | None = None
    ended_ns: int = 0


@dataclass(frozen=True)
class Asked:
    """What one user (a session's UID) asks of one container."""

    place: Place
    user: str
    wanted: Wanted
    collectors: Sequence[Collector] = ()


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
        self._fresh_seconds = _FRESH_SECONDS
        self._snapshot_at = 0.0
        self._snapshot_seconds = 0.0
        # When the counters were read last, Unix time.
        self.read_ns = 0
        self._shared = SharedViews(tracer, clock_ns)

    def acquire(self, asked: Sequence[Asked]) -> list[Acquired | Exception]:
        """Count containers for users, and have views collected: one reading of each part and one snapshot for all.

        Gives a result for each, in their order: NodeFullError, UnsupportedKernelError, ValueError, and OSError when
        the cgroup has gone, concern that container alone.
        """
        results: list[Acquired | Exception] = [_NOT_YET] * len(asked)
        found: list[tuple[int, Counter, Asked]] = []
        new: set[Counter] = set()
        for at, each in enumerate(asked):
            try:
                counter = self._reserved(each, asked, new)
            except _ONES_OWN as error:
                results[at] = error
                continue
            counter.users[each.user] = each.wanted
            found.append((at, counter, each))
        try:
            for at, result in zip((at for at, _, _ in found), self._begin(found, new), strict=True):
                results[at] = result
        except BaseException:
            for _, counter, each in found:
                self.release([counter], [each.user])
            raise
        return results

    def _reserved(self, one: Asked, asked: Iterable[Asked], new: set[Counter]) -> Counter:
        """Find the counter of a container, or make one that does not count yet and add it to `new`."""
        place = one.place
        counter = self._counters.get(place.key)
        if counter is None:
            wanted = _union(each.wanted for each in asked if each.place.key == place.key)
            counter = self._counters[place.key] = Counter(place, place.reserve(self._tracer, wanted))
            new.add(counter)
        return counter

    def _begin(
        self, found: Sequence[tuple[int, Counter, Asked]], new: Collection[Counter]
    ) -> list[Acquired | Exception]:
        # The views first: what they tell are the calls that are counted.
        missing = self._shared.begin(
            [(counter, each.user, each.collectors) for _, counter, each in found], self._counters.values()
        )
        begin_ns = time.monotonic_ns()
        starts = self._starts(dict.fromkeys(counter for _, counter, _ in found), new)
        results: list[Acquired | Exception] = []
        for (_, counter, each), lacks in zip(found, missing, strict=True):
            start = starts[counter]
            if isinstance(start, Exception):
                self.release([counter], [each.user])
                results.append(start)
            else:
                for collector in each.collectors:
                    collector.begin_counts(start, begin_ns)
                results.append(Acquired(counter, start, lacks))
        # What grows has its start here.
        parts = (collector.part for _, _, each in found for collector in each.collectors if collector.part)
        for part in dict.fromkeys(parts):
            self._shared.read(part, self._counters.values())
        return results

    def _starts(
        self, counters: Iterable[Counter], new: Collection[Counter]
    ) -> dict[Counter, RawCounts | Exception | None]:
        """Count new ones from now on; of the others take the counts that further users begin with."""
        starts: dict[Counter, RawCounts | Exception | None] = {}
        joined = []
        for counter in counters:
            if counter not in new:
                self._tracer.set_wanted(counter.slot, _union(counter.users.values()))
                joined.append(counter)
                continue
            try:
                self._tracer.begin(counter.slot)
                counter.place.has_ended()  # one that dies before the first refresh had a process
                starts[counter] = None
            except _ONES_OWN as error:
                starts[counter] = error
        if joined:
            self.read_ns = self._clock_ns()
            # Also their newest counts: a report may come before the next refresh, and must not be older than its start.
            counts = self._tracer.join([counter.slot for counter in joined])
            for counter in joined:
                starts[counter] = counter.counts = counts[counter.slot]
        return starts

    def release(self, counters: Iterable[Counter], users: Collection[str]) -> None:
        """Let go of containers; the last user ends the counting of each. One that fails keeps none of the others."""
        for counter in counters:
            try:
                self._release(counter, users)
            except OSError:
                _log.exception("cannot stop counting %s", counter.place)

    def _release(self, counter: Counter, users: Collection[str]) -> None:
        for user in users:
            counter.users.pop(user, None)
        collected = [part for part in counter.collectors if self._shared.release(part, counter, users)]
        if counter.ended_ns:
            return
        for part in collected:
            self._shared.enable(part, counter)
        if counter.users:
            self._tracer.set_wanted(counter.slot, _union(counter.users.values()))
        else:
            self._remove(counter)

    def refresh(self, *, fresh: bool = False) -> None:
        """Read all counters and notice what has ended; not again if that was just done, unless `fresh`."""
        begin = time.monotonic()
        if not self._counters or (not fresh and begin - self._refreshed < self._fresh_seconds):
            return
        # Asked before the snapshot, so that the snapshot holds everything that an ended container did.
        ended = [counter for counter in self._counters.values() if counter.place.has_ended()]
        self._snapshot()
        for part in self._parts():
            self._shared.read(part, self._counters.values())
        self._refreshed = time.monotonic()
        # A node that is busy must not spend its time on reading alone.
        self._fresh_seconds = min(max(_FRESH_SECONDS, 4 * (self._refreshed - begin)), _MOST_FRESH_SECONDS)
        for counter in ended:
            counter.ended_ns = self._clock_ns()
            self._remove(counter)

    def _snapshot(self) -> None:
        begin = time.monotonic()
        by_slot = {counter.slot: counter for counter in self._counters.values()}
        for slot, counts in self._tracer.snapshot(by_slot).items():
            by_slot[slot].counts = counts
        self.read_ns = self._clock_ns()
        self._snapshot_at = time.monotonic()
        self._snapshot_seconds = self._snapshot_at - begin

    def snapshot_near(self, moment: Moment) -> None:
        """Read the counters for a moment at which a view wants that, unless it was done about then.

        Many sessions have many moments: a snapshot serves those near it, as far as it has cost and never farther than
        the view allows.
        """
        near_seconds = min(moment.within_ns / 1e9, 10 * self._snapshot_seconds)
        if self._counters and self._snapshot_at < moment.at_ns / 1e9 - near_seconds:
            self._snapshot()

    def refresh_for_the_last_time(self, users: Collection[str]) -> None:
        """As refresh, and before that an end of counting for containers that nobody but these users wants.

        So their counts and what the views tell are the same calls, although they are not read at once.
        """
        own = [counter for counter in self._counters.values() if counter.users.keys() <= frozenset(users)]
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
                self._shared.read(part, self._counters.values())
                found = True
        return found

    def _parts(self) -> set[str]:
        """Name the parts of views that anybody collects."""
        counters = self._counters.values()
        return {part for counter in counters for part, users in counter.collectors.items() if users}

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
