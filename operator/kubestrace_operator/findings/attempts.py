"""Findings about what is tried again and again: pauses between attempts, and files that are not there. Pure."""

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
    cut,
    number,
    percent,
)
from kubestrace_protos.v1.views import errors_optional_files as optional_files

_UNREACHED = ("ECONNREFUSED", "ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH")
# Few of them are no loop; one pause for each failure, or nearly.
_LEAST_FAILED, _MOST_APART, _LEAST_SHARE = 10, 0.1, 0.2
# A search at the start of a program asks for each place once or twice.
_LEAST_OF_ONE, _MISSING_RATE, _NAMED = 20, 20.0, 3
# SQLite asks before each transaction whether another process left one of these.
_OF_SQLITE = ("-journal", "-wal")


def _pauses(facts: Facts) -> Iterator[Finding]:
    """As many sleeps as failed connects: each attempt is followed by a pause, in which nobody is served."""
    failed = sum(row.errnos.get(errno, 0) for row in facts.named(("connect",)) for errno in _UNREACHED)
    sleeps = facts.named(("nanosleep", "clock_nanosleep"), wait=True)
    slept, slept_ns = sum(row.calls for row in sleeps), sum(row.total_ns for row in sleeps)
    if failed < _LEAST_FAILED or abs(slept - failed) > _MOST_APART * failed:
        return
    share = slept_ns / 1e9 / facts.seconds if facts.seconds > 0 else 0.0
    if share < _LEAST_SHARE:
        return
    yield Finding(
        "pauses-between-attempts",
        Severity.WARNING,
        Confidence.MEDIUM,
        f"{slept:,} sleeps of {duration(slept_ns // slept)} for {failed:,} connects that failed: threads pause after "
        f"each attempt, {duration(slept_ns)} in all.",
        "Mend the peer first; then stop asking for a while once it is down, as a circuit breaker does.",
        "The program has nothing else to do meanwhile.",
        (
            Evidence("sleepsForEachFailedConnect", slept / failed, 1 - _MOST_APART),
            Evidence("sleepSecondsPerSecond", share, _LEAST_SHARE),
        ),
        weight=min(1.0, share),
    )


def _missing_count(row: Mapping[str, Any]) -> int:
    return sum(each["count"] for each in row.get("failed", ()) if each["errno"] == "ENOENT")


def _does_without(path: str) -> bool:
    """Tell whether a file is asked for and not needed: nobody is advised to put it there."""
    return optional_files.names_one(f'"{path}"') or path.endswith(_OF_SQLITE)


def _missing_files(facts: Facts) -> Iterator[Finding]:
    """The same few files again and again, none of which is there."""
    paths = facts.status.get("files", {}).get("paths", ())
    counts = {
        row["path"]: count
        for row in paths
        if (count := _missing_count(row)) >= _LEAST_OF_ONE and not _does_without(row["path"])
    }
    asked, failed = sum(counts.values()), sum(row.errnos.get("ENOENT", 0) for row in facts.rows)
    if facts.rate(asked) < _MISSING_RATE or 2 * asked < failed:
        return
    worst = sorted(counts, key=lambda path: (-counts[path], path))[:_NAMED]
    more = f" and {len(counts) - len(worst)} more" if len(counts) > len(worst) else ""
    share = min(1.0, asked / failed) if failed else 1.0
    yield Finding(
        "missing-files",
        Severity.INFO,
        Confidence.HIGH,
        f"{number(facts.rate(asked))} times a second files are asked for that are not there: "
        f"{', '.join(cut(path) for path in worst)}{more}.",
        "Put the file in one of these places, or ask once at the start and keep the answer.",
        "The program waits for a file to appear, or a compiler looks through its search path.",
        (
            Evidence("missingFilesPerSecond", facts.rate(asked), _MISSING_RATE),
            Evidence("shareOfFilesNotFound", share, 0.5),
        ),
        weight=share,
    )


RULES = (
    Rule(
        "pauses-between-attempts",
        _pauses,
        compares=True,
        about=f"As many sleeps as failed connects, {_LEAST_FAILED} or more, within {percent(_MOST_APART)}, and "
        f"{percent(_LEAST_SHARE)} of the duration or more.",
        source="measured here: examples/slow-checkout",
    ),
    Rule(
        "missing-files",
        _missing_files,
        needs=("files",),
        about=f"{number(_MISSING_RATE)} times a second or more the same files are asked for and are not there, each "
        f"{_LEAST_OF_ONE} times or more.",
        source="measured here: examples/slow-checkout",
    ),
)
