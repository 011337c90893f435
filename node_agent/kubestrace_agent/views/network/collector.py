"""Whom one container talked to in one session, as the wire carries it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeVar

from kubestrace_agent.views.growing import Growing, longest, more
from kubestrace_agent.views.network.sources import PART
from kubestrace_agent.views.network.talks import address, failures, talks
from kubestrace_agent.views.network.values import Counts, Lengths, Level, Peer, RawNetwork, Role
from kubestrace_agent.views.secret_words import HIDDEN
from kubestrace_protos.v1.views import network_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from kubestrace_agent.containers.network_counters import PodCounters
    from kubestrace_agent.views.redaction import Redaction


NAME = "network"
# Rows of a container in a report; the sums of the others are one row for each role.
MAX_PEERS = 512
_ROLES = {Role.CLIENT: "client", Role.SERVER: "server"}
_NOTHING = Counts()

_Key = TypeVar("_Key")


@dataclass(eq=False)
class Connections(Growing[RawNetwork]):
    """The connections of a container: two readings of the kernel's counts, the first of them the start."""

    name: ClassVar[str] = NAME
    part: ClassVar[str] = PART
    redacts: ClassVar[bool] = True

    # The last that a process of the container could be asked.
    pod_start: PodCounters | None = None
    pod_now: PodCounters | None = None
    passed: int = 0

    def take(self, reported: RawNetwork | None, lost: int, unix_minus_monotonic_ns: int) -> None:
        """Take the newest reading."""
        super().take(reported, lost, unix_minus_monotonic_ns)
        if reported is None:
            return
        self.passed = max(self.passed, reported.foreign)
        if reported.pod is not None:
            self.pod_start = reported.pod if self.pod_start is None else self.pod_start
            self.pod_now = reported.pod

    def told(self, start: RawNetwork, now: RawNetwork) -> network_pb2.NetworkResult:
        """Return what came between."""
        result = network_pb2.NetworkResult(passed_sockets=self.passed)
        grown = _grown(start, now)
        result.peers.extend(_peers(grown, now.levels, self.redaction))
        result.listeners.extend(_listeners(grown, now.levels))
        result.talks.extend(talks(start.talks, now.talks, self.redaction))
        for name, count in now.calls.items():
            setattr(result.calls, name, count - start.calls.get(name, 0))
        if self.pod_start and self.pod_now:
            result.pod.CopyFrom(_pod(self.pod_start, self.pod_now))
        return result


def _grown(start: RawNetwork, now: RawNetwork) -> dict[Peer, Counts]:
    return {peer: _since(start.counts.get(peer, _NOTHING), counts) for peer, counts in now.counts.items()}


def _since(then: Counts, now: Counts) -> Counts:
    abandoned = now.numbers.get("abandoned", 0) - then.numbers.get("abandoned", 0)
    return Counts(
        # Bytes of a connection that has just closed may be missing from one reading.
        {name: max(0, value - then.numbers.get(name, 0)) for name, value in now.numbers.items()},
        more(then.errors, now.errors),
        longer(then.opening, now.opening),
        longer(then.lifetime, now.lifetime),
        now.abandoned_max_ns if abandoned else 0,
    )


def longer(then: Lengths, now: Lengths) -> Lengths:
    """Return what came between: the longest is known where it is longer than all before, else by its bucket."""
    buckets = more(then.buckets, now.buckets)
    return Lengths(buckets, now.total_ns - then.total_ns, longest(then.max_ns, now.max_ns, buckets))


_Row = tuple[Peer, Counts, Level]


def _peers(
    grown: Mapping[Peer, Counts], levels: Mapping[Peer, Level], redaction: Redaction
) -> Iterable[network_pb2.NetworkPeer]:
    """Yield the rows that saw anything or have a connection; of more than MAX_PEERS the sums of the rest.

    Peers that are not shown are one row for each role, and for each port of one's own.
    """
    rows: list[_Row] = []
    hidden: dict[Peer, list[_Row]] = {}
    for peer, counts in grown.items():
        row = peer, counts, levels.get(peer, Level())
        if peer.role == Role.LISTENER or not (any(counts.numbers.values()) or row[2].open):
            continue
        is_hidden = not peer.other and redaction.peer(address(peer.address), peer.port) == HIDDEN
        as_shown = Peer(peer.role, bytes(16), peer.port if peer.role == Role.SERVER else 0)
        (hidden.setdefault(as_shown, []) if is_hidden else rows).append(row)
    for as_shown, together in hidden.items():
        yield _peer(as_shown, *_together_rows(together), HIDDEN)
    rows.sort(key=_worth)
    shown = [row for row in rows[:MAX_PEERS] if not row[0].other]
    yield from (_peer(*row, address(row[0].address)) for row in shown)
    for role in _ROLES:
        rest = [row for row in rows[len(shown) :] if row[0].role == role]
        if rest:
            yield _peer(Peer(role, bytes(16), 0, other=True), *_together_rows(rest), "")


