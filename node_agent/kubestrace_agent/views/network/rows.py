"""The rows and sockets of network.bpf.c, as the agent reads them. Used by kernel."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

from kubestrace_agent.kernel import bpf_syscall
from kubestrace_agent.kernel.maps.headers import header
from kubestrace_agent.kernel.maps.maps import Maps
from kubestrace_agent.views.network.values import Counts, Lengths, Level, Peer, Role, Talk, Talker

_HEADER = header("views/network/network.h")
_KEY = _HEADER.struct("net_key").whole()
_ROW, _SOCKET, _ERROR = map(_HEADER.struct, ("net_row", "net_socket", "net_error"))
NUMBERS = (
    *("attempts", "established", "adopted", "failed", "abandoned", "closed", "reset"),
    *("sent", "received", "retransmits", "rtt_total_us", "rtt_count"),
)
_OTHERS = (
    *("abandoned_max_ns", "opening_total_ns", "opening_max_ns", "lifetime_total_ns", "lifetime_max_ns"),
    *("backlog_peak", "backlog_max"),
)
_WORDS = _ROW.fields(*NUMBERS, *_OTHERS, size=_ROW.offset("opening"))
_BUCKETS, _FIRST_BUCKET = _HEADER.number("NET_BUCKETS"), _HEADER.number("NET_FIRST_BUCKET")
_OPENING, _LIFETIME = _ROW.offset("opening"), _ROW.offset("lifetime")
_NUMBER = _ERROR.fields("number", size=_ERROR.size)
_MOVED = _SOCKET.fields("established_ns", "sent", "received", "retransmits", "rtt_us", "state", size=_SOCKET.size)
_TALK, _NAME = _HEADER.struct("net_talk"), _HEADER.struct("net_name")
_NAME_BYTES = _HEADER.number("NET_NAME_BYTES")
TALK_NUMBERS = ("connects", "accepts", "sends", "receives", "failed", "again", "sent", "received")
_TALK_WORDS = _TALK.fields(*TALK_NUMBERS, size=_TALK.size)
_KEY_AT = _SOCKET.offset("key")
_OTHER, _ADOPTED, _HALF = map(_HEADER.number, ("NET_OTHER", "NET_ADOPTED", "NET_HALF"))
# How often rows are read anew because connections closed meanwhile.
_TRIES = 3


@dataclass
class Living:
    """Open connections of one peer, and attempts that are under way."""

    sockets: int = 0
    half_closed: int = 0
    sent: int = 0
    received: int = 0
    retransmits: int = 0
    rtt_total_us: int = 0
    rtt_count: int = 0


@dataclass(frozen=True)
class Row:
    """A row as the kernel has it."""

    counts: Counts
    backlog_peak: int
    backlog_max: int


@dataclass
class Read:
    """All of a slot's generation."""

    rows: dict[Peer, Row] = field(default_factory=dict)
    living: dict[Peer, Living] = field(default_factory=dict)
    talks: dict[Talker, Talk] = field(default_factory=dict)


def reader(maps: Maps) -> "Reader":
    """Return what reads the rows."""
    return Reader(maps)


@dataclass(frozen=True)
class Reader:
    """Reads the maps."""

    maps: Maps

    def read(self) -> dict[int, Read]:
        """Return rows and open connections that belong together, by generation.

        A connection that closes in between is missing until the next time, and never counted twice.
        """
        rows = self._rows()
        for _ in range(_TRIES):
            living, after = self._living(), self._rows()
            if _closed(rows) == _closed(after):
                break
            rows = after
        errors = self._errors()
        found: dict[int, Read] = {}
        for (generation, peer), value in rows.items():
            found.setdefault(generation, Read()).rows[peer] = _row(value, errors.get((generation, peer), {}))
        for (generation, peer), each in living.items():
            found.setdefault(generation, Read()).living[peer] = each
        names = self._names()
        for (generation, peer), numbers in self._talks().items():
            name = names.get((generation, peer), b"")
            talker = Talker(peer.role, peer.address, peer.port, name, peer.other)
            found.setdefault(generation, Read()).talks[talker] = Talk(numbers, errors.get((generation, peer), {}))
        return found

    def _talks(self) -> dict[tuple[int, Peer], dict[str, int]]:
        found = bpf_syscall.lookup_all(self.maps.fd("net_talks"), _KEY.size, _TALK.size)
        return {_peer(key): _talk_numbers(value) for key, value in found}

    def _names(self) -> dict[tuple[int, Peer], bytes]:
        found = bpf_syscall.lookup_all(self.maps.fd("net_names"), _KEY.size, _NAME.size)
        return {_peer(key): value[:_NAME_BYTES].rstrip(b"\0") for key, value in found}

    def _rows(self) -> dict[tuple[int, Peer], bytes]:
        found = bpf_syscall.lookup_all(self.maps.fd("net_rows"), _KEY.size, _ROW.size)
        return {_peer(key): value for key, value in found}

    def _errors(self) -> dict[tuple[int, Peer], dict[int, int]]:
        found: dict[tuple[int, Peer], dict[int, int]] = {}
        for key, value in bpf_syscall.lookup_all(self.maps.fd("net_errors"), _ERROR.size, 8):
            (number,) = _NUMBER.unpack(key)
            found.setdefault(_peer(key[: _KEY.size]), {})[number] = int.from_bytes(value, "little")
        return found

    def _living(self) -> dict[tuple[int, Peer], Living]:
        found: dict[tuple[int, Peer], Living] = {}
        for _, value in bpf_syscall.lookup_all(self.maps.fd("net_sockets"), 8, _SOCKET.size):
            established_ns, sent, received, retransmits, rtt_us, state = _MOVED.unpack(value)
            living = found.setdefault(_peer(value[_KEY_AT : _KEY_AT + _KEY.size]), Living())
            is_open = bool(established_ns or state & _ADOPTED)
            living.sockets += is_open
            living.half_closed += bool(is_open and state & _HALF)
            living.sent += sent
            living.received += received
            living.retransmits += retransmits
            living.rtt_total_us += rtt_us
            living.rtt_count += bool(rtt_us)
        return found


