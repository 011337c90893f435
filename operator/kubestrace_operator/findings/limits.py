"""Findings about limits: of CPU, of memory, of a listener's queue. Pure; from what the kernel counts anyway."""

from collections.abc import Iterator, Sequence

from kubestrace_operator.api.timestamps import duration
from kubestrace_operator.findings.containers import Row, named, numbers_of, others, places
from kubestrace_operator.findings.finding import (
    Confidence,
    Evidence,
    Facts,
    Finding,
    Rule,
    Severity,
    many,
    percent,
)

_THROTTLED_SHARE, _THROTTLED_WALL, _LEAST_PERIODS = 0.25, 0.05, 20
_HURTS_WALL = 0.5
_FULL_WALL = 0.02
_RETRANSMITTED, _LEAST_SEGMENTS = 0.01, 1000
_DROPPED, _LEAST_DROPS = 0.001, 10
_PIDS_USED = 0.9


def _throttled(facts: Facts) -> Iterator[Finding]:
    def wall(row: Row) -> float:
        seconds = row["resources"].get("coveredNanoseconds", 0) / 1e9 or facts.seconds
        return float(row["resources"]["cpu"]["throttledNanoseconds"] / 1e9 / seconds) if seconds else 0.0

    hurt = [
        row
        for row, cpu in numbers_of(facts, "cpu")
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
        f"The CPU limit{limit} stopped {named(worst)} in {percent(share)} of its periods, for "
        f"{duration(cpu['throttledNanoseconds'])} in all.{others(hurt)}",
        "Raise or drop the CPU limit, or start as many threads as it allows (GOMAXPROCS, workers).",
        "It happens only as the program starts.",
        (
            Evidence("shareOfPeriodsThrottled", share, _THROTTLED_SHARE),
            Evidence("throttledSecondsPerSecond", wall(worst), _THROTTLED_WALL),
        ),
        places(hurt),
        weight=wall(worst),
    )


def _memory_pressure(facts: Facts) -> Iterator[Finding]:
    def full(row: Row) -> float:
        stalled = row.get("resources", {}).get("pressure", {}).get("memoryFullNanoseconds", 0)
        return float(stalled / 1e9 / facts.seconds) if facts.seconds else 0.0

    hurt = [row for row, _ in numbers_of(facts, "pressure") if full(row) >= _FULL_WALL]
    if not hurt:
        return
    worst = max(hurt, key=full)
    yield Finding(
        "memory-pressure",
        Severity.WARNING,
        Confidence.HIGH,
        f"All threads of {named(worst)} waited for memory for {percent(full(worst))} of the time: the kernel "
        f"takes pages away that are needed again.{others(hurt)}",
        "Raise the memory limit, or cap the heap below it.",
        "The first half minute of a process that reads much.",
        (Evidence("shareOfTimeStalled", full(worst), _FULL_WALL),),
        places(hurt),
        weight=full(worst),
    )


def _pods(facts: Facts) -> list[Row]:
    """Return the network of each pod; that of a node is no pod's own."""
    rows = facts.status.get("resources", {}).get("pods") or facts.status.get("network", {}).get("pods", ())
    return [row for row in rows if not row.get("nodeNetwork")]


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


def _udp_drops(facts: Facts) -> Iterator[Finding]:
    def share(row: Row) -> float:
        dropped = row.get("udpReceiveBufferErrors", 0)
        return float(dropped / max(dropped + row.get("udpInDatagrams", 0), 1))

    hurt = [
        row for row in _pods(facts) if row.get("udpReceiveBufferErrors", 0) >= _LEAST_DROPS and share(row) >= _DROPPED
    ]
    if not hurt:
        return
    worst = max(hurt, key=share)
    dropped = worst["udpReceiveBufferErrors"]
    yield Finding(
        "udp-drops",
        Severity.WARNING,
        Confidence.HIGH,
        f"{many(dropped, 'datagram')} to pod {worst['pod']} found no room in the socket's buffer, "
        f"{percent(share(worst))} of those that came.{_other_pods(hurt)}",
        "Read faster (more threads, recvmmsg), or a larger buffer (SO_RCVBUF, net.core.rmem_max).",
        "A sender that is meant to be faster than the reader.",
        (Evidence("droppedDatagrams", dropped, _LEAST_DROPS), Evidence("shareOfDatagrams", share(worst), _DROPPED)),
        weight=share(worst),
    )


def _other_pods(rows: Sequence[Row]) -> str:
    return f" {many(len(rows) - 1, 'other pod')} too." if len(rows) > 1 else ""


def _pids_limit(facts: Facts) -> Iterator[Finding]:
    def used(row: Row) -> float:
        pids = row["resources"]["pids"]
        return float(pids.get("underLimit", 0) / pids["limit"]) if pids.get("limit") else 0.0

    def refused(row: Row) -> int:
        return int(row["resources"]["pids"].get("maxEvents", 0))

    hurt = [row for row, _ in numbers_of(facts, "pids") if refused(row) or used(row) >= _PIDS_USED]
    if not hurt:
        return
    worst = max(hurt, key=lambda row: (refused(row), used(row)))
    pids = worst["resources"]["pids"]
    of_limit = f" ({pids['underLimit']:,} of {pids['limit']:,} now)" if pids.get("limit") else ""
    more = many(refused(worst), "new thread or process", "new threads or processes")
    told = f"refused {more} of" if refused(worst) else "is nearly reached by"
    yield Finding(
        "pids-limit",
        Severity.CRITICAL if refused(worst) else Severity.WARNING,
        Confidence.HIGH,
        f"The limit of processes and threads {told} {named(worst)}{of_limit}.{others(hurt)}",
        "Find out who starts them (views.processes), bound the pool, or raise the limit (podPidsLimit of kubelet).",
        "A program that tries how many it may start.",
        (
            *([Evidence("refused", refused(worst), 1)] if refused(worst) else []),
            *([Evidence("shareOfLimit", used(worst), _PIDS_USED)] if used(worst) >= _PIDS_USED else []),
        ),
        places(hurt),
        weight=1.0 if refused(worst) else used(worst),
    )


RULES = (
    Rule(
        "cpu-throttled",
        _throttled,
        numbers=("cpu.periods",),
        about="The CPU limit stopped a container in 25 % of its periods or more, and for 5 % of the time or more.",
        source="kubernetes-mixin: 25 %",
    ),
    Rule(
        "memory-pressure",
        _memory_pressure,
        numbers=("pressure.memoryFullNanoseconds",),
        about="All threads of a container waited for memory for 2 % of the time or more.",
        source="Coroot: 0.02 s a second",
    ),
    Rule(
        "listen-overflow",
        _listen_overflow,
        numbers=("pods",),
        about="A listening socket of a pod had no room for a connection.",
        source="exact: ListenOverflows and ListenDrops of the pod",
    ),
    Rule(
        "retransmits",
        _retransmits,
        numbers=("pods",),
        about="1 % of 1,000 TCP segments of pods or more were sent again.",
        source="USE method: below 1 % tails are normal",
    ),
    Rule(
        "udp-drops",
        _udp_drops,
        numbers=("pods",),
        about="10 datagrams to a pod or more, and 0.1 % or more, found no room in a socket's buffer.",
        source="exact: RcvbufErrors of the pod",
    ),
    Rule(
        "pids-limit",
        _pids_limit,
        numbers=("pids.current",),
        about="The limit of processes refused one, or 90 % of it are in use.",
        source="exact: pids.events; 90 %: node-mixin, of descriptors",
    ),
)
