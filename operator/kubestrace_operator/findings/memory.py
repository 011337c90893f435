"""Findings about memory: what grows, what is read back again and again, what is mapped and unmapped. Pure."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from kubestrace_operator.api.sizes import size
from kubestrace_operator.findings.containers import Row, at_head, named, numbers_of, others, places
from kubestrace_operator.findings.finding import (
    Confidence,
    Evidence,
    Facts,
    Finding,
    Rule,
    Severity,
    cut,
    number,
    percent,
)

_MIB = 1 << 20
# The time is cut into so many parts; the lowest level of each counts, so that what a collector frees is no growth.
_PARTS, _LEAST_SHARE = 10, 0.8
_GROWTH_BYTES, _GROWTH_SHARE, _GROWTH_SECONDS, _WARM_UP_SECONDS = 16 * _MIB, 0.05, 60, 60
# A step counts where it is at least this share of an equal one.
_STEP_SHARE = 0.2
_STARTING_SECONDS = 40
# Each fault reads ahead: a database mapped below its size had 60 faults and 24,000 pages a second.
_MAJOR_FAULTS, _REFAULTS, _THRASHING_SECONDS, _THRASHING_WAIT = 10, 100, 10, 0.05
_ARENA_BYTES = 64 * _MIB
_CALLS, _FAULTS, _SYSTEM_SHARE, _LEAST_CPU = 1000, 10_000, 0.1, 0.01


def _since_warm_up(row: Row, facts: Facts) -> Sequence[Mapping[str, int]]:
    """Return the levels of a container, without the first minute of one that began within the session."""
    levels: Sequence[Mapping[str, int]] = row.get("memory", {}).get("levels", ())
    if not _began_within(row, facts):
        return levels
    return [each for each in levels if each["sinceStartNanoseconds"] >= _WARM_UP_SECONDS * 1e9]


def _began_within(row: Row, facts: Facts) -> bool:
    started = facts.status.get("startTime")
    if started is None:
        return False
    start_ns = datetime.fromisoformat(started).timestamp() * 1e9
    life = row["pod"], row["container"], row.get("restarts", 0)
    for each in facts.containers:
        container = each.state.container
        if (container.pod_name, container.container_name, container.restart_count) == life:
            return each.state.start_time_unix_nanoseconds > start_ns + 2e9
    return False


def _floors(levels: Sequence[Mapping[str, int]]) -> list[int]:
    """Return the lowest anonymous memory of each part of the time."""
    first, last = levels[0]["sinceStartNanoseconds"], levels[-1]["sinceStartNanoseconds"]
    lowest: dict[int, int] = {}
    for each in levels:
        part = min(_PARTS - 1, _PARTS * (each["sinceStartNanoseconds"] - first) // max(last - first, 1))
        lowest[part] = min(each["anonBytes"], lowest.get(part, each["anonBytes"]))
    return [lowest[part] for part in sorted(lowest)]


def _grows(levels: Sequence[Mapping[str, int]]) -> tuple[int, float] | None:
    """Return by how many bytes, in how many seconds, where it grows all the time."""
    if len(levels) < _PARTS or levels[-1]["processes"] > levels[0]["processes"]:
        return None
    seconds = (levels[-1]["sinceStartNanoseconds"] - levels[0]["sinceStartNanoseconds"]) / 1e9
    floors = _floors(levels)
    grown, steps = floors[-1] - floors[0], len(floors) - 1
    if seconds < _GROWTH_SECONDS * _LEAST_SHARE or grown < max(_GROWTH_BYTES, _GROWTH_SHARE * floors[0]):
        return None
    step = _STEP_SHARE * grown / steps
    up = sum(later - before >= step for before, later in itertools.pairwise(floors))
    return (grown, seconds) if up >= _LEAST_SHARE * steps else None


def _memory_growth(facts: Facts) -> Iterator[Finding]:
    found = [
        (row, grown) for row in facts.status.get("containers", ()) if (grown := _grows(_since_warm_up(row, facts)))
    ]
    if not found:
        return
    row, (bytes_, seconds) = max(found, key=lambda each: each[1][0] / each[1][1])
    rate = bytes_ / seconds
    yield Finding(
        "memory-growth",
        Severity.WARNING,
        Confidence.MEDIUM,
        f"Anonymous memory of {named(row)} grew steadily, by {size(bytes_)} in {seconds:.0f} s "
        f"({size(int(rate))} a second).{_until_limit(row, rate)}{_by_whom(facts)}{others([each for each, _ in found])}",
        f"Take a heap profile; {_next_step(facts, row)}",
        "It fills a cache that has a bound, or has just started.",
        (
            Evidence("grownMebibytes", bytes_ / _MIB, _GROWTH_BYTES / _MIB),
            Evidence("mebibytesPerSecond", rate / _MIB),
        ),
        places([each for each, _ in found]),
        weight=min(1.0, rate / _MIB),
    )


def _until_limit(row: Row, rate: float) -> str:
    memory = row.get("resources", {}).get("memory", {})
    left = memory.get("limitBytes", 0) - memory.get("workingSetBytes", 0)
    if "limitBytes" not in memory or not 0 < left < 3600 * rate:
        return ""
    return f" At this rate it reaches its limit of {size(memory['limitBytes'])} in {max(1, left / rate / 60):.0f} min."


def _by_whom(facts: Facts) -> str:
    growth = facts.status.get("memory", {}).get("growth", ())
    if not growth:
        return ""
    frames = [frame for frame in growth[0]["stack"] if "+0x" not in frame]
    return f" Most large requests came by {cut(' < '.join(frames[:5]))}." if frames else ""


def _next_step(facts: Facts, row: Row) -> str:
    flows = row.get("memory", {}).get("flows", ())
    reserved = [(flow["bytes"], flow["calls"]) for flow in flows if flow["kind"] == "mmap reserved"]
    # glibc reserves so much for each arena; V8 reserves too, in small pieces.
    if any(bytes_ >= _ARENA_BYTES * calls > 0 for bytes_, calls in reserved):
        return "try MALLOC_ARENA_MAX=2: glibc reserved arenas for its threads."
    if "growth" in facts.status.get("memory", {}):
        return "begin with the functions of status.memory.growth."
    return "views.memory.stacks tells who asks for much."


def _thrashing(facts: Facts) -> Iterator[Finding]:
    def seconds(row: Row) -> float:
        return float(row["resources"].get("coveredNanoseconds", 0) / 1e9)

    def share(row: Row) -> float:
        # A page that comes back from a disk is waited for as the disk is, unless it was in use for long.
        waits = row["resources"].get("pressure", {})
        longest = max(waits.get("memorySomeNanoseconds", 0), waits.get("ioSomeNanoseconds", 0))
        return float(longest / 1e9 / seconds(row))

    def rate(row: Row, name: str) -> float:
        return float(row["resources"]["memory"].get(name, 0) / seconds(row))

    hurt = [
        row
        for row, _ in numbers_of(facts, "memory")
        if seconds(row) >= _THRASHING_SECONDS
        and rate(row, "majorFaults") >= _MAJOR_FAULTS
        and rate(row, "refaults") >= _REFAULTS
        and share(row) > _THRASHING_WAIT
        and not (_began_within(row, facts) and seconds(row) < _STARTING_SECONDS)
    ]
    if not hurt:
        return
    worst = max(hurt, key=share)
    yield Finding(
        "thrashing",
        Severity.CRITICAL,
        Confidence.HIGH,
        f"{at_head(worst)} waited {percent(share(worst))} of the time for pages that were just taken away. "
        f"It reads {number(rate(worst, 'refaults'))} of them a second back.{others(hurt)}",
        "Raise the memory limit: code and data that are in use do not fit below it.",
        "The first half minute of a process.",
        (
            Evidence("majorFaultsPerSecond", rate(worst, "majorFaults"), _MAJOR_FAULTS),
            Evidence("refaultsPerSecond", rate(worst, "refaults"), _REFAULTS),
            Evidence("shareOfTimeWaited", share(worst), _THRASHING_WAIT),
        ),
        places(hurt),
        weight=share(worst),
    )


@dataclass(frozen=True)
class _Churn:
    """What containers of one name do, in all pods: replicas share the work."""

    rows: Sequence[Row]
    calls: int
    faults: int
    used_ns: int
    system_ns: int

    @property
    def who(self) -> str:
        """What they are called at the head of a sentence."""
        return (
            f"Container {self.rows[0]['container']} of {len(self.rows)} pods"
            if self.rows[1:]
            else at_head(self.rows[0])
        )

    @property
    def system(self) -> float:
        """The kernel's share of the CPU time."""
        return self.system_ns / max(self.used_ns, 1)


