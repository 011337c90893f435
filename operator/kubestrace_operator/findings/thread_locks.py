"""Findings about locks for which threads of one process wait. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from kubestrace_operator.api.timestamps import duration
from kubestrace_operator.findings.finding import (
    Confidence,
    Evidence,
    Facts,
    Finding,
    Place,
    Rule,
    Severity,
    many,
    number,
    percent,
)

_LEAST_THREADS, _LEAST_WAKES = 2, 20
# Of the wakes: by threads that had waited for the same thing. Those that bring work to a queue do not wait in it.
_HANDED_ON_SHARE = 0.5
# Threads that wait at any time, on average.
_WAITING_THREADS = 0.5
# A lock that is kept for longer than most computations: somebody sleeps, or asks a disk or a peer, and has it.
_HELD_NS = 1_000_000

# What threads may do while they have it: such calls have a share of the time for which it is kept. Those that wait for
# somebody to come (epoll_wait, accept, read of a socket) may be those of other threads, which are idle.
_DONE_SHARE, _MOST_DONE = 0.25, 2
_DELAYS = frozenset({"clock_nanosleep", "nanosleep", "connect", "flock", "fcntl", "wait4", "waitid", "msync"})

_Row = Mapping[str, Any]


def _lock_contended(facts: Facts) -> Iterator[Finding]:
    """The lock with the longest waits of all processes."""
    hurt = [row for row in facts.status.get("locks", {}).get("locks", ()) if _is_contended(facts, row)]
    if not hurt:
        return
    worst = max(hurt, key=lambda row: (row["totalNanoseconds"], row["address"]))
    waiting, held_ns = _waiting(facts, worst), _held_ns(worst)
    handed_on = worst["handedOn"] / worst["wakes"]
    # One of the threads has it, the others may wait.
    share = min(1.0, waiting / max(1, worst["threads"] - 1))
    longest = duration(worst["longestHeldNanoseconds"])
    more = f", and of {many(len(hurt) - 1, 'other lock')} too" if len(hurt) > 1 else ""
    yield Finding(
        "lock-contended",
        Severity.WARNING,
        Confidence.MEDIUM,
        f"{many(worst['threads'], 'thread')} of {worst['process']} share a lock, and {number(waiting)} of them wait "
        f"for it at any time: {many(worst['waits'], 'wait')}, the median {duration(worst['p50Nanoseconds'])}. Whoever "
        f"has it keeps it for {duration(held_ns)} on average, {longest} at most{more}.{_meanwhile(facts, worst)}",
        "Sleep, and use disks and peers, only without the lock; or have one lock for each part of the data. The stacks "
        "of views.slowCalls and views.callers show the code that waits for it.",
        "The threads take turns on purpose; or it is the interpreter's own lock (Python's GIL) and the work is "
        "computing: then processes help.",
        (
            Evidence("waitingThreads", waiting, _WAITING_THREADS),
            Evidence("averageHeldMilliseconds", held_ns / 1e6, _HELD_NS / 1e6),
            Evidence("handedOnShareOfWakes", handed_on, _HANDED_ON_SHARE),
        ),
        tuple(sorted({Place(row["pod"], row["container"]) for row in hurt})),
        weight=share,
    )


def _is_contended(facts: Facts, row: _Row) -> bool:
    return (
        row["threads"] >= _LEAST_THREADS
        and row["wakes"] >= _LEAST_WAKES
        and row["handedOn"] >= _HANDED_ON_SHARE * row["wakes"]
        and _held_ns(row) >= _HELD_NS
        and _waiting(facts, row) >= _WAITING_THREADS
    )


def _meanwhile(facts: Facts, row: _Row) -> str:
    """Return a sentence about the calls that take much of the time for which it is kept; nothing where none does."""
    rows = (each for each in facts.rows if not each.wait or each.name in _DELAYS)
    much = [each for each in rows if each.total_ns >= _DONE_SHARE * row["heldNanoseconds"]]
    most = sorted(much, key=lambda each: (-each.total_ns, each.name))[:_MOST_DONE]
    named = " and ".join(f"{each.name} ({duration(each.total_ns)})" for each in most)
    return f" What takes as much time is {named}." if named else ""


def _waiting(facts: Facts, row: _Row) -> float:
    """Return how many threads wait at any time, on average."""
    return float(row["totalNanoseconds"] / 1e9 / facts.seconds) if facts.seconds > 0 else 0.0


def _held_ns(row: _Row) -> int:
    return int(row["heldNanoseconds"] // row["holds"]) if row["holds"] else 0


RULES = (
    Rule(
        "lock-contended",
        _lock_contended,
        needs=("locks",),
        about="Half a thread or more waits at any time for a lock that its threads keep for 1 ms or longer on average. "
        f"What is waited for is a lock where {percent(_HANDED_ON_SHARE)} or more of {_LEAST_WAKES} wakes or more come "
        "from threads that have waited there themselves.",
        source="a computation seldom takes 1 ms: whoever has the lock sleeps, syncs or asks a peer",
    ),
)
