"""Hardware counters of one cgroup, by perf_event_open(2): one descriptor for each event and CPU.

The kernel turns them on and off as threads of the cgroup get and leave a CPU: nothing is added to a call.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import platform
import struct
from pathlib import Path
from typing import NamedTuple

from kubestrace_protos.v1.views.counters_limits import EVENTS

# Linux include/uapi/linux/perf_event.h: PERF_TYPE_HARDWARE, and its events by their numbers.
_HARDWARE = 0
HARDWARE = {name: (_HARDWARE, number) for number, name in enumerate(EVENTS)}
# PERF_FLAG_PID_CGROUP and PERF_FLAG_FD_CLOEXEC.
_FLAGS = 4 | 8
# struct perf_event_attr up to read_format, and zeros up to PERF_ATTR_SIZE_VER5; then PERF_FORMAT_TOTAL_TIME_ENABLED and
# PERF_FORMAT_TOTAL_TIME_RUNNING.
_ATTRIBUTES = struct.Struct("=IIQQQQ80x")
_TIMES = 1 | 2
_VALUES = struct.Struct("=QQQ")
_ONLINE = Path("/sys/devices/system/cpu/online")
_NUMBERS = {"x86_64": 298, "aarch64": 241}
_REASONS = {
    errno.ENOENT: "this machine has no such counter, as most virtual machines",
    errno.ENODEV: "this machine has no such counter, as most virtual machines",
    errno.EOPNOTSUPP: "this machine has no such counter, as most virtual machines",
    errno.EACCES: "the kernel does not allow it: it takes CAP_PERFMON",
    errno.EPERM: "the kernel does not allow it: it takes CAP_PERFMON",
    errno.EMFILE: "this process has as many files open as it may",
    errno.EBADF: "the container's cgroup is in a hierarchy without perf_event",
}


class Count(NamedTuple):
    """What an event counted, and for how long it was to count and did; times in nanoseconds, summed over CPUs."""

    events: int = 0
    enabled_ns: int = 0
    running_ns: int = 0


class Event:
    """One event of one cgroup, counting since it is there. Raises OSError; `close` it."""

    def __init__(self, cgroup: Path, kind: tuple[int, int]) -> None:
        self._files: list[int] = []
        folder = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for cpu in sorted(_cpus()):
                self._files.append(_open(folder, cpu, kind))
        except BaseException:
            self.close()
            raise
        finally:
            os.close(folder)

    def read(self) -> Count:
        """Return the sums over CPUs."""
        values = [_VALUES.unpack(os.read(file, _VALUES.size)) for file in self._files]
        return Count(*map(sum, zip(*values, strict=True)))

    def close(self) -> None:
        """Stop counting. Idempotent."""
        for file in self._files:
            with contextlib.suppress(OSError):
                os.close(file)
        self._files = []


def reason(error: OSError) -> str:
    """Return in words why an event cannot be had."""
    return _REASONS.get(error.errno or 0, f"perf_event_open: {error.strerror}")


def _cpus() -> set[int]:
    """The CPUs that are online: like 0-3,8."""
    found: set[int] = set()
    for part in _ONLINE.read_text(encoding="ascii").strip().split(","):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found


def _open(folder: int, cpu: int, kind: tuple[int, int]) -> int:
    number = _NUMBERS.get(platform.machine())
    if number is None:
        raise OSError(errno.EOPNOTSUPP, "unknown machine")
    type_, config = kind
    attributes = _ATTRIBUTES.pack(type_, _ATTRIBUTES.size, config, 0, 0, _TIMES)
    arguments = (ctypes.c_long(folder), ctypes.c_long(cpu), ctypes.c_long(-1), ctypes.c_ulong(_FLAGS))
    file: int = ctypes.CDLL(None, use_errno=True).syscall(ctypes.c_long(number), attributes, *arguments)
    if file < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return file