def add_living(read: Read) -> tuple[dict[Peer, Counts], dict[Peer, Level]]:
    """Return the counts with what open connections have moved until now, and how these stand."""
    counts: dict[Peer, Counts] = {}
    levels: dict[Peer, Level] = {}
    for peer, row in read.rows.items():
        living, own = read.living.get(peer), row.counts
        if living is None:
            counts[peer], levels[peer] = own, Level(0, 0, 0, 0, row.backlog_peak, row.backlog_max)
            continue
        more = {"sent": living.sent, "received": living.received, "retransmits": living.retransmits}
        numbers = {name: value + more.get(name, 0) for name, value in own.numbers.items()}
        counts[peer] = Counts(numbers, own.errors, own.opening, own.lifetime, own.abandoned_max_ns)
        levels[peer] = Level(
            living.sockets,
            living.half_closed,
            living.rtt_total_us,
            living.rtt_count,
            row.backlog_peak,
            row.backlog_max,
        )
    return counts, levels


def _closed(rows: Mapping[tuple[int, Peer], bytes]) -> int:
    at, failed, abandoned = (_ROW.offset(name) for name in ("closed", "failed", "abandoned"))
    return sum(
        int.from_bytes(value[each : each + 8], "little") for value in rows.values() for each in (at, failed, abandoned)
    )


# Each reading has the same rows, and of these most hold nothing, or what they held before.
@lru_cache(maxsize=8192)
def _peer(key: bytes) -> tuple[int, Peer]:
    generation, role, port, address = _KEY.unpack(key)
    port = int.from_bytes(port.to_bytes(2, "little"), "big")
    return generation, Peer(Role(role & ~_OTHER), bytes(address), port, bool(role & _OTHER))


def _row(value: bytes, errors: Mapping[int, int]) -> Row:
    row = _row_without_errors(value)
    return replace(row, counts=replace(row.counts, errors=errors)) if errors else row


@lru_cache(maxsize=2048)
def _talk_numbers(value: bytes) -> dict[str, int]:
    return dict(zip(TALK_NUMBERS, _TALK_WORDS.unpack(value), strict=True))


@lru_cache(maxsize=2048)
def _row_without_errors(value: bytes) -> Row:
    words = _WORDS.unpack(value[: _WORDS.size])
    numbers = dict(zip(NUMBERS, words, strict=False))
    others = dict(zip(_OTHERS, words[len(NUMBERS) :], strict=True))
    opening = Lengths(buckets(value, _OPENING), others["opening_total_ns"], others["opening_max_ns"])
    lifetime = Lengths(buckets(value, _LIFETIME), others["lifetime_total_ns"], others["lifetime_max_ns"])
    counts = Counts(numbers, {}, opening, lifetime, others["abandoned_max_ns"])
    return Row(counts, others["backlog_peak"], others["backlog_max"])


def buckets(value: bytes, at: int) -> dict[int, int]:
    """Return a row's buckets as those of agent.proto: each is two of them, and counts as the upper one."""
    counts = memoryview(value)[at : at + 4 * _BUCKETS].cast("I")
    return {2 * (index + _FIRST_BUCKET) + 1: count for index, count in enumerate(counts) if count}
