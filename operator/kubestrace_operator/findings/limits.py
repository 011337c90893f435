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
# A server with a queue of 5 is full with every handful of clients.
_QUEUED, _LEAST_BACKLOG = 0.8, 16
_ACCEPT_FASTER = "A longer backlog (listen, net.core.somaxconn), more threads that accept, or look why accept is late."


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
        f"All threads of {named(worst)} waited for memory for {percent(full(worst))} of the time."
        f"{others(hurt)} The kernel takes pages away that are needed again.",
        "Raise the memory limit, or cap the heap below it.",
        "The first half minute of a process that reads much.",
        (Evidence("shareOfTimeStalled", full(worst), _FULL_WALL),),
        places(hurt),
        weight=full(worst),
    )


def _networks(facts: Facts) -> Sequence[Row]:
    rows: Sequence[Row] = facts.status.get("resources", {}).get("pods") or facts.status.get("network", {}).get(
        "pods", ()
    )
    return rows


def _pods(facts: Facts) -> list[Row]:
    """Return the network of each pod; that of a node is no pod's own."""
    return [row for row in _networks(facts) if not row.get("nodeNetwork")]


def _listen_overflow(facts: Facts) -> Iterator[Finding]:
    hurt = [row for row in _pods(facts) if _dropped(row)]
    if not hurt:
        yield from _full_on_node(facts) or _nearly_full(facts)
        return
    dropped = sum(map(_dropped, hurt))
    yield Finding(
        "listen-overflow",
        Severity.CRITICAL,
        Confidence.HIGH,
        f"{many(dropped, 'connection')} found no room in the queue of a listening socket of {_named(hurt[0])}."
        f"{_other_pods(hurt)}",
        _ACCEPT_FASTER,
        "A flood that is meant to be turned away.",
        (Evidence("droppedConnections", dropped, 1),),
        weight=1.0,
    )


def _dropped(row: Row) -> int:
    """Return how many connections found no room; the kernel may count one of them as both."""
    return int(max(row.get("listenOverflows", 0), row.get("listenDrops", 0)))


def _listeners(facts: Facts) -> Sequence[Row]:
    rows: Sequence[Row] = facts.status.get("network", {}).get("listeners", ())
    return rows


def _full_on_node(facts: Facts) -> list[Finding]:
    """Return the queue that was full to the last place while the node's network, which the program uses, dropped some.

    The drops alone may be those of any program of the node.
    """
    networks = [row for row in _networks(facts) if row.get("nodeNetwork")]
    # Pods that share a node's network tell the same.
    dropped = max(map(_dropped, networks), default=0)
    pods = {row["pod"] for row in networks}
    full = [row for row in _listeners(facts) if row["backlogPeak"] > row["backlogMax"] and row["pod"] in pods]
    if not full or not dropped:
        return []
    worst = max(full, key=lambda row: row["backlogPeak"])
    return [
        Finding(
            "listen-overflow",
            Severity.WARNING,
            Confidence.MEDIUM,
            f"The queue of {worst['address']}:{worst['port']} was full, with {worst['backlogPeak']:,} connections that "
            f"waited and {worst['accepted']:,} that were accepted; {many(dropped, 'connection')} found no room in such "
            "a queue in the node's network, which the program uses.",
            _ACCEPT_FASTER,
            "Another program of the node had the drops.",
            (Evidence("droppedConnections", dropped, 1),),
            weight=1.0,
        )
    ]


def _nearly_full(facts: Facts) -> list[Finding]:
    """Where listeners were counted: the queue that was fullest, before anybody was turned away."""
    rows = [row for row in _listeners(facts) if row["backlogMax"] >= _LEAST_BACKLOG]
    full = [row for row in rows if row["backlogPeak"] >= _QUEUED * row["backlogMax"]]
    if not full:
        return []
    worst = max(full, key=lambda row: row["backlogPeak"] / row["backlogMax"])
    share = worst["backlogPeak"] / worst["backlogMax"]
    return [
        Finding(
            "listen-overflow",
            Severity.WARNING,
            Confidence.HIGH,
            f"Up to {worst['backlogPeak']:,} connections waited in the queue of {worst['address']}:{worst['port']}, "
            f"which has room for {worst['backlogMax']:,}.",
            _ACCEPT_FASTER,
            "All clients connect at once at the start, and never again.",
            (Evidence("shareOfBacklog", share, _QUEUED), Evidence("backlog", worst["backlogMax"], _LEAST_BACKLOG)),
            weight=min(1.0, share),
        )
    ]


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
        f"{percent(again / sent)} of the TCP segments were sent again ({again:,} of {sent:,}), most by "
        f"{_named(worst)}{_to_whom(facts)}.",
        "Look at drops on the way: the MTU of the overlay, the node's network card, an overloaded peer.",
        "One peer behind a bad line.",
        (Evidence("shareOfSegments", again / sent, _RETRANSMITTED), Evidence("sentSegments", sent, _LEAST_SEGMENTS)),
        weight=again / sent,
    )


def _to_whom(facts: Facts) -> str:
    """Name the peer that most was sent to again, where peers were counted: it may be one bad line."""
    peers = facts.status.get("network", {}).get("peers", ())
    hurt: list[Row] = [row for row in peers if row.get("retransmits", 0)]
    return f", most to {max(hurt, key=lambda row: row['retransmits'])['address']}" if hurt else ""


def _udp_drops(facts: Facts) -> Iterator[Finding]:
    rows = [row for row in _pods(facts) if row.get("udpReceiveBufferErrors", 0)]
    dropped, taken = (sum(row.get(name, 0) for row in rows) for name in ("udpReceiveBufferErrors", "udpInDatagrams"))
    share = dropped / max(dropped + taken, 1)
    if dropped < _LEAST_DROPS or share < _DROPPED:
        return
    worst = max(rows, key=lambda row: row["udpReceiveBufferErrors"])
    yield Finding(
        "udp-drops",
        Severity.WARNING,
        Confidence.HIGH,
        f"{many(dropped, 'datagram')} to {_named(worst)} found no room in the socket's buffer, "
        f"{percent(share)} of those that came.{_other_pods(rows)}",
        "Read faster (more threads, recvmmsg), or a larger buffer (SO_RCVBUF, net.core.rmem_max).",
        "A sender that is meant to be faster than the reader.",
        (Evidence("droppedDatagrams", dropped, _LEAST_DROPS), Evidence("shareOfDatagrams", share, _DROPPED)),
        weight=share,
    )


def _named(row: Row) -> str:
    """Return what a pod is called in a sentence; what local mode traces belongs to none."""
    return f"pod {row['pod']}" if row["pod"] else "the program"


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
        about="A listening socket of a pod had no room for a connection; with views.network a warning where a queue of "
        "16 or more was filled to 80 %, or one was full and the node's network, which the program uses, had drops.",
        source="exact: ListenOverflows and ListenDrops of the pod; what waits in the queue, at each arrival",
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
