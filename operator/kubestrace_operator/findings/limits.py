"""Findings about limits: of CPU, of memory, of a listener's queue. Pure; from what the kernel counts anyway."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kubestrace_operator.api.timestamps import duration
from kubestrace_operator.findings.finding import (
    Confidence,
    Evidence,
    Facts,
    Finding,
    Place,
    Rule,
    Severity,
    many,
    percent,
)

_THROTTLED_SHARE, _THROTTLED_WALL, _LEAST_PERIODS = 0.25, 0.05, 20
_HURTS_WALL = 0.5
_FULL_WALL = 0.02
_RETRANSMITTED, _LEAST_SEGMENTS = 0.01, 1000

_Row = Mapping[str, Any]


def _containers(facts: Facts, part: str) -> Iterator[tuple[_Row, _Row]]:
    """Yield containers with a part of their numbers."""
    for row in facts.status.get("containers", ()):
        numbers = row.get("resources", {}).get(part)
        if numbers:
            yield row, numbers


def _places(rows: Sequence[_Row]) -> tuple[Place, ...]:
    return tuple(sorted({Place(row["pod"], row["container"]) for row in rows}))


def _named(row: _Row) -> str:
    return f"container {row['container']} of pod {row['pod']}" if row["pod"] else "the program"


def _others(rows: Sequence[_Row]) -> str:
    return f" {many(len(rows) - 1, 'other container')} too." if len(rows) > 1 else ""


def _throttled(facts: Facts) -> Iterator[Finding]:
    def wall(row: _Row) -> float:
        seconds = row["resources"].get("coveredNanoseconds", 0) / 1e9 or facts.seconds
        return float(row["resources"]["cpu"]["throttledNanoseconds"] / 1e9 / seconds) if seconds else 0.0

    hurt = [
        row
        for row, cpu in _containers(facts, "cpu")
        if cpu.get("periods", 0) >= _LEAST_PERIODS
        and cpu.get("throttledPeriods", 0) >= _THROTTLED_SHARE * cpu["periods"]
        and wall(row) >= _THROTTLED_WALL
    ]
    if not hurt:
        return
    worst = max(hurt, key=wall)
    cpu = worst["resources"]["cpu"]
    share = cpu["throttledPeriods"] / cpu["periods"]
    limit = f" of {cpu['limitMillicores']}m" if cpu.get("limitMillicores") else ""
    yield Finding(
        "cpu-throttled",
        Severity.CRITICAL if wall(worst) >= _HURTS_WALL else Severity.WARNING,
        Confidence.HIGH,
        f"The CPU limit{limit} stopped {_named(worst)} in {percent(share)} of its periods, for "
        f"{duration(cpu['throttledNanoseconds'])} in all.{_others(hurt)}",
        "Raise or drop the CPU limit, or start as many threads as it allows (GOMAXPROCS, workers).",
        "It happens only as the program starts.",
        (
            Evidence("shareOfPeriodsThrottled", share, _THROTTLED_SHARE),
            Evidence("throttledSecondsPerSecond", wall(worst), _THROTTLED_WALL),
        ),
        _places(hurt),
        weight=wall(worst),
    )


def _memory_pressure(facts: Facts) -> Iterator[Finding]:
    def full(row: _Row) -> float:
        stalled = row.get("resources", {}).get("pressure", {}).get("memoryFullNanoseconds", 0)
        return float(stalled / 1e9 / facts.seconds) if facts.seconds else 0.0

    hurt = [row for row, _ in _containers(facts, "pressure") if full(row) >= _FULL_WALL]
    if not hurt:
        return
    worst = max(hurt, key=full)
    yield Finding(
        "memory-pressure",
        Severity.WARNING,
        Confidence.HIGH,
        f"All threads of {_named(worst)} waited for memory for {percent(full(worst))} of the time: the kernel "
        f"takes pages away that are needed again.{_others(hurt)}",
        "Raise the memory limit, or cap the heap below it.",
        "The first half minute of a process that reads much.",
        (Evidence("shareOfTimeStalled", full(worst), _FULL_WALL),),
        _places(hurt),
        weight=full(worst),
    )


def _pods(facts: Facts) -> list[_Row]:
    """Return the network of each pod; that of a node is no pod's own."""
    return [row for row in facts.status.get("network", {}).get("pods", ()) if not row.get("nodeNetwork")]


def _listen_overflow(facts: Facts) -> Iterator[Finding]:
    hurt = [row for row in _pods(facts) if row.get("listenOverflows", 0) or row.get("listenDrops", 0)]
    if not hurt:
        return
    dropped = sum(max(row["listenOverflows"], row["listenDrops"]) for row in hurt)
    yield Finding(
        "listen-overflow",
        Severity.CRITICAL,
        Confidence.HIGH,
        f"{many(dropped, 'connection')} found no room in the queue of a listening socket in {many(len(hurt), 'pod')}: "
        f"{', '.join(row['pod'] for row in hurt[:3])}.",
        "A longer backlog (listen, net.core.somaxconn), more threads that accept, or look why accept is late.",
        "A flood that is meant to be turned away.",
        (Evidence("droppedConnections", dropped, 1),),
        weight=1.0,
    )


def _retransmits(facts: Facts) -> Iterator[Finding]:
    rows = _pods(facts)
    sent, again = (sum(row.get(name, 0) for row in rows) for name in ("sentSegments", "retransmittedSegments"))
    if sent < _LEAST_SEGMENTS or again < _RETRANSMITTED * sent:
        return
    worst = max(rows, key=lambda row: row.get("retransmittedSegments", 0))
    yield Finding(
        "retransmits",
        Severity.WARNING,
        Confidence.HIGH,
        f"{percent(again / sent)} of the TCP segments were sent again ({again:,} of {sent:,}), most by {worst['pod']}.",
        "Look at drops on the way: the MTU of the overlay, the node's network card, an overloaded peer.",
        "One peer behind a bad line.",
        (Evidence("shareOfSegments", again / sent, _RETRANSMITTED), Evidence("sentSegments", sent, _LEAST_SEGMENTS)),
        weight=again / sent,
    )


RULES = (
    Rule(
        "cpu-throttled",
        _throttled,
        about="The CPU limit stopped a container in 25 % of its periods or more, and for 5 % of the time or more.",
        source="kubernetes-mixin: 25 %",
    ),
    Rule(
        "memory-pressure",
        _memory_pressure,
        about="All threads of a container waited for memory for 2 % of the time or more.",
        source="Coroot: 0.02 s a second",
    ),
    Rule(
        "listen-overflow",
        _listen_overflow,
        needs=("network",),
        about="A listening socket of a pod had no room for a connection.",
        source="exact: ListenOverflows and ListenDrops of the pod",
    ),
    Rule(
        "retransmits",
        _retransmits,
        needs=("network",),
        about="1 % of 1,000 TCP segments of pods or more were sent again.",
        source="USE method: below 1 % tails are normal",
    ),
)