def _remapped(row: Row) -> int:
    """Return how many calls of a container mapped memory that was unmapped, or unmapped it, or gave it back."""
    flows = {flow["kind"]: flow["calls"] for flow in row["memory"].get("flows", ())}
    mapped = sum(count for kind, count in flows.items() if kind.startswith("mmap anonymous"))
    return int(2 * min(mapped, flows.get("munmap", 0)) + flows.get("madvise given back", 0))


def _churns(facts: Facts) -> Iterator[_Churn]:
    by_name: dict[str, list[Row]] = {}
    for row, _ in numbers_of(facts, "cpu"):
        if "memory" in row:
            by_name.setdefault(row["container"], []).append(row)
    for rows in by_name.values():
        numbers = [row["resources"] for row in rows]
        yield _Churn(
            [row for row in rows if _remapped(row)],
            calls=sum(map(_remapped, rows)),
            faults=sum(each.get("memory", {}).get("faults", 0) for each in numbers),
            used_ns=sum(each["cpu"].get("usageNanoseconds", 0) for each in numbers),
            system_ns=sum(each["cpu"].get("systemNanoseconds", 0) for each in numbers),
        )


def _mmap_churn(facts: Facts) -> Iterator[Finding]:
    hurt = [
        each
        for each in _churns(facts)
        if facts.rate(each.calls) >= _CALLS
        and facts.rate(each.faults) >= _FAULTS
        and each.system >= _SYSTEM_SHARE
        and facts.rate(each.used_ns / 1e9) >= _LEAST_CPU
    ]
    if not hurt:
        return
    worst = max(hurt, key=lambda each: each.calls)
    further = [row for each in hurt if each is not worst for row in each.rows]
    yield Finding(
        "mmap-churn",
        Severity.WARNING,
        Confidence.MEDIUM,
        f"{worst.who} maps memory and gives it back {number(facts.rate(worst.calls))} times a second, with "
        f"{number(facts.rate(worst.faults))} page faults; {percent(worst.system)} of its CPU time is the kernel's."
        f"{others([*worst.rows[:1], *further])}",
        "Keep buffers, or let the allocator keep them: M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of glibc, a longer decay "
        "of jemalloc.",
        "It takes less than 1 % of a CPU.",
        (
            Evidence("callsPerSecond", facts.rate(worst.calls), _CALLS),
            Evidence("faultsPerSecond", facts.rate(worst.faults), _FAULTS),
            Evidence("shareOfCpuInKernel", worst.system, _SYSTEM_SHARE),
        ),
        places([*worst.rows, *further]),
        weight=worst.system,
    )


RULES = (
    Rule(
        "memory-growth",
        _memory_growth,
        needs=("memory",),
        least_seconds=_GROWTH_SECONDS,
        about="Memory of no file grew by 16 MiB and 5 % or more in a minute or longer, in 80 % of its tenths, and not "
        "by more processes.",
        source="Coroot: 10 % an hour; a minute can only say that it grows",
    ),
    Rule(
        "thrashing",
        _thrashing,
        numbers=("memory.refaults", "pressure.memorySomeNanoseconds", "pressure.ioSomeNanoseconds"),
        about="10 major faults and 100 refaults a second or more in 10 s or more, and a wait for memory or the "
        "disk in more than 5 % of the time.",
        source="PSI proves the wait; refaults, that there is too little; measured here: SQLite on a mapped file, 60 "
        "faults a second, each of which reads ahead",
    ),
    Rule(
        "mmap-churn",
        _mmap_churn,
        needs=("memory",),
        numbers=("memory.faults", "cpu.systemNanoseconds"),
        about="1,000 calls a second or more map memory and give it back, with 10,000 faults a second and 10 % of the "
        "CPU time in the kernel.",
        source="each pair faults its pages in again and interrupts the other CPUs",
    ),
)
