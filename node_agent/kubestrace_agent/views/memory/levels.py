"""How much memory processes have, from /proc/PID/status. Used by kernel.py."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from kubestrace_agent.views.memory.values import Levels

# Of one container at one reading: each takes some 30 us.
MAX_PROCESSES = 500
_FIELDS = (b"RssAnon", b"RssFile", b"RssShmem", b"VmSwap", b"VmSize", b"VmPTE")
# Lines end with a newline and with nothing else: the kernel escapes those of a program's name.
_LINE = re.compile(rb"^(%s):\s*(\d+)" % b"|".join(_FIELDS), re.MULTILINE)
_BYTES = 1 << 16


def read(pids: Iterable[int], proc: Path = Path("/proc")) -> Levels:
    """Add up the levels of processes; those that have ended meanwhile are unread."""
    pids = list(pids)
    sums, found = [0] * len(_FIELDS), 0
    for pid in pids[:MAX_PROCESSES]:
        numbers = dict(_LINE.findall(_status(proc, pid)))
        if len(numbers) < len(_FIELDS):  # it has ended, or has given its memory back
            continue
        sums = [total + 1024 * int(numbers[name]) for total, name in zip(sums, _FIELDS, strict=True)]
        found += 1
    anon, file, shared, swap, virtual, page_tables = sums
    return Levels(found, anon, file, shared, swap, virtual, page_tables, len(pids) - found)


def _status(proc: Path, pid: int) -> bytes:
    try:
        file = os.open(f"{proc}/{pid}/status", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(file, _BYTES)
    except OSError:
        return b""
    finally:
        os.close(file)
