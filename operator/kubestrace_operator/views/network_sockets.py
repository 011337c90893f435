"""Calls of UDP and unix sockets by peer: added up, and as the status has them. Pure. A part of the view network."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kubestrace_operator.results.histograms import add_into
from kubestrace_operator.views.network_rows import named
from kubestrace_operator.views.view import PeerName
from kubestrace_protos.v1.views.network_pb2 import NetworkTalk

# As the status calls them, and as the wire does.
_NUMBERS = {
    "connects": "connects",
    "accepts": "accepts",
    "sends": "sends",
    "receives": "receives",
    "again": "again",
    "bytesSent": "bytes_sent",
    "bytesReceived": "bytes_received",
}


class SocketKey(NamedTuple):
    """Calls that are added up."""

    protocol: str
    role: str
    address: str
    port: int
    path: str
    # All for which there was no row.
    other: bool = False


def key_of(row: NetworkTalk) -> SocketKey:
    """Return the key of what the wire carries."""
    return SocketKey(row.protocol, row.role, row.address, row.port, row.path, row.other)


@dataclass
class Socket:
    """What calls came to."""

    numbers: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, row: NetworkTalk) -> "Socket":
        """Return what the wire carries."""
        numbers = {name: getattr(row, of) for name, of in _NUMBERS.items()}
        return cls(numbers, {each.errno: each.count for each in row.failed})

    def add(self, more: "Socket") -> None:
        """Add another's."""
        add_into(self.numbers, more.numbers)
        add_into(self.failed, more.failed)

    @property
    def calls(self) -> int:
        """How many calls."""
        return sum(self.numbers.get(name, 0) for name in ("connects", "accepts", "sends", "receives"))

    def document(self, key: SocketKey, names: Mapping[str, PeerName]) -> dict[str, Any]:
        """Return it as the status has it."""
        found: dict[str, Any] = {"protocol": key.protocol, "role": key.role}
        if key.protocol == "udp":
            found |= {"address": key.address, "port": key.port} | named(key.address, names)
        else:
            found["path"] = key.path
        found |= {name: self.numbers.get(name, 0) for name in _NUMBERS}
        if self.failed:
            failed = sorted(self.failed.items(), key=lambda item: (-item[1], item[0]))
            found["failed"] = [{"errno": errno or "other", "count": count} for errno, count in failed]
        return found


def ordered(rows: Mapping[SocketKey, Socket]) -> list[tuple[SocketKey, Socket]]:
    """Return them, those with the most failures first, then those with the most calls."""
    return sorted(rows.items(), key=lambda item: (-sum(item[1].failed.values()), -item[1].calls, item[0]))


def others(rows: Sequence[tuple[SocketKey, Socket]]) -> dict[str, int]:
    """Return the sums of rows that are not shown."""
    total = total_of(row for _, row in rows)
    numbers = {name: total.numbers.get(name, 0) for name in _NUMBERS}
    return {"rows": sum(not key.other for key, _ in rows), **numbers, "failed": sum(total.failed.values())}


def total_of(rows: Iterable[Socket]) -> Socket:
    """Return the sum."""
    total = Socket()
    for row in rows:
        total.add(row)
    return total
