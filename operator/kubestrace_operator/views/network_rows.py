"""Rows of the view network: added up, and as the status has them. Pure. A part of the view network."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kubestrace_operator.results.histograms import add_into, percentile
from kubestrace_operator.views.view import PeerName
from kubestrace_protos.v1.views.network_pb2 import NetworkListener, NetworkPeer, NetworkTimes


def named(address: str, names: Mapping[str, PeerName]) -> dict[str, str]:
    """Return whose an address is, as far as that is known."""
    name = names.get(address)
    return {key: value for key, value in zip(("pod", "workload", "service"), name or (), strict=False) if value}


class PeerKey(NamedTuple):
    """Connections that are added up."""

    role: str
    address: str
    port: int
    # All for which there was no row.
    other: bool = False


class ListenerKey(NamedTuple):
    """Where a pod listens."""

    node: str
    pod: str
    address: str
    port: int
    other: bool = False


@dataclass
class Times:
    """How long something took."""

    histogram: dict[int, int] = field(default_factory=dict)
    total_ns: int = 0
    max_ns: int = 0

    @classmethod
    def of(cls, message: NetworkTimes) -> "Times":
        """Return what the wire carries."""
        histogram = dict(zip(message.buckets, message.counts, strict=True))
        return cls(histogram, message.total_nanoseconds, message.max_nanoseconds)

    def add(self, more: "Times") -> None:
        """Add another's."""
        add_into(self.histogram, more.histogram)
        self.total_ns += more.total_ns
        self.max_ns = max(self.max_ns, more.max_ns)

    def document(self) -> dict[str, int]:
        """Return them as the status has them."""
        return {
            "p50Nanoseconds": percentile(self.histogram, 50, self.max_ns),
            "p99Nanoseconds": percentile(self.histogram, 99, self.max_ns),
            "maxNanoseconds": self.max_ns,
        }


@dataclass
class Peer:
    """What came of connections to or from one address."""

    attempts: int = 0
    established: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    abandoned: int = 0
    longest_abandoned_ns: int = 0
    closed: int = 0
    reset: int = 0
    open: int = 0
    half_closed: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    retransmits: int = 0
    rtt_total_ns: int = 0
    rtt_count: int = 0
    connect: Times = field(default_factory=Times)
    lifetime: Times = field(default_factory=Times)

    @classmethod
    def of(cls, row: NetworkPeer) -> "Peer":
        """Return what the wire carries."""
        return cls(
            row.attempts,
            row.established,
            {each.errno: each.count for each in row.failed},
            row.abandoned,
            row.longest_abandoned_nanoseconds,
            row.closed,
            row.reset,
            row.open,
            row.half_closed,
            row.bytes_sent,
            row.bytes_received,
            row.retransmits,
            row.rtt_total_nanoseconds,
            row.rtt_count,
            Times.of(row.connect),
            Times.of(row.lifetime),
        )

    def add(self, more: "Peer") -> None:
        """Add another's."""
        self.attempts += more.attempts
        self.established += more.established
        add_into(self.failed, more.failed)
        self.abandoned += more.abandoned
        self.longest_abandoned_ns = max(self.longest_abandoned_ns, more.longest_abandoned_ns)
        self.closed += more.closed
        self.reset += more.reset
        self.open += more.open
        self.half_closed += more.half_closed
        self.bytes_sent += more.bytes_sent
        self.bytes_received += more.bytes_received
        self.retransmits += more.retransmits
        self.rtt_total_ns += more.rtt_total_ns
        self.rtt_count += more.rtt_count
        self.connect.add(more.connect)
        self.lifetime.add(more.lifetime)

    @property
    def bad(self) -> int:
        """How many attempts came to nothing."""
        return sum(self.failed.values()) + self.abandoned

    def document(self, key: PeerKey, names: Mapping[str, PeerName]) -> dict[str, Any]:
        """Return it as the status has it; what never happened is left out."""
        failed = sorted(self.failed.items(), key=lambda item: (-item[1], item[0]))
        found: dict[str, Any] = {
            "role": key.role,
            "protocol": "tcp",
            "address": key.address,
            "port": key.port,
            "attempts": self.attempts,
            "established": self.established,
            "abandoned": self.abandoned,
            "closed": self.closed,
            "reset": self.reset,
            "open": self.open,
            "halfClosed": self.half_closed,
            "bytesSent": self.bytes_sent,
            "bytesReceived": self.bytes_received,
            "retransmits": self.retransmits,
        }
        found |= named(key.address, names)
        if failed:
            found["failed"] = [{"errno": errno or "other", "count": count} for errno, count in failed]
        if self.abandoned:
            found["longestAbandonedNanoseconds"] = self.longest_abandoned_ns
        if self.rtt_count:
            found["rttNanoseconds"] = self.rtt_total_ns // self.rtt_count
        for name, times in (("connect", self.connect), ("lifetime", self.lifetime)):
            if times.histogram:
                found[name] = times.document()
        return found


@dataclass
class Listener:
    """What a listener was asked."""

    accepted: int = 0
    backlog_peak: int = 0
    backlog_max: int = 0
    delay: Times = field(default_factory=Times)

    @classmethod
    def of(cls, row: NetworkListener) -> "Listener":
        """Return what the wire carries."""
        return cls(row.accepted, row.backlog_peak, row.backlog_max, Times.of(row.accept_delay))

    def add(self, more: "Listener") -> None:
        """Add another's: containers of a pod share addresses."""
        self.accepted += more.accepted
        self.backlog_peak = max(self.backlog_peak, more.backlog_peak)
        self.backlog_max = max(self.backlog_max, more.backlog_max)
        self.delay.add(more.delay)

    def document(self, key: ListenerKey) -> dict[str, Any]:
        """Return it as the status has it."""
        found: dict[str, Any] = {
            "pod": key.pod,
            "address": "other" if key.other else key.address,
            "port": key.port,
            "accepted": self.accepted,
            "backlogPeak": self.backlog_peak,
            "backlogMax": self.backlog_max,
        }
        if self.delay.histogram:
            found["acceptDelay"] = self.delay.document()
        return found