def _together_rows(rows: Sequence[_Row]) -> tuple[Counts, Level]:
    return _sums([row[1] for row in rows]), _total([row[2] for row in rows])


def _sums(rows: Sequence[Counts]) -> Counts:
    """Return the sums of rows."""
    return Counts(
        _added(each.numbers for each in rows),
        _added(each.errors for each in rows),
        together([each.opening for each in rows]),
        together([each.lifetime for each in rows]),
        max(each.abandoned_max_ns for each in rows),
    )


def together(rows: Sequence[Lengths]) -> Lengths:
    """Return the sum of rows."""
    buckets = _added(each.buckets for each in rows)
    return Lengths(buckets, sum(each.total_ns for each in rows), max(each.max_ns for each in rows))


def _total(rows: Sequence[Level]) -> Level:
    return Level(
        sum(each.open for each in rows),
        sum(each.half_closed for each in rows),
        sum(each.rtt_total_us for each in rows),
        sum(each.rtt_count for each in rows),
    )


def _added(rows: Iterable[Mapping[_Key, int]]) -> dict[_Key, int]:
    total: dict[_Key, int] = {}
    for row in rows:
        for key, count in row.items():
            total[key] = total.get(key, 0) + count
    return total


def _worth(row: _Row) -> tuple[bool, int, int, int, Peer]:
    peer, counts, _ = row
    numbers = counts.numbers
    failed = numbers.get("failed", 0) + numbers.get("abandoned", 0)
    return (
        peer.other,
        -failed,
        -numbers.get("sent", 0) - numbers.get("received", 0),
        -numbers.get("established", 0),
        peer,
    )


def _peer(peer: Peer, counts: Counts, level: Level, shown: str) -> network_pb2.NetworkPeer:
    number: Callable[[str], int] = lambda name: counts.numbers.get(name, 0)  # noqa: E731 - short names for one call
    return network_pb2.NetworkPeer(
        role=_ROLES[peer.role],
        address=shown,
        port=peer.port,
        other=peer.other,
        attempts=number("attempts"),
        established=number("established"),
        failed=failures(counts.errors, number("failed")),
        abandoned=number("abandoned"),
        longest_abandoned_nanoseconds=counts.abandoned_max_ns,
        closed=number("closed"),
        reset=number("reset"),
        open=level.open,
        half_closed=level.half_closed,
        bytes_sent=number("sent"),
        bytes_received=number("received"),
        retransmits=number("retransmits"),
        rtt_total_nanoseconds=1000 * (number("rtt_total_us") + level.rtt_total_us),
        rtt_count=number("rtt_count") + level.rtt_count,
        connect=times(counts.opening),
        lifetime=times(counts.lifetime),
    )


def _listeners(grown: Mapping[Peer, Counts], levels: Mapping[Peer, Level]) -> Iterable[network_pb2.NetworkListener]:
    for peer, counts in sorted(grown.items()):
        level = levels.get(peer, Level())
        if peer.role != Role.LISTENER or (peer.other and not any(counts.numbers.values())):
            continue
        yield network_pb2.NetworkListener(
            address="" if peer.other else address(peer.address),
            port=peer.port,
            other=peer.other,
            accepted=counts.numbers.get("established", 0),
            backlog_peak=level.backlog_peak,
            backlog_max=level.backlog_max,
            accept_delay=times(counts.opening),
        )


def times(lengths: Lengths) -> network_pb2.NetworkTimes | None:
    """Return them as the wire carries them; None: there are none."""
    if not lengths.buckets:
        return None
    indexes = sorted(lengths.buckets)
    return network_pb2.NetworkTimes(
        buckets=indexes,
        counts=[lengths.buckets[index] for index in indexes],
        total_nanoseconds=lengths.total_ns,
        max_nanoseconds=lengths.max_ns,
    )


def _pod(start: PodCounters, now: PodCounters) -> network_pb2.NetworkPod:
    grown = {name: max(0, value - start.numbers.get(name, 0)) for name, value in now.numbers.items()}
    return network_pb2.NetworkPod(of_node=now.host_network, counters=grown, levels=now.levels)
