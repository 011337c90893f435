"""Findings about calls that work: what they cost, and that there are too many of them. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
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
    of_these,
    percent,
)
from kubestrace_operator.results.rows import SyscallRow

# Without sync_file_range: it begins to write, and keeps nobody from losing it.
_SYNCS = ("fsync", "fdatasync", "syncfs", "sync", "msync")
_SYNC_SHARE, _SYNC_RATE = 0.2, 10.0
# Of one file; where each file is synced once, as an installer does, there is nothing to put together.
_SYNC_RATE_OF_ONE = 5.0
_STATS = (
    *("stat", "lstat", "fstatat64", "newfstatat", "stat64", "lstat64", "statx"),
    *("access", "faccessat", "faccessat2", "readlink", "readlinkat"),
)
_STAT_RATE, _STAT_SHARE = 1000.0, 0.2
# Who walks a tree asks once for each file.
_SAME_SHARE, _FEW_PATHS = 0.8, 50
# By the view files, unless it is asked for another number.
_TOLD_PATHS = 30
_READS, _WRITES = ("read", "pread64", "readv", "preadv"), ("write", "pwrite64", "writev", "pwritev")
_SMALL_BYTES, _SMALL_RATE, _SMALL_SHARE = 1024, 1000.0, 0.05
# Busy servers that log each request stay below.
_SMALL_WARNING = 0.5
# Of one file.
_SMALL_RATE_OF_ONE = 100.0
_CLOCKS = ("clock_gettime", "gettimeofday", "time", "clock_gettime64")
_CLOCK_RATE = 1000.0
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
        Severity.WARNING if _syncs_again(facts) else Severity.INFO,
        Confidence.HIGH,
        f"{number(facts.rate(count))} syncs a second take {percent(share)} of the time in calls that work"
        f"{_most(facts, 'syncs', 'of')}. The median {worst.name} takes {duration(worst.percentile(50))}, the longest "
        f"{duration(worst.max_ns)}.",
        "Commit in groups (Redis: appendfsync everysec; PostgreSQL: commit_delay or synchronous_commit; SQLite: WAL), "
        "or use a volume that flushes faster.",
        "A bulk load, or fewer than five a second.",
        (Evidence("syncsPerSecond", facts.rate(count), _SYNC_RATE), Evidence("shareOfWorkingTime", share, _SYNC_SHARE)),
        weight=share,
    )


def _syncs_again(facts: Facts) -> bool:
    """Tell whether one file is synced again and again; where files are not counted that is taken for granted.

    A folder is synced for each file that an installer puts there: it is not written to.
    """
    synced = [row for row in _paths(facts) if row["syncs"]]
    most = max((row["syncs"] for row in [row for row in synced if row["writes"]] or synced), default=0)
    return not _paths(facts) or (facts.rate(most) >= _SYNC_RATE_OF_ONE and most >= _LEAST_SYNCS)


def _stat_storm(facts: Facts) -> Iterator[Finding]:
    rows = facts.named(_STATS, wait=False)
    count, share = sum(row.calls for row in rows), facts.share(rows)
    same = _share_of_few(facts, "stats")
    if facts.rate(count) < _STAT_RATE or share < _STAT_SHARE or same < _SAME_SHARE:
        return
    failed = sum(row.errors for row in rows)
    fail = f"{percent(failed / count)} failed" if 0 < failed < count else "all failed" if failed else "none failed"
    yield Finding(
        "stat-storm",
        _severity(facts, rows),
        Confidence.MEDIUM,
        f"{number(facts.rate(count))} questions a second about files take {percent(share)} of the time in calls that "
        f"work{_most(facts, 'stats', 'about')}. The calls are {_top(rows)}; {fail}.",
        "Cache the answers (PHP: the realpath cache, which open_basedir turns off, and opcache.validate_timestamps=0; "
        "nginx: open_file_cache; /etc/localtime: set TZ=:/etc/localtime).",
        "A backup, a file watcher, find, a build.",
        (
            Evidence("callsPerSecond", facts.rate(count), _STAT_RATE),
            Evidence("shareOfWorkingTime", share, _STAT_SHARE),
            Evidence("shareOfFiftyPaths", same, _SAME_SHARE),
        ),
        weight=share,
    )


def _small_io(facts: Facts) -> Iterator[Finding]:
    """By file: sockets, pipes and event counters hand out what has come, and many small files are no small reads."""
    for names, word, moved, advice in (
        (_READS, "read", "readBytes", "Read into a buffer of 4 KiB or more (BufferedReader, bufio, setvbuf)."),
        (_WRITES, "write", "writeBytes", "Write through a buffer, and let the logger buffer lines."),
    ):
        rows = facts.named(names, wait=False)
        calls, total_ns = sum(row.calls for row in rows), sum(row.total_ns for row in rows)
        files = [row for row in _paths(facts) if _is_small(facts, row[f"{word}s"], row[moved])]
        count = sum(row[f"{word}s"] for row in files)
        if not calls or facts.rate(count) < _SMALL_RATE:
            continue
        most = max(files, key=itemgetter(f"{word}s"))
        # A file has one time for all that is done with it.
        time_ns = min(sum(row["totalNanoseconds"] for row in files), total_ns * count / calls)
        share = time_ns / facts.working_ns if facts.working_ns else 0.0
        if share < _SMALL_SHARE:
            continue
        yield Finding(
            "small-io",
            Severity.WARNING if share >= _SMALL_WARNING and facts.rate(time_ns / 1e9) >= _LEAST_CORE else Severity.INFO,
            Confidence.MEDIUM,
            f"{number(facts.rate(count))} {word}s a second move {_mean(sum(row[moved] for row in files), count)} each "
            f"and take {percent(share)} of the time in calls that work: {_named(most['path'], len(files))}.",
            advice,
            "Random access, or lines of a log that must not wait.",
            (
                Evidence(f"{word}sPerSecond", facts.rate(count), _SMALL_RATE),
                Evidence("meanBytes", sum(row[moved] for row in files) / count, _SMALL_BYTES),
                Evidence("shareOfWorkingTime", share, _SMALL_SHARE),
            ),
            weight=share,
        )


def _is_small(facts: Facts, count: int, moved: int) -> bool:
    """Tell whether a file is read or written often, and a little at a time; a few small files are none."""
    return facts.rate(count) >= _SMALL_RATE_OF_ONE and moved / count < _SMALL_BYTES


def _named(path: str, files: int) -> str:
    return path if files == 1 else f"{path} and {many(files - 1, 'other file')}"


def _paths(facts: Facts) -> list[Mapping[str, Any]]:
    """Return the files that have a path."""
    return [row for row in facts.status.get("files", {}).get("paths", ()) if row["path"].startswith("/")]


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
        f"{percent(facts.share(rows))} of the time in calls that work. Most clocks are read without a system call.",
        "Look at the node's clock source (tsc or kvm-clock, not xen or hpet), and at 32-bit or emulated programs.",
        "Clocks of CPU time always enter the kernel.",
        (Evidence("callsPerSecond", facts.rate(count), _CLOCK_RATE),),
        weight=facts.share(rows),
    )


def _severity(facts: Facts, rows: Sequence[SyscallRow]) -> Severity:
    """A storm that costs next to no time is information."""
    seconds = sum(row.total_ns for row in rows) / 1e9
    return Severity.WARNING if facts.rate(seconds) >= _LEAST_CORE else Severity.INFO


def _most(facts: Facts, what: str, word: str) -> str:
    """Name the file that has the most of it, where files were counted."""
    paths = _paths(facts)
    first = max(paths, key=lambda row: row[what], default=None)
    if first is None or not first[what]:
        return ""
    total = sum(row[what] for row in paths) + _others(facts, what)
    share = of_these(first[what], total).replace("these", "them")
    return f", {share[0].lower()}{share[1:]} {word} {first['path']}"


def _others(facts: Facts, what: str) -> int:
    """Return what the files that are not told one by one have of it."""
    found: int = facts.status.get("files", {}).get("otherPaths", {}).get(what, 0)
    return found


def _share_of_few(facts: Facts, what: str) -> float:
    """Return the share of the few paths that have the most of it."""
    counts = sorted((row[what] for row in facts.status.get("files", {}).get("paths", ())), reverse=True)
    total = sum(counts) + _others(facts, what)
    # Where fewer than fifty are told one by one the next ones would have as many.
    told = min(max(len(counts), _TOLD_PATHS), _FEW_PATHS)
    return min(1.0, sum(counts[:told]) / total * _FEW_PATHS / told) if total else 0.0


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
        about="1,000 stats a second or more, 80 % of them of the same 50 paths, take 20 % of the working time or more.",
        source="PHP without realpath cache: 40,815 lstat against 1,092",
    ),
    Rule(
        "small-io",
        _small_io,
        needs=("files",),
        compares=True,
        about="1,000 reads or writes a second or more of one file move less than 1 KiB each and take 5 % of the "
        "working time: a warning from 50 % on.",
        source="a call costs 0.2 to 1 us whatever it moves",
    ),
    Rule(
        "clock-in-kernel",
        _clock_in_kernel,
        about="1,000 questions for the time a second or more are system calls.",
        source="the vDSO answers without a call where the clock source allows it",
    ),
)
