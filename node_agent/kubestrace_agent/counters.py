"""The containers that are counted on this node, shared by any number of traces. Used by traces, in one thread.

A container is one slot of the tracer, however many traces want it; it is given back when the last of them lets go
or when the container has ended.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from kubestrace_agent import cgroups, slow_calls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from kubestrace_agent.containers import Resolved
    from kubestrace_agent.kernel.counts import Floors, RawCounts, RawSlowCall
    from kubestrace_agent.syscalls import SyscallKey

    # What is counted; None is everything.
    Wanted = frozenset[SyscallKey] | None

_log = logging.getLogger(__name__)

# Snapshots that are asked for together (all watchers wake at the same instants) are taken once.
_FRESH_SECONDS = 0.05


class Tracer(Protocol):
    """What is asked of kernel.tracer.Tracer."""

    def add_container(self, cgroup_path: Path, *, wanted: Wanted) -> int:
        """Begin to count a cgroup: its slot."""

    def set_wanted(self, slot: int, wanted: Wanted) -> None:
        """Change what is counted."""

    def remove(self, slot: int) -> None:
        """End counting."""

    def snapshot(self, slots: Iterable[int]) -> dict[int, RawCounts]:
        """Read counters."""

    def want_slow_calls(self, slot: int, floors: Floors | None) -> None:
        """Begin or end to tell slow calls."""

    def slow_calls(self) -> dict[int, list[RawSlowCall]]:
        """Give those that came since the last time."""

    def slow_calls_lost(self, slot: int) -> int:
        """Count those that had no room."""

    def close(self) -> None:
        """Give everything back."""


@dataclass(eq=False)
class Counter:
    """One container being counted; `ended_ns` (Unix time) is 0 while it runs."""

    cgroup: Path
    cgroup_id: int
    slot: int
    users: dict[str, Wanted] = field(default_factory=dict)
    # By user: only of those that asked for the view.
    slow: dict[str, slow_calls.Slowest] = field(default_factory=dict)
    counts: RawCounts | None = None
    ended_ns: int = 0
    was_populated: bool = False


class Counters:
    """All containers that are counted. Every method belongs to the one thread that owns the tracer."""

    def __init__(self, tracer: Tracer, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._tracer = tracer
        self._clock_ns = clock_ns
        self._counters: dict[int, Counter] = {}
        self._refreshed = 0.0

    def acquire(self, container: Resolved, user: str, wanted: Wanted) -> tuple[Counter, RawCounts | None]:
        """Count a container for a user (a session's UID), and give the counts that the user begins with.

        Raises NodeFullError, and OSError when the cgroup has gone.
        """
        counter = self._counters.get(container.cgroup_id)
        if counter is None:
            slot = self._tracer.add_container(container.cgroup, wanted=wanted)
            counter = Counter(container.cgroup, container.cgroup_id, slot, {user: wanted})
            self._counters[container.cgroup_id] = counter
            return counter, None
        counter.users[user] = wanted
        self._tracer.set_wanted(counter.slot, _union(counter.users.values()))
        # Also its newest counts: a report may come before the next refresh, and must not be older than its start.
        counter.counts = self._tracer.snapshot([counter.slot])[counter.slot]
        return counter, counter.counts

    def want_slow_calls(self, counter: Counter, user: str, slowest: slow_calls.Slowest) -> None:
        """Collect a container's slow calls for a user from now on. Raises UnsupportedKernelError, OSError."""
        self._read_slow_calls()
        slowest.since_ns = time.monotonic_ns()
        slowest.lost_before = slowest.lost_now = self._tracer.slow_calls_lost(counter.slot)
        counter.slow[user] = slowest
        try:
            self._set_floors(counter)
        except BaseException:
            del counter.slow[user]
            raise

    def _set_floors(self, counter: Counter) -> None:
        floors = slow_calls.union(each.floors for each in counter.slow.values()) if counter.slow else None
        self._tracer.want_slow_calls(counter.slot, floors)

    def _read_slow_calls(self) -> None:
        telling = {counter.slot: counter for counter in self._counters.values() if counter.slow}
        if not telling:
            return
        unix_minus_monotonic_ns = self._clock_ns() - time.monotonic_ns()
        for slot, calls in self._tracer.slow_calls().items():
            for slowest in telling[slot].slow.values() if slot in telling else ():
                slowest.take(calls, unix_minus_monotonic_ns)
        for slot, counter in telling.items():
            lost = self._tracer.slow_calls_lost(slot)
            for slowest in counter.slow.values():
                slowest.lost_now = lost
            self._set_floors(counter)

    def release(self, counter: Counter, user: str) -> None:
        """Let go of a container; the last user ends the counting."""
        counter.users.pop(user, None)
        slowest = counter.slow.pop(user, None)
        if counter.ended_ns:
            return
        if slowest is not None:
            self._set_floors(counter)
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
        by_slot = {counter.slot: counter for counter in self._counters.values()}
        # Asked before the snapshot, so that the snapshot holds everything that an ended container did.
        ended = [counter for counter in by_slot.values() if _has_ended(counter)]
        for slot, counts in self._tracer.snapshot(by_slot).items():
            by_slot[slot].counts = counts
        self._read_slow_calls()
        self._refreshed = time.monotonic()
        for counter in ended:
            counter.ended_ns = self._clock_ns()
            self._remove(counter)

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
