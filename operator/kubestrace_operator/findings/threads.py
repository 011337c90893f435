"""Findings about single threads: one that waits for its log to be read, and one that is all that works. Pure."""

from collections import defaultdict
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
    percent,
)

_WRITES = frozenset({"write", "writev", "pwritev2"})
_OUTPUT, _ERROR = "1<pipe>", "2<pipe>"
_BLOCKED_SHARE, _BLOCKED_NS = 0.05, 1_000_000_000

_ONE_CPU, _LESS_THAN_TWO, _WAIT_SHARE = 0.9, 1.2, 0.1
_LEAST_SECONDS = 2.0
_SERVES = (
    *("epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll", "select", "pselect6"),
    *("accept", "accept4", "recvfrom", "recvmsg"),
)
_SERVE_RATE = 10.0

_Row = Mapping[str, Any]


def _log_blocked(facts: Facts) -> Iterator[Finding]:
    """By thread: each of them stands still for itself."""
    by_thread: dict[tuple[str, int], list[_Row]] = defaultdict(list)
    for row in _writes_that_waited(facts):
        by_thread[row["node"], row["hostTid"] if "hostTid" in row else row["tid"]].append(row)
    hurt = [rows for rows in by_thread.values() if _is_blocked(facts, rows)]
    if not hurt:
        return
    worst = max(hurt, key=_waited)
    longest = max(map(_length, worst))
    share = _waited(worst) / 1e9 / facts.seconds
    evidence = [
        Evidence("shareOfThreadTime", share, _BLOCKED_SHARE),
        Evidence("longestMilliseconds", longest / 1e6, _BLOCKED_NS / 1e6),
    ]
    yield Finding(
        "log-blocked",
        Severity.WARNING,
        Confidence.MEDIUM,
        f"Thread {worst[0]['thread']} of {worst[0]['process']} waited {percent(min(1.0, share))} of the time for its "
        f"standard output or error to be read: {many(len(worst), 'write')} of {duration(longest)} at most"
        f"{_others(len(hurt) - 1, 'thread')}.",
        "Log less, or in a thread of its own with a bounded queue; look at the container runtime and at the disk below "
        "/var/log on the node.",
        "Less than 1 % of the time; or the output goes to another program that is slower on purpose.",
        tuple(each for each in evidence if each.threshold is not None and each.value >= each.threshold),
        tuple(sorted({Place(row["pod"], row["container"]) for rows in hurt for row in rows})),
        weight=min(1.0, share),
    )


def _writes_that_waited(facts: Facts) -> Iterator[_Row]:
    """Yield writes to the pipes of standard output and error.

    Those of standard output only of a container's first process: that of others may be a pipe among themselves.
    """
    first = {(row["node"], row["hostPid"]) for row in facts.status.get("containers", ()) if "hostPid" in row}
    for row in (*facts.status.get("slowCalls", ()), *facts.status.get("unreturned", ())):
        if row["syscall"] not in _WRITES or not row["wait"]:
            continue
        arguments = row.get("arguments", "")
        is_first = (row["node"], row["hostPid"]) in first
        if arguments.startswith(_ERROR) or (is_first and arguments.startswith(_OUTPUT)):
            yield row


def _length(row: _Row) -> int:
    return int(row["ageNanoseconds"] if "ageNanoseconds" in row else row["nanoseconds"])


def _waited(rows: list[_Row]) -> int:
    return sum(map(_length, rows))


def _is_blocked(facts: Facts, rows: list[_Row]) -> bool:
    return facts.seconds > 0 and (
        _waited(rows) / 1e9 >= _BLOCKED_SHARE * facts.seconds or max(map(_length, rows)) >= _BLOCKED_NS
    )


def _one_thread(facts: Facts) -> Iterator[Finding]:
    """Programs that serve: a computation that takes one CPU does its work."""
    serves = sum(row.calls for row in facts.named(_SERVES))
    if facts.seconds < _LEAST_SECONDS or facts.rate(serves) < _SERVE_RATE:
        return
    found = [
        (busy, thread, row)
        for row in facts.status.get("containers", ())
        if _ONE_CPU <= (busy := _busy(facts, row)) < _LESS_THAN_TWO and (thread := _thread_that_works(facts, row))
    ]
    if not found:
        return
    busy, thread, row = max(found, key=lambda each: each[0])
    share = percent(min(1.0, busy))
    yield Finding(
        "one-thread-limit",
        Severity.INFO,
        Confidence.MEDIUM,
        f"One thread ({thread}) does the work of container {row['container']}: it needed a CPU {share} of the time, "
        f"all others hardly ever{_others(len(found) - 1, 'container')}.",
        "More CPU does not help: more replicas or worker processes, or a profile of that thread.",
        "A batch job.",
        (
            Evidence("shareOfOneCpu", busy, _ONE_CPU),
            Evidence("servingCallsPerSecond", facts.rate(serves), _SERVE_RATE),
        ),
        tuple(sorted(Place(each["pod"], each["container"]) for _, _, each in found)),
        weight=busy,
    )


def _busy(facts: Facts, row: _Row) -> float:
    """Return the time of all threads of a container on CPUs or ready for one, as a share of one CPU.

    0 where they mostly waited for one: then more CPU does help.
    """
    budget = row.get("timeBudget", {})
    used, ready = (
        sum(budget.get(f"{part}Nanoseconds", 0) for part in parts) for parts in (("user", "kernel"), ("runnable",))
    )
    return float((used + ready) / 1e9 / facts.seconds) if used > ready else 0.0


def _thread_that_works(facts: Facts, container: _Row) -> str:
    """Name the one thread of a container that hardly waited; nothing where there is none, or more."""
    found = [
        name
        for process in facts.status.get("processes", ())
        if (process["pod"], process["container"], process["node"])
        == (container["pod"], container["container"], container["node"])
        and process.get("lifetimeNanoseconds", facts.seconds * 1e9) >= _ONE_CPU * facts.seconds * 1e9
        for name, calls, wait_ns in _threads(process)
        if facts.rate(calls) >= _SERVE_RATE and wait_ns <= _WAIT_SHARE * facts.seconds * 1e9
    ]
    return found[0] if len(found) == 1 else ""


def _threads(process: _Row) -> Iterator[tuple[str, int, int]]:
    """Yield name, calls and waiting time of the threads of a process that are known one by one."""
    of_several = process.get("busiestThreads", ())
    for row in of_several or ([process] if process.get("threads") == 1 else ()):
        yield row.get("name", ""), row["calls"], row["waitNanoseconds"]


def _others(count: int, noun: str) -> str:
    return f", and {many(count, f'other {noun}')} too" if count else ""


RULES = (
    Rule(
        "log-blocked",
        _log_blocked,
        needs=("slowCalls",),
        about="A thread waited 5 % of the time or more, or 1 s at once, to write to the pipe of its standard error, or "
        "the first process of a container to that of its standard output.",
        source="such a pipe holds 64 KiB, and the runtime must read it: containerd#9342, #11511, #12462",
    ),
    Rule(
        "one-thread-limit",
        _one_thread,
        needs=("cpuTime", "processes"),
        compares=True,
        about="The threads of a container that serves take 90 % to 120 % of one CPU together, most of it on the "
        "CPU, and one of them hardly waits (10 % of the time).",
        source="Node, Redis, Python: more CPU does not help",
    ),
)
