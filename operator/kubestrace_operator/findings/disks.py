"""Findings about disks. Pure."""

from collections.abc import Iterator

from kubestrace_operator.api.timestamps import duration
from kubestrace_operator.findings.finding import Confidence, Evidence, Facts, Finding, Rule, Severity, percent

_SLOW_NS, _LEAST, _LARGE_BYTES = 20_000_000, 100, 512 * 1024
_WAITED = 0.05


def _disk_slow(facts: Facts) -> Iterator[Finding]:
    waited = _waited(facts)
    if waited is not None and waited < _WAITED:
        return
    shown = () if waited is None else (Evidence("shareOfTimeWaitedForDisks", waited, _WAITED),)
    for row in facts.status.get("blockIO", {}).get("devices", ()):
        p99_ns = row["deviceTime"]["p99Nanoseconds"]
        # Nobody waits for what is written back or discarded.
        if not row.get("sync") and row["operation"] != "flush":
            continue
        if row["count"] < _LEAST or p99_ns <= _SLOW_NS or row["bytes"] / row["count"] >= _LARGE_BYTES:
            continue
        yield Finding(
            "disk-slow",
            Severity.WARNING,
            Confidence.MEDIUM,
            f"1 % of {row['count']:,} {row['operation']} requests to {row['device']} on {row['node']} take "
            f"{duration(p99_ns)} or longer in the device"
            f"{'' if waited is None else f'; threads waited {percent(waited)} of the time for disks'}.",
            "Look at the volume's limit of operations a second, at its neighbours, and at the size of requests.",
            "A backup or a bulk load that may take its time.",
            (
                Evidence("deviceP99Milliseconds", p99_ns / 1e6, _SLOW_NS / 1e6),
                Evidence("requests", row["count"], _LEAST),
                *shown,
            ),
            weight=p99_ns / 1e9,
        )


def _waited(facts: Facts) -> float | None:
    """Return the share of the time in which threads of one container waited for disks; None: the kernel has no PSI."""
    waits = [
        row["resources"]["pressure"]["ioSomeNanoseconds"]
        for row in facts.status.get("containers", ())
        if "ioSomeNanoseconds" in row.get("resources", {}).get("pressure", {})
    ]
    return max(waits) / 1e9 / facts.seconds if waits and facts.seconds else None


RULES = (
    Rule(
        "disk-slow",
        _disk_slow,
        needs=("blockIO",),
        about="100 requests or more of one kind to one disk that somebody waits for, of which one in 100 takes more "
        "than 20 ms in the device; and threads waited for disks for 5 % of the time.",
        source="USE method: the device's own time, without the queue; PSI says whether anybody waited",
    ),
)
