"""The view network as text for people. Pure. A part of the view network."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kubestrace_operator.api.timestamps import duration
from kubestrace_operator.views.pod_network import losses

_MOST = 10
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def lines(
    peers: Sequence[Mapping[str, Any]],
    listeners: Sequence[Mapping[str, Any]],
    sockets: Sequence[Mapping[str, Any]],
    pods: Sequence[Mapping[str, Any]],
    passed: int,
) -> Iterator[str]:
    """Yield the peers, the worst first, listeners, other sockets, what pods lost; in the units that people read."""
    yield from _peers(peers)
    asked = [row for row in listeners if row["accepted"] or row["backlogPeak"]]
    if asked:
        yield ""
        yield from _listeners(asked)
    if sockets:
        yield ""
        yield from _sockets(sockets)
    # Pods that have a name are told below their numbers, which each session has.
    yield from losses(pod for pod in pods if not pod["pod"])
    if passed:
        yield f"{passed} descriptors of TCP sockets were made elsewhere and passed: they are not in these rows."


def _peers(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not rows:
        yield "No TCP connection was seen."
        return
    yield (
        f"{'conns':>8} {'failed':>7} {'open':>6} {'sent':>9} {'received':>9} {'connect p99':>11} {'life p50':>9} "
        f"{'rtt':>8} {'retrans':>7} peer"
    )
    for row in rows[:_MOST]:
        failed = sum(each["count"] for each in row.get("failed", ())) + row["abandoned"]
        rtt = duration(row["rttNanoseconds"]) if "rttNanoseconds" in row else "-"
        yield (
            f"{row['established']:>8} {failed:>7} {row['open']:>6} {size(row['bytesSent']):>9} "
            f"{size(row['bytesReceived']):>9} {_time(row, 'connect', 'p99Nanoseconds'):>11} "
            f"{_time(row, 'lifetime', 'p50Nanoseconds'):>9} {rtt:>8} {row['retransmits']:>7} {_name(row)}"
        )
    if len(rows) > _MOST:
        yield f"and {len(rows) - _MOST} more in status.network.peers"


def _listeners(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield f"{'accepted':>8} {'queue peak':>10} {'of':>6} {'accept p99':>10} {'max':>9} listener"
    for row in rows[:_MOST]:
        yield (
            f"{row['accepted']:>8} {row['backlogPeak']:>10} {row['backlogMax']:>6} "
            f"{_time(row, 'acceptDelay', 'p99Nanoseconds'):>10} {_time(row, 'acceptDelay', 'maxNanoseconds'):>9} "
            f"{_place(row)}"
        )
    if len(rows) > _MOST:
        yield f"and {len(rows) - _MOST} more in status.network.listeners"


def _sockets(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield f"{'calls':>8} {'failed':>7} {'sent':>9} {'received':>9} socket"
    for row in rows[:_MOST]:
        failed = row.get("failed", ())
        calls = row["connects"] + row["accepts"] + row["sends"] + row["receives"]
        words = [_socket(row), *(f"{each['count']} {each['errno']}" for each in failed)]
        if row["again"]:
            words.append(f"{row['again']} had to wait")
        yield (
            f"{calls:>8} {sum(each['count'] for each in failed):>7} {size(row['bytesSent']):>9} "
            f"{size(row['bytesReceived']):>9} {', '.join(words)}"
        )
    if len(rows) > _MOST:
        yield f"and {len(rows) - _MOST} more in status.network.sockets"


def _socket(row: Mapping[str, Any]) -> str:
    if row["protocol"] == "unix":
        path = row["path"] or "(no name)"
        return f"unix to {path}" if row["role"] == "client" else f"unix at {path}"
    if row["role"] == "client":
        return f"udp to {_place(row)}" if row["address"] else "udp to an address that is not known"
    return f"udp from {_address(row) or 'unknown senders'} at port {row['port']}"


def _time(row: Mapping[str, Any], name: str, which: str) -> str:
    return duration(row[name][which]) if name in row else "-"


def _name(row: Mapping[str, Any]) -> str:
    words = [f"to {_place(row)}" if row["role"] == "client" else f"from {_address(row)} at port {row['port']}"]
    words += [f"{each['count']} {each['errno']}" for each in row.get("failed", ())]
    if row["abandoned"]:
        words.append(f"{row['abandoned']} given up after at most {duration(row['longestAbandonedNanoseconds'])}")
    if row["reset"]:
        words.append(f"{row['reset']} reset")
    if row["halfClosed"]:
        words.append(f"{row['halfClosed']} closed by the peer alone")
    return ", ".join(words)


def _place(row: Mapping[str, Any]) -> str:
    address = f"[{row['address']}]" if ":" in row["address"] else row["address"]
    # Peers that are not shown have none.
    port = f":{row['port']}" if row["port"] else ""
    return f"{address}{port}{_whose(row)}"


def _address(row: Mapping[str, Any]) -> str:
    return f"{row['address']}{_whose(row)}"


def _whose(row: Mapping[str, Any]) -> str:
    """Return the workload or pod of an address, or its name by DNS. A listener's pod is that which listens."""
    service = f"Service/{row['service']}" if "service" in row else ""
    name = service or row.get("workload") or ("" if "accepted" in row else row.get("pod")) or row.get("name")
    return f" ({name})" if name else ""


def size(count: int) -> str:
    """Return a number of bytes for people: 812B, 4.0KiB, 1.5MiB."""
    value, unit = float(count), 0
    while value >= 999.95 and unit + 1 < len(_UNITS):
        value, unit = value / 1024, unit + 1
    return f"{count}B" if not unit else f"{value:.1f}{_UNITS[unit]}"
