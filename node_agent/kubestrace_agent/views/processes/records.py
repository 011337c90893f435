"""One process's calls, threads and executed programs, and how the wire carries them. Pure; used by collector.

Everything that a container controls (names, paths) is made safe to print here.
"""

from __future__ import annotations

import heapq
import os
import platform
import signal
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kubestrace_agent.kernel.maps.headers import header
from kubestrace_agent.syscalls import name
from kubestrace_agent.text import safe
from kubestrace_protos.v1.views import processes_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kubestrace_agent.syscalls import SyscallKey
    from kubestrace_agent.views.processes.values import RawThread, Used

# Of one process.
_SYSCALLS = 5
_THREADS = 3
_EXECS = 5
# Threads of one process that have ended and are kept apart.
_ENDED_THREADS = 64
# Of texts that are read with a NUL: one that fills its room may have been longer, and is shown a byte shorter, with
# `...` behind it.
_MAX_COMMAND, _MAX_FILE, _MAX_PATH = (
    header("views/processes/processes.h").number(f"{room}_BYTES") - 2 for room in ("ARGUMENT", "FILE", "PATH")
)
_MAX_NAME = 64
# The kernel's SIGRTMIN (asm/signal.h), which is not that of the C library: it keeps two for itself.
_REAL_TIME = 32


@dataclass(slots=True)
class Sums:
    """Calls of a process, a thread, or of many."""

    calls: int = 0
    errors: int = 0
    work_ns: int = 0
    wait_ns: int = 0

    def count(self, used: Used, *, waits: bool) -> None:
        """Add calls of one kind."""
        self.calls += used.calls
        self.errors += used.errors
        if waits:
            self.wait_ns += used.total_ns
        else:
            self.work_ns += used.total_ns

    def add(self, more: Sums) -> None:
        """Add all of another."""
        self.calls += more.calls
        self.errors += more.errors
        self.work_ns += more.work_ns
        self.wait_ns += more.wait_ns

    def order(self) -> tuple[int, int, int]:
        """The more, the more it is worth showing."""
        return self.work_ns, self.wait_ns, self.calls

    def message(self) -> processes_pb2.CallSums:
        """Give it as the wire carries it."""
        return processes_pb2.CallSums(
            calls=self.calls, errors=self.errors, total_nanoseconds=self.work_ns, wait_nanoseconds=self.wait_ns
        )


@dataclass(slots=True)
class Thread:
    """One thread that made calls."""

    tid: int
    host_tid: int
    name: bytes
    ended: bool = False
    sums: Sums = field(default_factory=Sums)


@dataclass(slots=True)
class Process:
    """One process; `host_pid` and `start_ns` (CLOCK_MONOTONIC) say which, as PIDs come back."""

    host_pid: int
    start_ns: int
    pid: int
    parent_pid: int
    command: bytes = b""
    file: bytes = b""
    path: bytes = b""
    ended_ns: int = 0
    status: int | None = None
    sums: Sums = field(default_factory=Sums)
    by_call: dict[SyscallKey, list[int]] = field(default_factory=dict)
    threads_seen: int = 0
    threads: dict[tuple[int, int], Thread] = field(default_factory=dict)
    execs_seen: int = 0
    execs: deque[tuple[int, bytes, bytes]] = field(default_factory=lambda: deque(maxlen=_EXECS))

    @property
    def has_ended(self) -> bool:
        """Whether it is known to have ended, or none of its threads is known to live."""
        return bool(self.ended_ns) or all(thread.ended for thread in self.threads.values())

    def take_calls(self, used: Iterable[Used]) -> None:
        """Add calls by their kind."""
        for each in used:
            counts = self.by_call.setdefault(each.key, [0, 0, 0])
            for position, more in enumerate(each[1:]):
                counts[position] += more

    def take_thread(self, reported: RawThread, sums: Sums) -> None:
        """Add what one thread did; of many that have ended the busiest are kept apart."""
        thread = self.threads.get(reported.id)
        if thread is None:
            self.threads_seen += 1
            thread = self.threads[reported.id] = Thread(reported.inner_tid, reported.tid, reported.name)
        thread.name = reported.name or thread.name
        thread.ended = reported.ended
        thread.sums.add(sums)
        if len(self.threads) > 2 * _ENDED_THREADS:
            ended = [(key, each) for key, each in self.threads.items() if each.ended]
            for key, _ in heapq.nsmallest(len(ended) - _ENDED_THREADS, ended, key=lambda each: each[1].sums.order()):
                del self.threads[key]

    def message(self, unix_minus_monotonic_ns: int, begun_ns: int) -> processes_pb2.Process:
        """Give it as the wire carries it; its life began at `begun_ns` (CLOCK_MONOTONIC)."""
        message = processes_pb2.Process(
            pid=self.pid,
            parent_pid=self.parent_pid,
            host_pid=self.host_pid,
            start_time_unix_nanoseconds=begun_ns + unix_minus_monotonic_ns,
            command=safe(self.command, _MAX_COMMAND),
            executable=safe(self.path, _MAX_PATH) or safe(self.file, _MAX_FILE),
            lifetime_nanoseconds=self.ended_ns and max(1, self.ended_ns - begun_ns),
            sums=self.sums.message(),
            threads=self.threads_seen,
            execs_seen=self.execs_seen,
            execs=[
                processes_pb2.Exec(
                    time_unix_nanoseconds=time_ns + unix_minus_monotonic_ns,
                    command=safe(command, _MAX_COMMAND),
                    executable=safe(path, _MAX_PATH),
                )
                for time_ns, command, path in self.execs
            ],
            syscalls=_syscalls(self.by_call),
            busiest_threads=_threads(self.threads.values()),
        )
        if self.ended_ns and self.status is not None:
            _write_status(message, self.status)
        return message


def _syscalls(by_call: dict[SyscallKey, list[int]]) -> list[processes_pb2.ProcessSyscall]:
    """Calls that work first, as everywhere."""
    messages = [
        processes_pb2.ProcessSyscall(
            name=name(key),
            abi="" if key.abi == platform.machine() else key.abi,
            wait=key.waited,
            calls=calls,
            errors=errors,
            total_nanoseconds=total_ns,
        )
        for key, (calls, errors, total_ns) in by_call.items()
    ]
    messages.sort(key=lambda each: (each.wait, -each.total_nanoseconds, -each.calls, each.name, each.abi))
    return messages[:_SYSCALLS]


def _threads(threads: Iterable[Thread]) -> list[processes_pb2.ProcessThread]:
    busiest = heapq.nlargest(_THREADS, threads, key=lambda each: (*each.sums.order(), -each.host_tid))
    return [
        processes_pb2.ProcessThread(
            tid=each.tid, host_tid=each.host_tid, name=safe(each.name, _MAX_NAME), sums=each.sums.message()
        )
        for each in busiest
    ]


def _write_status(message: processes_pb2.Process, status: int) -> None:
    if os.WIFSIGNALED(status):
        message.signal = _signal(os.WTERMSIG(status))
    else:
        message.exit_code = os.WEXITSTATUS(status)


def _signal(number: int) -> str:
    """Name a signal as strace does; those for real time have numbers."""
    if number < _REAL_TIME:
        return signal.Signals(number).name
    return "SIGRTMIN" if number == _REAL_TIME else f"SIGRT_{number - _REAL_TIME}"
