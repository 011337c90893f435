"""Processes as the host and as their container see them, read from the host's /proc.

Used by containers. Everything may end between two reads: what is gone, or closed to us, is None and no error. What
cannot be read for another reason, such as too many open files, is an OSError: nobody must take it for ended.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

# A process, a cgroup or a folder that has ended: its path leads nowhere, or what was opened is no more.
GONE = frozenset({errno.ENOENT, errno.ENODEV, errno.ESRCH, errno.ENOTDIR})
_CLOSED = frozenset({errno.EACCES, errno.EPERM, errno.EOPNOTSUPP})
# linux/sched.h: PF_KTHREAD, and PF_IO_WORKER for io_uring's threads in a process.
_KERNEL_THREADS = 0x00200000 | 0x00000010
# A container's first process is sought among this many: systemd in a container nests, but not without end.
_MAX_PROCESSES = 10_000


def fields(status: bytes) -> dict[bytes, bytes]:
    """Take apart /proc/<pid>/status: what stands behind each `Key:`.

    Lines end with a newline and with nothing else: a process chooses its Name, and of all bytes the kernel escapes
    only newline and backslash there.
    """
    lines = (line.partition(b":") for line in status.split(b"\n"))
    return {key: value.strip() for key, _, value in lines if key}


def unified_path(text: bytes) -> str | None:
    """Take the v2 path (the line `0::`) out of /proc/<pid>/cgroup.

    It is relative to the reader's cgroup namespace and begins with /.. for whatever lies outside that. Who may make
    cgroups may put any byte but a newline into their names.
    """
    for line in text.split(b"\n"):
        if line.startswith(b"0::/"):
            return os.fsdecode(line[3:].removesuffix(b" (deleted)"))
    return None


def cgroup_path(proc: Path, pid: int) -> str | None:
    """Give the cgroup v2 path of a process, see unified_path."""
    text = _read(proc / str(pid) / "cgroup")
    return unified_path(text) if text else None


def pid_in_container(proc: Path, pid: int) -> int:
    """Give the pid that a process has in its own, innermost pid namespace; 0 when it is gone."""
    seen = fields(_read(proc / str(pid) / "status") or b"").get(b"NSpid")
    return int(seen.split()[-1]) if seen else 0


def start_time_unix_ns(proc: Path, pid: int) -> int:
    """Give when a process started, to 10 ms (the clock tick of /proc); 0 when it is gone."""
    ticks = start_ticks(proc, pid)
    lines = (_read(proc / "stat") or b"").split(b"\n")
    boot = next((line for line in lines if line.startswith(b"btime ")), None)
    if ticks is None or boot is None:
        return 0
    return int(boot.split()[1]) * 10**9 + ticks * 10**9 // os.sysconf("SC_CLK_TCK")


def start_ticks(proc: Path, pid: int) -> int | None:
    """Give when a process started, in clock ticks since boot: with its pid, who it is; None when it is gone."""
    text = _read(proc / str(pid) / "stat")
    # Field 22, starttime.
    return int(_behind_name(text)[19]) if text else None


def memory_shape(statm: str) -> tuple[str, str, str]:
    """Take out of /proc/<pid>/statm how much is mapped, in pages: in all, of the program's own code, and writable."""
    size, _, _, text, _, data, *_ = statm.split()
    return size, text, data


def threads(proc: Path, pid: int) -> list[Path]:
    """List the folders of a process's threads; none when it is gone."""
    try:
        return list((proc / str(pid) / "task").iterdir())
    except OSError as error:
        if error.errno in GONE or error.errno in _CLOSED:
            return []
        raise


def is_of_kernel(task: Path) -> bool:
    """Tell whether the kernel made this process or thread (a folder of /proc) for itself: it makes no system calls."""
    text = _read(task / "stat")
    # Field 9, flags.
    return bool(text and int(_behind_name(text)[6]) & _KERNEL_THREADS)


def first_process(proc: Path, cgroup: Path) -> int:
    """Find a container's first process: pid 1 of its namespace, else the oldest; 0 when it has none."""
    pids = _pids_below(cgroup)
    return next(
        (pid for pid in pids if pid_in_container(proc, pid) == 1),
        min(pids, key=lambda pid: (start_ticks(proc, pid) or 2**63, pid), default=0),
    )


def _pids_below(cgroup: Path) -> list[int]:
    """List the processes of a cgroup and of those below it; 0 stands for one outside the reader's pid namespace."""
    pids: list[int] = []
    for directory, _, _ in os.walk(cgroup):
        text = _read(Path(directory) / "cgroup.procs") or b""
        pids += [int(pid) for pid in text.split() if pid != b"0"]
        if len(pids) >= _MAX_PROCESSES:
            break
    return pids


def _behind_name(stat: bytes) -> list[bytes]:
    """Split /proc/<pid>/stat from field 3 on: the name before it is in brackets, and may hold brackets and spaces."""
    return stat.rpartition(b")")[2].split()


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError as error:
        if error.errno in GONE or error.errno in _CLOSED:
            return None
        raise
