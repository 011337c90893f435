"""The containers that are counted on this node, shared by any number of traces. Used by traces, in one thread.

A container is one slot of the tracer, however many traces want it; it is given back when the last of them lets go
or when the container has ended.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from kubestrace_agent.traces.acquiring import Acquired, Acquiring, Asked
from kubestrace_agent.traces.counter import CgroupPlace
from kubestrace_agent.traces.shared_views import SharedViews

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from kubestrace_agent.kernel.counters.counts import RawCounts
    from kubestrace_agent.kernel.loader.programs import WalkFailures
    from kubestrace_agent.traces.counter import Counter, Tracer
    from kubestrace_agent.views.view import Moment

__all__ = ["Acquired", "Asked", "Counters"]

_log = logging.getLogger(__name__)

# Snapshots that are asked for together (all watchers wake at the same instants) are taken once. Where one takes long,
# it is good for longer.
_FRESH_SECONDS = 0.05
_MOST_FRESH_SECONDS = 1.0
# What nobody sees before the next report is read so often at least: counters in the kernel are 32 bits wide, and calls
# that were in flight as a trace joined have a queue of their own.
_READ_SECONDS = 5.0
# Where reports were just made, a tick has nothing to do.
_PART_OF_PERIOD = 0.3
# Others wait meanwhile, above all for their reports.
_DRAIN_SECONDS = 0.05


class Counters:
    """All containers that are counted. Every method belongs to the one thread that owns the tracer."""

    def __init__(self, tracer: Tracer, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._tracer = tracer
        self._clock_ns = clock_ns
        self._counters: dict[int, Counter] = {}
        self._refreshed = 0.0
        self._acquired = 0.0
        self._fresh_seconds = _FRESH_SECONDS
        self._peek_seconds = 0.0
        # Slots that are nobody's, as those of the container runtime: read with all others, into `beside`.
        self.beside_slots: set[int] = set()
        self.beside: dict[int, RawCounts] = {}
        # When the counters were read last, Unix time.
        self.read_ns = 0
        self._shared = SharedViews(tracer, clock_ns)

    def acquire(self, asked: Sequence[Asked]) -> list[Acquired | Exception]:
        """Count containers for users, and have views collected: one reading of each part and one snapshot for all.

        Gives a result for each, in their order: NodeFullError, UnsupportedKernelError, ValueError, and OSError when
        the cgroup has gone, concern that container alone.
        """
        users = {each.user for each in asked}
        places = {each.place.key for each in asked}
        try:
            results = Acquiring(self._tracer, self._counters, self._shared, self._clock_ns).run(asked)
        except BaseException:
            self.release([each for each in self._counters.values() if each.place.key in places], users)
            raise
        self.read_ns = self._clock_ns()
        self._acquired = time.monotonic()
        refused = {each.place.key for each, result in zip(asked, results, strict=True) if isinstance(result, Exception)}
        self.release([each for each in self._counters.values() if each.place.key in refused], users)
        return results

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
        collected = self._shared.release(counter, users)
        if counter.ended_ns:
            return
        for part in collected:
            self._shared.enable(part, counter)
        if counter.users:
            self._tracer.set_wanted(counter.slot, counter.wanted)
            self._tracer.trim(counter.slot, min(share.attach_end for share in counter.shares))
        else:
            self._remove(counter)

    def holds(self, counter: Counter) -> bool:
        """Tell whether a container is still counted."""
        return self._counters.get(counter.place.key) is counter

    def moved(self, counter: Counter, before: int) -> None:
        """Take over that a counter's place has another key than before."""
        self._counters[counter.place.key] = self._counters.pop(before)

    def refresh(self, *, fresh: bool = False) -> None:
        """Read all counters and notice what has ended; not again if that was just done, unless `fresh`."""
        begin = time.monotonic()
        if not self._counters or (not fresh and begin - self._refreshed < self._fresh_seconds):
            return
        # Asked before the snapshot, so that the snapshot holds everything that an ended container did.
        ended = [counter for counter in self._counters.values() if counter.has_ended(self._clock_ns())]
        self._snapshot()
        for part in self._parts():
            self._shared.read(part, self._counters.values())
        self._refreshed = time.monotonic()
        # A node that is busy must not spend its time on reading alone.
        self._fresh_seconds = min(max(_FRESH_SECONDS, 4 * (self._refreshed - begin)), _MOST_FRESH_SECONDS)
        for counter in ended:
            counter.ended_ns = self._clock_ns()
            self._remove(counter)

    def tick(self, period_seconds: float) -> None:
        """Notice what has ended, and read what fills, in each period; all, where that was not done for a while.

        Reports read everything themselves.
        """
        now = time.monotonic()
        if not self._counters or now - self._refreshed < _PART_OF_PERIOD * period_seconds:
            return
        waits = now - self._refreshed < _READ_SECONDS and now - self._acquired > _READ_SECONDS
        if not waits or any(counter.has_ended(self._clock_ns()) for counter in self._counters.values()):
            self.refresh(fresh=True)
            return
        self._tracer.make_room()
        for part in self._parts():
            if not self._may_wait(part):
                self._shared.read(part, self._counters.values())

    def _may_wait(self, part: str) -> bool:
        collectors = (each for counter in self._counters.values() for each in counter.collectors.get(part, {}).values())
        return all(each.may_wait for each in collectors)

    def _snapshot(self) -> None:
        by_slot = {counter.slot: counter for counter in self._counters.values()}
        read = self._tracer.snapshot([*by_slot, *self.beside_slots])
        self.beside = {slot: read.pop(slot) for slot in self.beside_slots}
        for slot, counts in read.items():
            by_slot[slot].take(counts)
        self.read_ns = self._clock_ns()

    def peek_near(self, wanted: Iterable[tuple[Counter, Moment]]) -> None:
        """Read the counters of containers for moments at which views want that, unless it was done about then.

        Many sessions have many moments: a reading serves those near it, as far as it has cost and never farther than
        the view allows.
        """
        begin = time.monotonic()
        due = {
            counter.slot: counter for counter, moment in wanted if self.holds(counter) and self._is_due(counter, moment)
        }
        if not due:
            return
        for slot, counts in self._tracer.peek(list(due)).items():
            due[slot].newest = counts
        self._peek_seconds = time.monotonic() - begin

    def _is_due(self, counter: Counter, moment: Moment) -> bool:
        near_ns = min(moment.within_ns, int(10e9 * self._peek_seconds))
        return counter.newest is None or counter.newest.time_ns < moment.at_ns - near_ns

    def refresh_for_the_last_time(self, users: Collection[str]) -> None:
        """As refresh, and before that an end of counting for containers that nobody but these users wants.

        So their counts and what the views tell are the same calls, although they are not read at once.
        """
        own = [counter.slot for counter in self._counters.values() if counter.users.keys() <= frozenset(users)]
        self._tracer.stop(own)
        self.refresh(fresh=True)

    @property
    def skipped_calls(self) -> int:
        """Calls of any process of the node that the kernel did not have counted, since the agent started."""
        return self._tracer.skipped_calls

    @property
    def walk_failures(self) -> WalkFailures:
        """Reads of the kernel's lists of tasks that failed since the agent started."""
        return self._tracer.walk_failures

    def drain(self) -> bool:
        """Read the parts that cannot wait for the next refresh, again while they fill as fast, but not for ever.

        Tells whether there was any: more may come soon.
        """
        until, found = time.monotonic() + _DRAIN_SECONDS, False
        for part in self._parts():
            while self._tracer.needs_drain(part) and time.monotonic() < until:
                self._shared.read(part, self._counters.values(), only_news=True)
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
        # At once: what could not be counted may be held by its error for a while.
        if isinstance(counter.place, CgroupPlace):
            counter.place.close()
        self._tracer.remove(counter.slot)
