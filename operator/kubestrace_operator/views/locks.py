"""The view locks: for which locks threads wait, and how long those that have them keep them. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from kubestrace_operator.api.fields import Fields
from kubestrace_operator.results.histograms import add_into, percentile
from kubestrace_operator.results.places import Places
from kubestrace_operator.results.rows import ContainerKey
from kubestrace_operator.status.sections import Section
from kubestrace_operator.views import locks_text
from kubestrace_operator.views.profiles import Profile
from kubestrace_operator.views.view import ContainerResult, Flag, Loss, Shown, Span, View
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views.locks_pb2 import Lock, LocksRequest, LocksResult

# That are kept of a session, those with the longest waits first, and that its status shows.
_MOST_KEPT = 256
MAX_LOCKS = 20
# They may take an eighth of the room.
_SHARE = 8
_LOST = Loss(
    "locks",
    "thread that waited for a lock",
    "threads that waited for a lock",
    "found no room: what they handed on is missing; some may have been of other containers.",
    reason="LocksLost",
)
_SUMS = ("waits", "failed", "wakes", "handed_on", "holds", "held_ns", "total_ns")


@dataclass
class LockSums:
    """What was counted at one address of a process."""

    container: agent_pb2.Container
    node: str
    pid: int
    process: str
    threads: int = 0
    waits: int = 0
    failed: int = 0
    wakes: int = 0
    handed_on: int = 0
    holds: int = 0
    held_ns: int = 0
    longest_held_ns: int = 0
    total_ns: int = 0
    max_ns: int = 0
    histogram: dict[int, int] = field(default_factory=dict)

    def plus(self, more: Self) -> Self:
        """Return the sum with what another agent of the node counted."""
        histogram = dict(self.histogram)
        add_into(histogram, more.histogram)
        return replace(
            self,
            threads=max(self.threads, more.threads),
            longest_held_ns=max(self.longest_held_ns, more.longest_held_ns),
            max_ns=max(self.max_ns, more.max_ns),
            histogram=histogram,
            **{name: getattr(self, name) + getattr(more, name) for name in _SUMS},
        )


# By container, process (as the host numbers it) and address.
Key = tuple[ContainerKey, int, int]


@dataclass
class Part:
    """Locks, and how many others there were with their waits."""

    locks: dict[Key, LockSums] = field(default_factory=dict)
    other_locks: int = 0
    other_waits: int = 0
    other_ns: int = 0

    @property
    def ordered(self) -> list[tuple[Key, LockSums]]:
        """Return them with the longest waits first."""
        return sorted(self.locks.items(), key=lambda each: (-each[1].total_ns, -each[1].waits, each[0]))

    def kept(self, most: int) -> "Part":
        """Return it with so many locks at most: of the others the sums."""
        if len(self.locks) <= most:
            return self
        others = [lock for _, lock in self.ordered[most:]]
        return Part(
            dict(self.ordered[:most]),
            self.other_locks + len(others),
            self.other_waits + sum(each.waits for each in others),
            self.other_ns + sum(each.total_ns for each in others),
        )


@dataclass(frozen=True)
class Settings:
    """The view has none."""


class Locks(View[Settings, LocksResult, Part]):
    """The slice."""

    name = "locks"
    profiles = frozenset({Profile.CPU})
    result_type = LocksResult
    known_losses = (_LOST,)
    flags = (
        Flag(
            "--locks",
            "also show for which locks the threads of COMMAND wait (futex), how long, and how long those that have "
            "them keep them",
        ),
    )

    def parse(self, fields: Fields, duration_seconds: int) -> Settings:
        """Return the settings."""
        return Settings()

    def spec(self, settings: Settings) -> dict[str, Any]:
        """Return them as a spec has them."""
        return {}

    def request(self, settings: Settings, span: Span) -> LocksRequest:
        """Return what agents are asked for."""
        return LocksRequest()

    def merge(self, results: Iterable[ContainerResult[LocksResult]]) -> Part:
        """Return the locks of a report."""
        return self.add(_part(each) for each in results)

    def add(self, parts: Iterable[Part]) -> Part:
        """Return the sum; of very many locks those with the shortest waits are sums alone."""
        whole = Part()
        for part in parts:
            for key, lock in part.locks.items():
                whole.locks[key] = whole.locks[key].plus(lock) if key in whole.locks else lock
            whole.other_locks += part.other_locks
            whole.other_waits += part.other_waits
            whole.other_ns += part.other_ns
        return whole.kept(_MOST_KEPT)

    def document(self, shown: Shown[Settings, Part]) -> Mapping[str, Any]:
        """Return the totals."""
        part = shown.part
        waits = sum(each.waits for each in part.locks.values()) + part.other_waits
        waited_ns = sum(each.total_ns for each in part.locks.values()) + part.other_ns
        return {"locks": {"waits": waits, "totalNanoseconds": waited_ns}}

    def sections(self, shown: Shown[Settings, Part]) -> Sequence[Section]:
        """Return the rows, those with the longest waits first, and the sums of the others."""
        ordered = shown.part.ordered
        rows = [_row(key, lock) for key, lock in ordered[:MAX_LOCKS]]

        def documents(kept: int) -> Mapping[str, Any]:
            others = [lock for _, lock in ordered[min(kept, len(rows)) :]]
            found = {
                "rows": len(others) + shown.part.other_locks,
                "waits": sum(each.waits for each in others) + shown.part.other_waits,
                "totalNanoseconds": sum(each.total_ns for each in others) + shown.part.other_ns,
            }
            return {"locks": {"locks": rows[:kept], "otherLocks": found}}

        return (Section(rows, documents, share=_SHARE),)

    def table_text(self, shown: Shown[Settings, Part]) -> str:
        """Return the rows for people."""
        rows = [_row(key, lock) for key, lock in shown.part.ordered]
        places = Places.of(row.state.container for row in shown.containers)
        return "\n" + "".join(f"{line}\n" for line in locks_text.lines(rows, places))


def _part(result: ContainerResult[LocksResult]) -> Part:
    message = result.message
    locks = {(result.key, each.host_pid, each.address): _sums(result, each) for each in message.locks}
    return Part(locks, message.other_locks, message.other_waits, message.other_nanoseconds)


def _sums(result: ContainerResult[LocksResult], lock: Lock) -> LockSums:
    return LockSums(
        result.container,
        result.key.node,
        lock.pid,
        lock.process,
        threads=lock.threads,
        waits=lock.waits,
        failed=lock.failed,
        wakes=lock.wakes,
        handed_on=lock.handed_on,
        holds=lock.holds,
        held_ns=lock.held_nanoseconds,
        longest_held_ns=lock.longest_held_nanoseconds,
        total_ns=lock.total_nanoseconds,
        max_ns=lock.max_nanoseconds,
        histogram=dict(zip(lock.buckets, lock.counts, strict=True)),
    )


def _row(key: Key, lock: LockSums) -> dict[str, Any]:
    _, host_pid, address = key
    return {
        "address": f"{address:#x}",
        "process": lock.process,
        "pid": lock.pid,
        "hostPid": host_pid,
        "threads": lock.threads,
        "waits": lock.waits,
        "failed": lock.failed,
        "totalNanoseconds": lock.total_ns,
        "p50Nanoseconds": percentile(lock.histogram, 50, lock.max_ns),
        "p99Nanoseconds": percentile(lock.histogram, 99, lock.max_ns),
        "maxNanoseconds": lock.max_ns,
        "wakes": lock.wakes,
        "handedOn": lock.handed_on,
        "holds": lock.holds,
        "heldNanoseconds": lock.held_ns,
        "longestHeldNanoseconds": lock.longest_held_ns,
        "pod": lock.container.pod_name,
        "container": lock.container.container_name,
        "node": lock.node,
    }
