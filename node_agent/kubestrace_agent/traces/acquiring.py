"""Begins the counting of containers for many sessions at once: one reading and one snapshot serve all of them.

Used by shared_counters, in the thread that owns the tracer.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubestrace_agent.kernel.counters.tracer import NodeFullError
from kubestrace_agent.kernel.loader.programs import UnsupportedKernelError
from kubestrace_agent.traces.counter import Counter, union
from kubestrace_agent.traces.sharing import Share
from kubestrace_agent.views.redaction import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Iterable, Sequence

    from kubestrace_agent.kernel.counters.counts import RawCounts
    from kubestrace_agent.syscalls import Wanted
    from kubestrace_agent.traces.counter import Place, Tracer
    from kubestrace_agent.traces.shared_views import SharedViews
    from kubestrace_agent.views.redaction import Redaction
    from kubestrace_agent.views.view import Collector

# What concerns one container alone.
ONES_OWN = (NodeFullError, UnsupportedKernelError, OSError, ValueError)


@dataclass(frozen=True)
class Asked:
    """What one user (a session's UID) asks of one container."""

    place: Place
    user: str
    wanted: Wanted
    # Make what collects beside the counts; the same for all who have the same `views`.
    collectors: Callable[[], list[Collector]] = list
    views: Hashable = None
    # See Share.
    paths: bool = False
    redaction: Redaction = DEFAULT


@dataclass(frozen=True)
class Acquired:
    """A container that is counted for a user, and since when."""

    counter: Counter
    share: Share
    # The counts that the user begins with; None: nothing was counted before.
    start: RawCounts | None
    # CLOCK_MONOTONIC.
    begin_ns: int


class Acquiring:
    """One batch: everything that is asked for at one time."""

    def __init__(
        self, tracer: Tracer, counters: dict[int, Counter], views: SharedViews, clock_ns: Callable[[], int]
    ) -> None:
        self._tracer = tracer
        self._counters = counters
        self._views = views
        self._clock_ns = clock_ns
        self._new: set[Counter] = set()
        self._shares: dict[tuple[Counter, Wanted, Hashable, bool, Redaction], Share] = {}

    def run(self, asked: Sequence[Asked]) -> list[Acquired | Exception]:
        """Count the containers; a result for each of `asked`, in their order."""
        found: list[tuple[Counter, Share] | Exception] = []
        for each in asked:
            try:
                counter = self._reserved(each, asked)
            except ONES_OWN as error:
                found.append(error)
                continue
            share = self._share(counter, each)
            counter.users[each.user] = each.wanted
            share.users.add(each.user)
            found.append((counter, share))
        # The views first: what they report are the calls that are counted.
        self._views.begin([(key[0], share) for key, share in self._shares.items()], self._counters.values())
        begin_ns = time.monotonic_ns()
        starts = self._starts(dict.fromkeys(key[0] for key in self._shares))
        for (counter, *_), share in self._shares.items():
            start = starts[counter]
            if not isinstance(start, Exception):
                share.begin(start)
                for collector in share.collectors:
                    collector.begin_counts(start, begin_ns)
        # What grows has its start here.
        for part in dict.fromkeys(each.part for share in self._shares.values() for each in share.collectors):
            self._views.read(part, self._counters.values())
        return [_result(each, starts, begin_ns) for each in found]

    def _reserved(self, one: Asked, asked: Iterable[Asked]) -> Counter:
        """Find the counter of a container, or make one that does not count yet."""
        place = one.place
        counter = self._counters.get(place.key)
        if counter is None:
            wanted = union(each.wanted for each in asked if each.place.key == place.key)
            counter = self._counters[place.key] = Counter(place, place.reserve(self._tracer, wanted))
            self._new.add(counter)
        return counter

    def _share(self, counter: Counter, asked: Asked) -> Share:
        key = counter, asked.wanted, asked.views, asked.paths, asked.redaction
        if key not in self._shares:
            self._shares[key] = Share(asked.wanted, asked.collectors(), asked.paths, asked.redaction)
            counter.shares.add(self._shares[key])
        return self._shares[key]

    def _starts(self, counters: Collection[Counter]) -> dict[Counter, RawCounts | Exception | None]:
        """Count new ones from now on; of the others take the counts that further users begin with."""
        starts: dict[Counter, RawCounts | Exception | None] = {}
        for counter in self._new.intersection(counters):
            try:
                self._tracer.begin(counter.slot)
                counter.has_ended(self._clock_ns())  # one that dies before the first refresh had a process
                starts[counter] = None
            except ONES_OWN as error:
                starts[counter] = error
        joined = [counter for counter in counters if counter not in self._new]
        for counter in joined:
            self._tracer.set_wanted(counter.slot, counter.wanted)
        starts |= dict.fromkeys(joined)
        there = [counter for counter in joined if counter.place.is_there]
        if there:
            # Also their newest counts: a report may come before the next refresh, and must not be older than its start.
            counts = self._tracer.join([counter.slot for counter in there])
            for counter in there:
                starts[counter] = counts[counter.slot]
                counter.take(counts[counter.slot])
        return starts


def _result(
    found: tuple[Counter, Share] | Exception, starts: dict[Counter, RawCounts | Exception | None], begin_ns: int
) -> Acquired | Exception:
    if isinstance(found, Exception):
        return found
    counter, share = found
    start = starts[counter]
    return start if isinstance(start, Exception) else Acquired(counter, share, start, begin_ns)
