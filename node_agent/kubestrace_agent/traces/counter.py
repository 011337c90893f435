"""One container that is counted, and the tracer as traces see it. Used by shared_counters."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from kubestrace_agent.containers import cgroups

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from kubestrace_agent.kernel.counters.counts import RawCounts
    from kubestrace_agent.kernel.loader.programs import WalkFailures
    from kubestrace_agent.syscalls import SyscallKey, Wanted
    from kubestrace_agent.traces.sharing import Share
    from kubestrace_agent.views.view import Collector


class Tracer(Protocol):
    """What is asked of kernel.tracer.Tracer."""

    def reserve_container(self, cgroup_path: Path, *, wanted: Wanted) -> int:
        """Make ready to count a cgroup: its slot."""

    def reserve_slot(self, *, wanted: Wanted) -> int:
        """Make ready to count a cgroup that does not exist yet: its slot."""

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

    def peek(self, slots: Collection[int]) -> dict[int, RawCounts]:
        """Read counters alone, between two snapshots."""

    def make_room(self) -> None:
        """Keep room for calls of further kinds, as each snapshot does."""

    @property
    def skipped_calls(self) -> int:
        """Count what the kernel skipped, since the tracer is there."""

    @property
    def walk_failures(self) -> WalkFailures:
        """Count the reads of the kernel's lists of tasks that failed, since the tracer is there."""

    def join(self, slots: Sequence[int]) -> dict[int, RawCounts]:
        """Read the counters that further traces of some slots begin with."""

    def trim(self, slot: int, position: int) -> None:
        """Forget calls in flight at attach that ended before a position."""

    def enable(self, part: str, slot: int, wanted: Any) -> None:
        """Have a part of a view report on a slot; None: no longer."""

    def read(self, part: str) -> Mapping[int, Any]:
        """Give what a part reports, by slot."""

    def needs_drain(self, part: str) -> bool:
        """Tell whether a part should be read at once."""

    def lost(self, part: str, slot: int) -> int:
        """Count what a part had no room for."""

    def close(self) -> None:
        """Give everything back."""


@dataclass(frozen=True)
class Unknown:
    """Between which times (Unix time) it was not known whether a container runs, and why at last."""

    since_ns: int
    until_ns: int
    why: str


class Place(Protocol):
    """What is counted."""

    @property
    def key(self) -> int:
        """Tell it from all others that are counted."""

    @property
    def is_there(self) -> bool:
        """Whether it exists, so that something may have been counted of it."""

    @property
    def own_cgroup(self) -> Path | None:
        """The folder of the cgroup that is its alone; None: it shares one, or it is not known where that is."""

    @property
    def is_new(self) -> bool:
        """Whether it was created while its counter waited for it."""

    def reserve(self, tracer: Tracer, wanted: Wanted) -> int:
        """Make ready to count it: its slot. Raises OSError where it has gone, and NodeFullError."""

    def has_ended(self) -> bool:
        """Tell whether nothing of it is left to be counted. Raises OSError where that cannot be read."""


@dataclass
class CgroupPlace:
    """A container's cgroup, with those below it."""

    cgroup: Path
    cgroup_id: int
    _was_populated: bool = False
    is_there = True
    is_new = False

    def __post_init__(self) -> None:
        """Hold what says whether a process is there: it is asked for each second."""
        self._events = cgroups.events(self.cgroup)

    @property
    def key(self) -> int:
        """Its id."""
        return self.cgroup_id

    @property
    def own_cgroup(self) -> Path:
        """Its folder."""
        return self.cgroup

    def reserve(self, tracer: Tracer, wanted: Wanted) -> int:
        """Make ready to count it."""
        return tracer.reserve_container(self.cgroup, wanted=wanted)

    def has_ended(self) -> bool:
        """Tell whether the last process is gone; a cgroup that never had one is still waiting for its first."""
        populated = self._events.value()
        self._was_populated = self._was_populated or bool(populated)
        return populated is None or (self._was_populated and not populated)

    def close(self) -> None:
        """Hold no file of it any more; it can be asked all the same."""
        self._events.close()


@dataclass(eq=False)
class Counter:
    """One container being counted; `ended_ns` (Unix time) is 0 while it runs."""

    place: Place
    slot: int
    users: dict[str, Wanted] = field(default_factory=dict)
    # What users collect of it; each user is in one of them.
    shares: set[Share] = field(default_factory=set)
    # Part of a view -> who collects it.
    collectors: dict[str, dict[Share, Collector]] = field(default_factory=dict)
    # Part of a view -> what the kernel was last asked for.
    enabled: dict[str, Any] = field(default_factory=dict)
    # The last snapshot, and what was read last of the counters: they may have been read alone since.
    counts: RawCounts | None = None
    newest: RawCounts | None = None
    # How often views of it were read.
    reads: int = 0
    ended_ns: int = 0
    # Whether it runs could not be read.
    unknown: Unknown | None = None

    @property
    def wanted(self) -> Wanted:
        """What all users want counted."""
        return union(self.users.values())

    def take(self, counts: RawCounts) -> None:
        """Take over a snapshot."""
        self.counts = self.newest = counts

    def has_ended(self, now_ns: int) -> bool:
        """Tell whether nothing of it is left to be counted.

        One that cannot be read goes on, and that it is not known is noted with the time (Unix time).
        """
        try:
            return self.place.has_ended()
        except OSError as error:
            self.unknown = Unknown(self.unknown.since_ns if self.unknown else now_ns, now_ns, str(error))
            return False


def union(wants: Iterable[Wanted]) -> Wanted:
    """Give what is wanted by any."""
    together: set[SyscallKey] = set()
    for wanted in wants:
        if wanted is None:
            return None
        together |= wanted
    return frozenset(together)
