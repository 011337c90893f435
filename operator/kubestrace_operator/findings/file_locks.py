"""Findings about file locks that another process holds. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from kubestrace_operator.api.timestamps import duration
from kubestrace_operator.findings import failed_call
from kubestrace_operator.findings.finding import (
    Confidence,
    Evidence,
    Facts,
    Finding,
    Rule,
    Severity,
    many,
    percent,
)

_DEADLOCK = "EDEADLK"
# Who tries once and goes on has asked, and of fcntl most calls are no locks.
_LEAST_FAILED, _LEAST_SHARE = 3, 0.1
_WAIT_NS, _WAIT_SHARE = 1_000_000_000, 0.2
_OF_LOCKS = ("LOCK_", "F_SETLK", "F_OFD_SETLK")

_Row = Mapping[str, Any]


def _lock_held(facts: Facts) -> Iterator[Finding]:
    told, evidence = [], []
    for told_of, numbers in (_failures(facts), _waits(facts), _deadlocks(facts)):
        told += told_of
        evidence += numbers
    if told:
        yield Finding(
            "lock-held",
            Severity.WARNING,
            Confidence.HIGH,
            f"Another process holds a file lock: {', '.join(told)}.{_file(facts)}",
            f"{failed_call.WHO_HAS_IT} Give each replica its volume (StatefulSet), or end one before the next starts "
            "(Recreate).",
            "A standby is meant to wait for the lock, or a job to do nothing while another runs.",
            tuple(evidence),
            weight=0.6,
        )


def _failures(facts: Facts) -> tuple[list[str], list[Evidence]]:
    """Return what is to say of tries that did not wait."""
    told, evidence = [], []
    for name in failed_call.LOCKS:
        rows = facts.named((name,))
        calls = sum(row.calls for row in rows)
        failed = sum(row.errnos.get(errno, 0) for row in rows for errno in failed_call.HELD)
        if failed >= _LEAST_FAILED and failed >= _LEAST_SHARE * calls:
            told.append(f"{failed:,} of {calls:,} {name} calls failed (EAGAIN)")
            evidence += [
                Evidence(f"{name}Failed", failed, _LEAST_FAILED),
                Evidence(f"{name}ShareFailed", failed / calls, _LEAST_SHARE),
            ]
    return told, evidence


def _waits(facts: Facts) -> tuple[list[str], list[Evidence]]:
    """Return what is to say of threads that waited, or do so still."""
    rows, still = facts.named(failed_call.LOCKS, wait=True), list(_unreturned(facts))
    waited = sum(row.total_ns for row in rows) + sum(row["ageNanoseconds"] for row in still)
    longest = max([*(row.max_ns for row in rows), *(row["ageNanoseconds"] for row in still)], default=0)
    share = waited / 1e9 / facts.seconds if facts.seconds > 0 else 0.0
    if longest < _WAIT_NS and share < _WAIT_SHARE:
        return [], []
    evidence = [Evidence("longestWaitSeconds", longest / 1e9, _WAIT_NS / 1e9)] if longest >= _WAIT_NS else []
    evidence += [Evidence("waitSecondsPerSecond", share, _WAIT_SHARE)] if share >= _WAIT_SHARE else []
    going_on = ", and goes on" if still else ""
    times = many(sum(row.calls for row in rows) + len(still), "wait")
    return [f"{times} took {duration(waited)}, the longest {duration(longest)}{going_on}"], evidence


def _deadlocks(facts: Facts) -> tuple[list[str], list[Evidence]]:
    count = sum(row.errnos.get(_DEADLOCK, 0) for row in facts.named(failed_call.LOCKS))
    told = f"{many(count, 'try', 'tries')} would never have ended ({_DEADLOCK})"
    return ([told], [Evidence("deadlocks", count, 1)]) if count else ([], [])


def _unreturned(facts: Facts) -> Iterator[_Row]:
    return (row for row in facts.status.get("unreturned", ()) if row["wait"] and _is_lock(row))


def _is_lock(row: _Row) -> bool:
    return row["syscall"] in failed_call.LOCKS and any(word in row.get("arguments", "") for word in _OF_LOCKS)


def _file(facts: Facts) -> str:
    """Name the file, and who wanted it, where that is known: of a wait, then of a call that failed."""
    calls = [*_unreturned(facts), *(row for row in facts.status.get("slowCalls", ()) if row["wait"] and _is_lock(row))]
    for row in sorted(calls, key=lambda row: -row.get("ageNanoseconds", row.get("nanoseconds", 0))):
        what = failed_call.tried(row["syscall"], row["arguments"])
        return f" {row.get('process') or 'A thread'} waited to {what}."
    return failed_call.example(facts.status, (*failed_call.HELD, _DEADLOCK), failed_call.LOCKS)


RULES = (
    Rule(
        "lock-held",
        _lock_held,
        about=f"flock or fcntl failed with EAGAIN or EACCES {_LEAST_FAILED} times or more, and {percent(_LEAST_SHARE)} "
        "of the times; threads waited for one for 1 s or more, or for "
        f"{percent(_WAIT_SHARE)} of the duration; or a wait was refused as a deadlock (EDEADLK).",
        source="flock(2), fcntl(2); a lock that is well used is free within milliseconds",
    ),
)
