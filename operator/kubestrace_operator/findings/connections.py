"""Findings about connections that are made again and again. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from kubestrace_operator.api.sizes import size
from kubestrace_operator.api.timestamps import duration
from kubestrace_operator.findings.finding import (
    Confidence,
    Evidence,
    Facts,
    Finding,
    Rule,
    Severity,
    many,
    number,
)

_RATE, _LEAST, _LIFE_NS, _BYTES = 10.0, 100, 1_000_000_000, 16 * 1024
# Who closes first keeps the socket for 60 s. Ports are used anew before, so that far fewer than all are to be seen.
_TIME_WAIT_SECONDS, _OURS = 60, 0.2
_NO_PORT = "EADDRNOTAVAIL"

_Row = Mapping[str, Any]


def _churn(facts: Facts) -> Iterator[Finding]:
    """The worst peer that is connected to, and the worst port that is connected to."""
    rows = [row for row in facts.status.get("network", {}).get("peers", ()) if _is_churn(facts, row)]
    clients = [row for row in rows if row["role"] == "client" and _we_close(facts, row)]
    own = {(row["address"], row["port"]) for row in rows if row["role"] == "client"}
    # A server that its own client connects to is told once.
    servers = [row for row in rows if row["role"] == "server" and (row["address"], row["port"]) not in own]
    for of_role, made in ((clients, _by_client), (servers, _by_server)):
        if of_role:
            yield made(facts, max(of_role, key=lambda row: row["established"]), len(of_role) - 1)


def _is_churn(facts: Facts, row: _Row) -> bool:
    life_ns = row.get("lifetime", {}).get("p50Nanoseconds", _LIFE_NS)
    return (
        facts.rate(row.get("established", 0)) >= _RATE
        and row.get("closed", 0) >= _LEAST
        and life_ns < _LIFE_NS
        and _mean(row) <= _BYTES
    )


def _mean(row: _Row) -> float:
    return float((row["bytesSent"] + row["bytesReceived"]) / max(1, row["closed"]))


def _we_close(facts: Facts, row: _Row) -> bool:
    """Return whether the sockets of closed connections stay with us; where nobody knows, they may."""
    pods = facts.status.get("network", {}).get("pods", ())
    if not pods or any(pod.get("nodeNetwork") or "timeWait" not in pod for pod in pods):
        return True
    expected = min(row["closed"], facts.rate(row["closed"]) * _TIME_WAIT_SECONDS)
    return bool(sum(pod["timeWait"] for pod in pods) >= _OURS * expected)


def _by_client(facts: Facts, row: _Row, others: int) -> Finding:
    without_port = sum(each.errnos.get(_NO_PORT, 0) for each in facts.named(("connect",)))
    out_of_ports = f" {many(without_port, 'connect')} found no free port ({_NO_PORT})." if without_port else ""
    return Finding(
        "connection-churn",
        Severity.CRITICAL if without_port else Severity.WARNING,
        Confidence.MEDIUM,
        f"{number(facts.rate(row['established']))} connections a second to {named_peer(row)}, {_lives(row)}"
        f"{_and(others, 'peer')}.{out_of_ports}",
        "Keep connections open: keep-alive, a pool that is large enough (Go: MaxIdleConnsPerHost is 2), HTTP/2.",
        "The peer closes them (mend it there), or many short processes make one each.",
        _evidence(facts, row),
        weight=min(1.0, facts.rate(row["established"]) / 1000),
    )


def _by_server(facts: Facts, row: _Row, others: int) -> Finding:
    return Finding(
        "connection-churn",
        Severity.INFO,
        Confidence.LOW,
        f"{number(facts.rate(row['established']))} connections a second from {row['address']} to port {row['port']}, "
        f"{_lives(row)}{_and(others, 'peer')}.",
        "Allow keep-alive (nginx: keepalive_timeout, upstream keepalive), and have the clients use it.",
        "The clients are many, and each asks once.",
        _evidence(facts, row),
        weight=min(1.0, facts.rate(row["established"]) / 1000),
    )


def named_peer(row: _Row) -> str:
    """Return a peer with the name that the operator knows for it."""
    service = f"Service/{row['service']}" if row.get("service") else ""
    name = service or row.get("workload") or row.get("pod", "")
    return f"{row['address']}:{row['port']}" + (f" ({name})" if name else "")


def _lives(row: _Row) -> str:
    life = duration(row["lifetime"]["p50Nanoseconds"])
    return f"each for {life} in the middle and {size(int(_mean(row)))} on average"


def _and(others: int, noun: str) -> str:
    return f", and to or from {many(others, f'other {noun}')} too" if others else ""


def _evidence(facts: Facts, row: _Row) -> tuple[Evidence, ...]:
    return (
        Evidence("connectionsPerSecond", facts.rate(row["established"]), _RATE),
        Evidence("closedConnections", row["closed"], _LEAST),
        Evidence("medianLifeMilliseconds", row["lifetime"]["p50Nanoseconds"] / 1e6),
        Evidence("meanBytes", _mean(row)),
    )


RULES = (
    Rule(
        "connection-churn",
        _churn,
        needs=("network",),
        about="10 connections a second or more with one peer, 100 or more, half of them shorter than 1 s, 16 KiB each "
        "or less: a warning for who connects, information for who is connected to.",
        source="each costs a handshake, and 60 s of one of 28,232 ports for who closes first",
    ),
)
