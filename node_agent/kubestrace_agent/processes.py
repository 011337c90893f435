"""Processes as the host and as their container see them, read from the host's /proc.

Used by containers. Everything may end between two reads: what is gone is None, never an error.
"""

from __future__ import annotations

import os
from pathlib import Path

# A container's first process is sought among this many: systemd in a container nests, but not without end.
_MAX_PROCESSES = 10_000


def unified_path(text: str) -> str | None:
    """Take the v2 path (the line `0::`) out of /proc/<pid>/cgroup.

    It is relative to the reader's cgroup namespace and begins with /.. for whatever lies outside that.
    """
    for line in text.splitlines():
        if line.startswith("0::/"):
            return line[3:].removesuffix(" (deleted)")
    return None


def cgroup_path(proc: Path, pid: int) -> str | None:
    """Give the cgroup v2 path of a process, see unified_path."""
    text = _read(proc / str(pid) / "cgroup")
    return unified_path(text) if text else None


def pid_in_container(proc: Path, pid: int) -> int:
    """Give the pid that a process has in its own, innermost pid namespace; 0 when it is gone."""
    for line in (_read(proc / str(pid) / "status") or "").splitlines():
        if line.startswith("NSpid:"):
            return int(line.split()[-1])
    return 0


def start_time_unix_ns(proc: Path, pid: int) -> int:
    """Give when a process started, to 10 ms (the clock tick of /proc); 0 when it is gone."""
    ticks = _start_ticks(proc, pid)
    boot = next((line for line in (_read(proc / "stat") or "").splitlines() if line.startswith("btime ")), None)
    if ticks is None or boot is None:
        return 0
    return int(boot.split()[1]) * 10**9 + ticks * 10**9 // os.sysconf("SC_CLK_TCK")


def first_process(proc: Path, cgroup: Path) -> int:
    """Find a container's first process: pid 1 of its namespace, else the oldest; 0 when it has none."""
    pids = _pids_below(cgroup)
    return next(
        (pid for pid in pids if pid_in_container(proc, pid) == 1),
        min(pids, key=lambda pid: (_start_ticks(proc, pid) or 2**63, pid), default=0),
    )


def _pids_below(cgroup: Path) -> list[int]:
    """List the processes of a cgroup and of those below it; 0 stands for one outside the reader's pid namespace."""
    pids: list[int] = []
    for directory, _, _ in os.walk(cgroup):
        text = _read(Path(directory) / "cgroup.procs") or ""
        pids += [int(pid) for pid in text.split() if pid != "0"]
        if len(pids) >= _MAX_PROCESSES:
            break
    return pids


def _start_ticks(proc: Path, pid: int) -> int | None:
    text = _read(proc / str(pid) / "stat")
    # Field 22, starttime; the name before it stands in brackets and may hold anything, brackets and spaces too.
    return int(text.rpartition(")")[2].split()[19]) if text else None


def _read(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return None
