"""Whom a slot talked to, as the kernel reported it. Made by kernel.py, used by the collector."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from kubestrace_agent.containers.network_counters import PodCounters


class Role(IntEnum):
    """Which side of connections a row is about, as enum net_role of network.h numbers them."""

    CLIENT = 1
    SERVER = 2
    LISTENER = 3
    UDP_CLIENT = 4
    UDP_SERVER = 5
    UNIX_CLIENT = 6
    UNIX_SERVER = 7


class Peer(NamedTuple):
    """Connections that are counted together."""

    role: Role
    # 16 bytes in network order, IPv4 mapped: the peer's, of a listener its own.
    address: bytes
    # The peer's for a client, one's own for a server and a listener.
    port: int
    # All for which there was no row.
    other: bool = False


class Talker(NamedTuple):
    """Calls of UDP and unix sockets that are counted together."""

    role: Role
    # As Peer has it; of a unix socket a hash of its name.
    address: bytes
    port: int
    # Of a unix socket; an abstract one begins with NUL.
    name: bytes = b""
    # All for which there was no row.
    other: bool = False


@dataclass(frozen=True, slots=True)
class Talk:
    """What calls came to, by the names of struct net_talk; it only grows."""

    numbers: Mapping[str, int] = field(default_factory=dict)
    # errno -> how many calls.
    errors: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long something took: bucket (as in agent.proto) -> how many, the sum and the longest in nanoseconds."""

    buckets: Mapping[int, int] = field(default_factory=dict)
    total_ns: int = 0
    max_ns: int = 0


@dataclass(frozen=True, slots=True)
class Counts:
    """What only grows, by the names of struct net_row; bytes and retransmissions with those of open connections."""

    numbers: Mapping[str, int] = field(default_factory=dict)
    # errno -> how many attempts.
    errors: Mapping[int, int] = field(default_factory=dict)
    # Handshakes of a client; how long a listener's connections waited to be accepted.
    opening: Lengths = field(default_factory=Lengths)
    lifetime: Lengths = field(default_factory=Lengths)
    abandoned_max_ns: int = 0


@dataclass(frozen=True, slots=True)
class Level:
    """How it stands now."""

    # Connections that are open; of them, those whose peer has closed its side.
    open: int = 0
    half_closed: int = 0
    # Of the open ones that have a round trip time: the sum in microseconds, and how many.
    rtt_total_us: int = 0
    rtt_count: int = 0
    # Of a listener: the longest queue of connections to be accepted, and how long it may be.
    backlog_peak: int = 0
    backlog_max: int = 0


@dataclass(frozen=True, slots=True)
class RawNetwork:
    """All of a slot."""

    counts: Mapping[Peer, Counts] = field(default_factory=dict)
    levels: Mapping[Peer, Level] = field(default_factory=dict)
    # Calls by what they came to, by the names of struct net_slot.
    calls: Mapping[str, int] = field(default_factory=dict)
    # Descriptors of TCP sockets that its tasks hold and that were made elsewhere.
    foreign: int = 0
    # None: no process of the slot could be asked.
    pod: PodCounters | None = None
    talks: Mapping[Talker, Talk] = field(default_factory=dict)


class DnsQuestion(NamedTuple):
    """Queries that are counted together."""

    # As in a message, in small letters: labels with their lengths, and the 0 at the end.
    name: bytes
    # As RFC 1035 numbers it.
    type: int
    # 16 bytes in network order, IPv4 mapped.
    server: bytes
    # All for which there was no row.
    other: bool = False


@dataclass(frozen=True, slots=True)
class DnsCounts:
    """What came of queries, by the names of struct dns_row and `unanswered`; it only grows."""

    numbers: Mapping[str, int] = field(default_factory=dict)
    lengths: Lengths = field(default_factory=Lengths)


@dataclass(frozen=True, slots=True)
class RawDns:
    """All of a slot."""

    rows: Mapping[DnsQuestion, DnsCounts] = field(default_factory=dict)
    # Messages that are in no row, by the names of struct dns_slot.
    odd: Mapping[str, int] = field(default_factory=dict)
    # 16 bytes in network order, IPv4 mapped -> the name that was asked for, as in DnsQuestion.
    names: Mapping[bytes, bytes] = field(default_factory=dict)
