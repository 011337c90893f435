"""Findings about calls that work: what they cost, and that there are too many of them. Pure."""

from collections.abc import Iterator, Mapping, Sequence
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
    number,
    percent,
)
from kubestrace_operator.results.rows import SyscallRow

_SYNCS = ("fsync", "fdatasync", "sync_file_range", "syncfs", "sync", "msync")
_SYNC_SHARE, _SYNC_RATE = 0.2, 10.0
_STATS = (
    *("stat", "lstat", "fstatat64", "newfstatat", "stat64", "lstat64", "statx"),
    *("access", "faccessat", "faccessat2", "readlink", "readlinkat"),
)
_STAT_RATE, _STAT_SHARE = 1000.0, 0.05
# Who walks a tree asks once for each file.
_SAME_SHARE, _FEW_PATHS = 0.8, 50
_READS, _WRITES = ("read", "pread64", "readv", "preadv"), ("write", "pwrite64", "writev", "pwritev")
_SMALL_BYTES, _SMALL_RATE, _SMALL_SHARE = 1024, 1000.0, 0.05
_CLOCKS = ("clock_gettime", "gettimeofday", "time", "clock_gettime64")
_CLOCK_RATE = 1000.0
_EXECS = ("execve", "execveat")
# A program that starts others as it begins is no churn, however short the session.
_EXEC_RATE, _LEAST_EXECS = 10.0, 100
_LEAST_SYNCS = 20
# A rate that costs less than this share of a core is information at most.
_LEAST_CORE = 0.01


def _fsync_storm(facts: Facts) -> Iterator[Finding]:
    rows = facts.named(_SYNCS, wait=False)
    count, share = sum(row.calls for row in rows), facts.share(rows)
    if facts.rate(count) < _SYNC_RATE or count < _LEAST_SYNCS or share < _SYNC_SHARE:
        return
    worst = max(rows, key=lambda row: row.total_ns)
    yield Finding(
        "fsync-storm",
        Severity.WARNING,
        Confidence.HIGH,
        f"{number(facts.rate(count))} syncs a second take {percent(share)} of the time in calls that work: "
        f"{worst.name} takes {duration(worst.percentile(50))} in the middle and {duration(worst.max_ns)} at most."
        f"{_most(facts, 'syncs')}",
        "Commit in groups (Redis: appendfsync everysec; PostgreSQL: commit_delay or synchronous_commit; SQLite: WAL), "
        "or use a volume that flushes faster.",
        "A bulk load, or fewer than five a second.",
        (Evidence("syncsPerSecond", facts.rate(count), _SYNC_RATE), Evidence("shareOfWorkingTime", share, _SYNC_SHARE)),
        weight=share,
    )


def _stat_storm(facts: Facts) -> Iterator[Finding]:
    rows = facts.named(_STATS, wait=False)
    count, share = sum(row.calls for row in rows), facts.share(rows)
    same = _share_of_few(facts, "stats")
    if facts.rate(count) < _STAT_RATE or share < _STAT_SHARE or same < _SAME_SHARE:
        return
    failed = sum(row.errors for row in rows)
    yield Finding(
        "stat-storm",
        _severity(facts, rows),
        Confidence.MEDIUM,
        f"{number(facts.rate(count))} questions a second about files ({_top(rows)}) take {percent(share)} of the "
        f"time in calls that work; {percent(failed / count)} of them fail.{_most(facts, 'stats')}",
        "Cache the answers (PHP: realpath cache and opcache.validate_timestamps=0; nginx: open_file_cache; "
        "/etc/localtime: set TZ=:/etc/localtime).",
        "A backup, a file watcher, find, a build.",
        (
            Evidence("callsPerSecond", facts.rate(count), _STAT_RATE),
            Evidence("shareOfWorkingTime", share, _STAT_SHARE),
            Evidence("shareOfFiftyPaths", same, _SAME_SHARE),
        ),
        weight=share,
    )


def _small_io(facts: Facts) -> Iterator[Finding]:
    """Calls that slept are left out: sockets and pipes hand out what has come."""
    for names, word, advice in (
        (_READS, "read", "Read into a buffer of 4 KiB or more (BufferedReader, bufio, setvbuf)."),
        (_WRITES, "write", "Write through a buffer, and let the logger buffer lines."),
    ):
        rows = [row for row in facts.named(names, wait=False) if row.calls > row.errors]
        count, moved = sum(row.calls - row.errors for row in rows), sum(row.bytes for row in rows)
        share = facts.share(rows)
        if not count or facts.rate(count) < _SMALL_RATE or share < _SMALL_SHARE or moved / count >= _SMALL_BYTES:
            continue
        yield Finding(
            "small-io",
            _severity(facts, rows),
            Confidence.LOW,
            f"{number(facts.rate(count))} {word}s a second move {_mean(moved, count)} each and take {percent(share)} "
            f"of the time in calls that work.{_most(facts, f'{word}s')}",
            advice,
            "Sockets and pipes that bring little at a time, or random access.",
            (
                Evidence(f"{word}sPerSecond", facts.rate(count), _SMALL_RATE),
                Evidence("meanBytes", moved / count, _SMALL_BYTES),
                Evidence("shareOfWorkingTime", share, _SMALL_SHARE),
            ),
            weight=share,
        )


