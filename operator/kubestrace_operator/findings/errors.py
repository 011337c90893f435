"""Findings about calls that fail: peers that cannot be reached, and what a seccomp profile denies. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from kubestrace_operator.findings import failed_call
from kubestrace_operator.findings.finding import (
    Confidence,
    Evidence,
    Facts,
    Finding,
    Rule,
    Severity,
    listed,
    many,
    number,
    of_these,
)

_GIVEN_UP = "abandoned"
_UNREACHED = {
    _GIVEN_UP: "Nobody answers there in the time that the program allows: look at NetworkPolicies and the address.",
    "ECONNREFUSED": "Nothing listens there: look at the peer's ready endpoints and its port.",
    "ETIMEDOUT": "Nobody answers there: look at NetworkPolicies, security groups and the address.",
    "EHOSTUNREACH": "There is no way there: look at NetworkPolicies, routes and the address.",
    "ENETUNREACH": "There is no way there: look at the pod's network and the address family.",
}
# Single retries are no finding.
_LEAST_ATTEMPTS, _LEAST_SHARE = 5, 0.05
_REFUSALS = ("EPERM", "ENOSYS", "EACCES")
# C libraries try these, and have another way.
_PROBED = frozenset(
    {"clone3", "faccessat2", "rseq", "statx", "close_range", "openat2", "futex_waitv", "landlock_create_ruleset"}
)
# A server that takes all there is makes one empty accept for each wake.
_LEAST_HERD, _HERD = 100.0, 1.5
# What costs less than this share of a core is information.
_LEAST_CORE = 0.01


def _connect_failing(facts: Facts) -> Iterator[Finding]:
    attempts = _attempts(facts)
    for errno, advice in _UNREACHED.items():
        failed = _unreached(facts, errno)
        if _enough(facts, errno):
            how = "were given up before there was an answer" if errno == _GIVEN_UP else "failed"
            why = "" if errno == _GIVEN_UP else f": {failed_call.why(errno)}"
            yield Finding(
                "connect-failing",
                Severity.CRITICAL if failed >= attempts / 2 else Severity.WARNING,
                Confidence.HIGH,
                f"{many(failed, 'connect')} of {attempts:,} {how}, {number(facts.rate(failed))} a second{why}."
                f"{_peer(facts, errno) or failed_call.example(facts.status, (errno,), ('connect',))}",
                advice,
                "Later attempts succeed, or another address of the same name does.",
                (
                    Evidence("failedConnects", failed, _LEAST_ATTEMPTS),
                    Evidence("shareOfConnects", failed / attempts, _LEAST_SHARE),
                ),
                weight=failed / attempts,
            )


def _peers(facts: Facts) -> list[Mapping[str, Any]]:
    """Return those that containers connect to."""
    return [row for row in facts.status.get("network", {}).get("peers", ()) if row["role"] == "client"]


def _attempts(facts: Facts) -> int:
    calls = sum(row.calls for row in facts.named(("connect",)))
    return max(calls, sum(int(row.get("attempts", 0)) for row in _peers(facts)))


def _unreached(facts: Facts, errno: str) -> int:
    """Return how many connects failed so: those that waited for the answer say it, of the others the peers do."""
    calls = sum(row.errnos.get(errno, 0) for row in facts.named(("connect",)))
    peers = sum(_failed(row, errno) for row in _peers(facts))
    return max(calls, peers) - sum(_failed(row, errno) for row in _peers(facts) if _has_other_way(facts, row))


def _has_other_way(facts: Facts, peer: Mapping[str, Any]) -> bool:
    """Tell whether a name had an address of IPv6 at which nobody is, and one of IPv4 that answered as often."""
    failed = sum(each["count"] for each in peer.get("failed", ()))
    return ":" in peer["address"] and any(
        ":" not in each["address"] and each["port"] == peer["port"] and each.get("established", 0) >= failed
        for each in _peers(facts)
    )


def _failed(peer: Mapping[str, Any], errno: str) -> int:
    """Return how many attempts to a peer failed so. What one of two addresses won in a race is not given up."""
    if errno == _GIVEN_UP:
        return 0 if peer.get("established", 0) else int(peer.get("abandoned", 0))
    return sum(each["count"] for each in peer.get("failed", ()) if each["errno"] == errno)


def _without_peers(facts: Facts) -> str:
    """A connect that does not wait for its answer fails later, and one that is refused may go to a second address.

    Only the view tells of these.
    """
    if "network" in facts.views:
        return ""
    later = sum(row.errnos.get("EINPROGRESS", 0) for row in facts.named(("connect",)))
    only_refused = _may_have_other_way(facts) and not any(_enough(facts, errno) for errno in _UNREACHED)
    return "views.network" if later >= _LEAST_ATTEMPTS or only_refused else ""


def _may_have_other_way(facts: Facts) -> bool:
    """Tell whether as many connects came about as were refused, not known to whom: localhost has two."""
    refused = _unreached(facts, "ECONNREFUSED")
    return "network" not in facts.views and _LEAST_ATTEMPTS <= refused <= _attempts(facts) / 2


def _enough(facts: Facts, errno: str) -> bool:
    """Tell whether so many connects failed so that it is no chance."""
    failed = _unreached(facts, errno)
    if errno == "ECONNREFUSED" and _may_have_other_way(facts):
        return False
    return failed >= _LEAST_ATTEMPTS and failed >= _LEAST_SHARE * _attempts(facts)


def _peer(facts: Facts, errno: str) -> str:
    """Name the peer that most of them went to, where peers were counted."""
    counts: dict[str, int] = {}
    for row in _peers(facts):
        service = f"Service/{row['service']}" if "service" in row else ""
        name = service or row.get("workload") or row.get("pod") or row.get("name", "")
        peer = f"{row['address']}:{row['port']}" + (f" ({name})" if name else "")
        if (count := _failed(row, errno)) and not _has_other_way(facts, row):
            counts[peer] = counts.get(peer, 0) + count
    if not counts:
        return ""
    worst = max(counts, key=lambda peer: counts[peer])
    return f" {of_these(counts[worst], sum(counts.values()))} to {worst}."


def _denied(facts: Facts) -> Iterator[Finding]:
    """What a filter denies never begins: it has an error and no length."""
    denied: dict[str, int] = {}
    for row in facts.rows:
        refused = sum(row.errnos.get(errno, 0) for errno in _REFUSALS)
        if count := min(refused, row.calls - row.timed):
            denied[row.name] = denied.get(row.name, 0) + count
    new = {name: count for name, count in denied.items() if name not in _PROBED}
    if not denied:
        return
    yield Finding(
        "denied-by-seccomp",
        Severity.WARNING if new else Severity.INFO,
        Confidence.HIGH,
        f"A seccomp profile denied calls before they began: {listed(new or denied)}.",
        "Add the call to the profile (securityContext.seccompProfile), or take it out of the program.",
        "The program only tries whether the kernel has the call, and goes on without.",
        (Evidence("deniedCalls", sum(denied.values()), 1),),
        weight=0.5,
    )


def _herd(facts: Facts) -> Iterator[Finding]:
    rows = facts.named(("accept", "accept4"))
    again = sum(row.errnos.get("EAGAIN", 0) for row in rows)
    taken = sum(row.calls - row.errors for row in rows)
    if facts.rate(again) >= _LEAST_HERD and again >= _HERD * max(1, taken):
        core = facts.rate(sum(row.total_ns for row in rows if not row.wait) / 1e9)
        yield Finding(
            "thundering-herd",
            Severity.WARNING if core >= _LEAST_CORE else Severity.INFO,
            Confidence.MEDIUM,
            f"{number(facts.rate(again))} accepts a second found no connection, {again / max(1, taken):.1f} for each "
            "that did: several processes wake for one connection.",
            "One listening socket for each process (SO_REUSEPORT), EPOLLEXCLUSIVE, or fewer processes.",
            "A server that tries once more after each connection makes one such call for each.",
            (
                Evidence("emptyAcceptsPerSecond", facts.rate(again), _LEAST_HERD),
                Evidence("emptyAcceptsForEachConnection", again / max(1, taken), _HERD),
            ),
        )


RULES = (
    Rule(
        "connect-failing",
        _connect_failing,
        unclear=_without_peers,
        about="5 connects or more, and 5 % of all or more, failed alike: critical from half of all on.",
        source="podtrace: 10 %; Coroot: any; 5 and 5 % keep single retries out",
    ),
    Rule(
        "denied-by-seccomp",
        _denied,
        about="A call has an error (EPERM, ENOSYS or EACCES) and no length: it was denied before it began.",
        source="exact: the kernel's entry of such a call never runs",
    ),
    Rule(
        "thundering-herd",
        _herd,
        about="100 accepts a second or more found no connection, and 1.5 times as many as found one: a warning from "
        "1 % of a CPU on.",
        source="a server that drains its backlog makes one empty accept for each wake; measured here: gunicorn with 2 "
        "workers 1.0, with 16 workers on 2 CPUs 1.6",
    ),
)
