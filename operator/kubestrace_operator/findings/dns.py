"""Findings about DNS: search lists, slow servers, queries without an answer, names that fail. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

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
    percent,
)

_LEAST_QUERIES, _SEARCHED = 20, 0.5
_SLOW_NS = 100_000_000
_LEAST_UNANSWERED, _UNANSWERED = 3, 0.01
_LEAST_FAILED, _FAILED, _MISSING = 5, 0.05, 0.5
_HURTS = 0.5

_Row = Mapping[str, Any]


def _network(facts: Facts) -> _Row:
    found: _Row = facts.status["network"]
    return found


def _worst(facts: Facts, *names: str) -> str:
    """Name the question that has most of these."""
    rows = [row for row in _network(facts)["dns"] if sum(row[name] for name in names)]
    if not rows:
        return ""
    worst = max(rows, key=lambda row: sum(row[name] for name in names))
    return f", most for {worst['name']} ({worst['type']}) at {worst['server']}"


def _search_storm(facts: Facts) -> Iterator[Finding]:
    total, search = _network(facts)["dnsTotal"], _network(facts)["dnsSearch"]
    if total["queries"] < _LEAST_QUERIES or search["queries"] < _SEARCHED * total["queries"]:
        return
    share = search["queries"] / total["queries"]
    yield Finding(
        "dns-search-storm",
        Severity.WARNING,
        Confidence.HIGH,
        f"{percent(share)} of {total['queries']:,} DNS queries ({number(facts.rate(search['queries']))} a second) were "
        f"for names that the search list makes and nobody has. These are {many(search['names'], 'name')} with "
        f".{', .'.join(search['suffixes'])}.",
        "Write a dot at the end of full names, or set ndots to 1 or 2 in the pod's dnsConfig; NodeLocal DNSCache.",
        "The names are short ones of other namespaces, which need the search list, and lookups are rare.",
        (
            Evidence("shareOfQueries", share, _SEARCHED),
            Evidence("queries", total["queries"], _LEAST_QUERIES),
        ),
        weight=share,
    )


def _slow(facts: Facts) -> Iterator[Finding]:
    slow = [
        row
        for row in _network(facts)["dnsServers"]
        if row["answers"] >= _LEAST_QUERIES and row.get("p95Nanoseconds", 0) > _SLOW_NS
    ]
    if not slow:
        return
    worst = max(slow, key=lambda row: row["p95Nanoseconds"])
    rows = [row for row in _network(facts)["dns"] if row["server"] == worst["server"] and "p99Nanoseconds" in row]
    name = max(rows, key=lambda row: row["p99Nanoseconds"], default=None)
    slowest = f" The slowest name is {name['name']} ({name['type']})." if name else ""
    yield Finding(
        "dns-slow",
        Severity.WARNING,
        Confidence.HIGH,
        f"One in 20 answers of the DNS server {worst['server']} takes {duration(worst['p95Nanoseconds'])} or more "
        f"({many(worst['answers'], 'answer')}, at most {duration(worst['maxNanoseconds'])}).{slowest}",
        "Look at the server's CPU limit and its upstream; a cache on the node (NodeLocal DNSCache) or in the program.",
        "Only the names of one zone are slow, whose own server is far away.",
        (
            Evidence("p95Milliseconds", worst["p95Nanoseconds"] / 1e6, _SLOW_NS / 1e6),
            Evidence("answers", worst["answers"], _LEAST_QUERIES),
        ),
        weight=min(1.0, worst["p95Nanoseconds"] / 1e9),
    )


def _unanswered(facts: Facts) -> Iterator[Finding]:
    total = _network(facts)["dnsTotal"]
    silent, again, queries = total["unanswered"], total["repeated"], total["queries"]
    if not again and (silent < _LEAST_UNANSWERED or silent < _UNANSWERED * queries):
        return
    repeated = f"; {many(again, 'query was', 'queries were')} sent again after 2.4 s or more" if again else ""
    yield Finding(
        "dns-unanswered",
        Severity.CRITICAL if silent >= _HURTS * queries and silent >= _LEAST_UNANSWERED else Severity.WARNING,
        Confidence.HIGH if again else Confidence.MEDIUM,
        f"{silent:,} of {queries:,} DNS queries had no answer{_worst(facts, 'unanswered')}{repeated}.",
        "Steps of 5 s are lost datagrams: options single-request-reopen or use-vc, NodeLocal DNSCache. If no query is "
        "answered, look at NetworkPolicies for port 53 and at the DNS server's pods.",
        "The program asks several servers at once and takes the first answer.",
        (
            Evidence("unansweredQueries", silent, None if again else _LEAST_UNANSWERED),
            Evidence("repeatedQueries", again, 1 if again else None),
        ),
        weight=silent / queries if queries else 0.0,
    )


def _failing(facts: Facts) -> Iterator[Finding]:
    network = _network(facts)
    total = network["dnsTotal"]
    queries, failed = total["queries"], total["servfail"] + total["failed"]
    if failed >= _LEAST_FAILED and failed >= _FAILED * queries:
        yield Finding(
            "dns-failing",
            Severity.CRITICAL if failed >= _HURTS * queries else Severity.WARNING,
            Confidence.HIGH,
            f"{failed:,} of {queries:,} DNS queries failed ({total['servfail']:,} SERVFAIL, "
            f"{total['failed']:,} refused or the like){_worst(facts, 'servfail', 'failed')}.",
            "Look at the DNS server's log and its upstream.",
            "The names are of one zone that nobody needs.",
            (Evidence("failedQueries", failed, _LEAST_FAILED), Evidence("shareOfQueries", failed / queries, _FAILED)),
            weight=failed / queries,
        )
    missing = total["nxdomain"] - network["dnsSearch"]["queries"]
    if missing >= _LEAST_FAILED and missing >= _MISSING * queries:
        yield Finding(
            "dns-failing",
            Severity.WARNING,
            Confidence.MEDIUM,
            f"{missing:,} of {queries:,} DNS queries asked for names that there are not (NXDOMAIN)"
            f"{_worst(facts, 'nxdomain')}.",
            "Look at the name: a typing error, a Service of another namespace, or one that was deleted.",
            "The answer itself is what is asked for, as with lists of blocked mail servers.",
            (
                Evidence("queriesForMissingNames", missing, _LEAST_FAILED),
                Evidence("shareOfQueries", missing / queries, _MISSING),
            ),
            weight=missing / queries / 2,
        )


_NEEDS = ("network.dns",)
RULES = (
    Rule(
        "dns-search-storm",
        _search_storm,
        needs=_NEEDS,
        about="Half or more of 20 DNS queries or more are for names that the search list makes and nobody has.",
        source="ndots:5 is the default of pods: an outside name costs 2 queries for each suffix before its own",
    ),
    Rule(
        "dns-slow",
        _slow,
        needs=_NEEDS,
        about="One in 20 of 20 answers or more of a DNS server takes more than 100 ms.",
        source="Coroot: 100 ms",
    ),
    Rule(
        "dns-unanswered",
        _unanswered,
        needs=_NEEDS,
        about="A DNS query was sent again after 2.4 s or more, or 3 queries and 1 % had no answer.",
        source="kubernetes#56903: steps of 5 s; musl asks again after 2.5 s",
    ),
    Rule(
        "dns-failing",
        _failing,
        needs=_NEEDS,
        about="5 DNS queries or more, and 5 % of all, failed; or 5 and half of all were for missing names.",
        source="5 and 5 % keep single failures out",
    ),
)