def _mean(moved: int, count: int) -> str:
    mean = moved / count
    return f"{mean:.1f} bytes" if mean < 10 else size(int(mean))


def _clock_in_kernel(facts: Facts) -> Iterator[Finding]:
    rows = facts.named(_CLOCKS)
    count = sum(row.calls for row in rows)
    if facts.rate(count) < _CLOCK_RATE:
        return
    yield Finding(
        "clock-in-kernel",
        _severity(facts, rows),
        Confidence.MEDIUM,
        f"{number(facts.rate(count))} questions a second for the time enter the kernel ({_top(rows)}), "
        f"{percent(facts.share(rows))} of the time in calls that work: where the clock can be read "
        "without a system call they need none.",
        "Look at the node's clock source (tsc or kvm-clock, not xen or hpet), and at 32-bit or emulated programs.",
        "Clocks of CPU time always enter the kernel.",
        (Evidence("callsPerSecond", facts.rate(count), _CLOCK_RATE),),
        weight=facts.share(rows),
    )


def _process_churn(facts: Facts) -> Iterator[Finding]:
    rows = facts.named(_EXECS)
    count = sum(row.calls - row.errors for row in rows)
    if facts.rate(count) < _EXEC_RATE or count < _LEAST_EXECS:
        return
    yield Finding(
        "process-churn",
        Severity.WARNING,
        Confidence.MEDIUM,
        f"{number(facts.rate(count))} programs a second are executed: {count:,} in {facts.seconds:.0f} s.",
        "Use a library instead of a command; turn exec probes into httpGet or grpc probes.",
        "A build, or a shell script that is the job.",
        (Evidence("programsPerSecond", facts.rate(count), _EXEC_RATE),),
        weight=facts.share(rows),
    )


def _severity(facts: Facts, rows: Sequence[SyscallRow]) -> Severity:
    """A storm that costs next to no time is information."""
    seconds = sum(row.total_ns for row in rows) / 1e9
    return Severity.WARNING if facts.rate(seconds) >= _LEAST_CORE else Severity.INFO


def _most(facts: Facts, what: str) -> str:
    """Name the file that has the most of it, where files were counted."""
    paths: Sequence[Mapping[str, Any]] = facts.status.get("files", {}).get("paths", ())
    first = max(paths, key=lambda row: row[what], default=None)
    if first is None or not first[what]:
        return ""
    total = sum(row[what] for row in paths)
    return f" {percent(first[what] / total)} of the {what} that have a path: {first['path']}."


def _share_of_few(facts: Facts, what: str) -> float:
    """Return the share of the few paths that have the most of it."""
    files = facts.status.get("files", {})
    counts = sorted((row[what] for row in files.get("paths", ())), reverse=True)
    total = sum(counts) + files.get("otherPaths", {}).get(what, 0)
    return float(sum(counts[:_FEW_PATHS]) / total) if total else 0.0


def _top(rows: Sequence[SyscallRow]) -> str:
    return ", ".join(row.name for row in sorted(rows, key=lambda row: -row.calls)[:2])


RULES = (
    Rule(
        "fsync-storm",
        _fsync_storm,
        compares=True,
        about="10 syncs a second or more, and 20 or more, take 20 % or more of the time in calls that work.",
        source="a commit of 1 to 20 ms holds up its writer",
    ),
    Rule(
        "stat-storm",
        _stat_storm,
        needs=("files",),
        compares=True,
        about="1,000 stats a second or more, 80 % of them of the same 50 paths, take 5 % of the working time or more.",
        source="PHP without realpath cache: 40,815 lstat against 1,092",
    ),
    Rule(
        "small-io",
        _small_io,
        compares=True,
        about="1,000 reads or writes a second or more move less than 1 KiB each and take 5 % of the working time.",
        source="a call costs 0.2 to 1 us whatever it moves",
    ),
    Rule(
        "clock-in-kernel",
        _clock_in_kernel,
        about="1,000 questions for the time a second or more are system calls.",
        source="the vDSO answers without a call where the clock source allows it",
    ),
    Rule(
        "process-churn",
        _process_churn,
        about="10 programs a second or more are executed, and 100 or more.",
        source="an exec costs 1 ms of CPU",
    ),
)
