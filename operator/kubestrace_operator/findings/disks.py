"""Findings about disks. Pure."""

from collections.abc import Iterator

from kubestrace_operator.api.timestamps import duration
from kubestrace_operator.findings.finding import Confidence, Evidence, Facts, Finding, Rule, Severity, many

_SLOW_NS, _LEAST, _LARGE_BYTES = 20_000_000, 100, 512 * 1024


def _disk_slow(facts: Facts) -> Iterator[Finding]:
    for row in facts.status.get("blockIO", {}).get("devices", ()):
        p99_ns = row["deviceTime"]["p99Nanoseconds"]
        if row["count"] < _LEAST or p99_ns <= _SLOW_NS or row["bytes"] / row["count"] >= _LARGE_BYTES:
            continue
        yield Finding(
            "disk-slow",
            Severity.WARNING,
            Confidence.MEDIUM,
            f"One of 100 {row['operation']} requests to {row['device']} on {row['node']} takes "
            f"{duration(p99_ns)} or longer in the device, of {many(row['count'], 'request')}.",
            "Look at the volume's limit of operations a second, at its neighbours, and at the size of requests.",
            "Nobody waits for them: write-back in the background.",
            (
                Evidence("deviceP99Milliseconds", p99_ns / 1e6, _SLOW_NS / 1e6),
                Evidence("requests", row["count"], _LEAST),
            ),
            weight=p99_ns / 1e9,
        )


RULES = (
    Rule(
        "disk-slow",
        _disk_slow,
        needs=("blockIO",),
        about="100 requests or more of one kind to one disk, of which one in 100 takes more than 20 ms in the device.",
        source="USE method: the device's own time, without the queue",
    ),
)
