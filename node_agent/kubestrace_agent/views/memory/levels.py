"""How much memory processes have, from /proc/PID/status. Used by kernel.py."""

from collections.abc import Iterable
from pathlib import Path

from kubestrace_agent.containers import procfs
from kubestrace_agent.views.memory.values import Levels

# Of one container at one reading: each takes some 30 us.
MAX_PROCESSES = 500
_FIELDS = (b"RssAnon", b"RssFile", b"RssShmem", b"VmSwap", b"VmSize", b"VmPTE")


def read(pids: Iterable[int], proc: Path = Path("/proc")) -> Levels:
    """Add up the levels of processes; those that have ended meanwhile are unread."""
    pids = list(pids)
    sums, found = [0] * len(_FIELDS), 0
    for pid in pids[:MAX_PROCESSES]:
        try:
            status = procfs.fields((proc / str(pid) / "status").read_bytes())
            numbers = [1024 * int(status[name].split()[0]) for name in _FIELDS]
        except (OSError, KeyError):  # it has ended, or has given its memory back
            continue
        sums = [total + number for total, number in zip(sums, numbers, strict=True)]
        found += 1
    anon, file, shared, swap, virtual, page_tables = sums
    return Levels(found, anon, file, shared, swap, virtual, page_tables, len(pids) - found)
