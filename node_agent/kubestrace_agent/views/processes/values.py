"""What processes did, as the kernel reported it. Made by kernel.py, used by the collector."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from kubestrace_agent.syscalls import SyscallKey


class Used(NamedTuple):
    """Calls of one kind that a thread made since it was read last."""

    key: SyscallKey
    calls: int
    errors: int
    total_ns: int


@dataclass(frozen=True, slots=True)
class RawThread:
    """What one thread did since it was read last. Times are CLOCK_MONOTONIC, PIDs as in RawCall."""

    # Its own, while the view goes on.
    id: tuple[int, int]
    # With `start_ns` those of the process: PIDs come back.
    pid: int
    start_ns: int
    tid: int
    inner_tid: int
    inner_pid: int
    inner_parent: int
    # Of the thread, of the process's first one; the last name of the executable's path; argv[0].
    name: bytes
    process: bytes
    file: bytes
    argument: bytes
    used: Sequence[Used] = ()
    # When it ended; 0 while it lives.
    told_ns: int = 0
    ended: bool = False
    # It was the last one.
    process_ended: bool = False
    # How the process ends, as wait(2) has it; None: not known yet.
    status: int | None = None


@dataclass(frozen=True, slots=True)
class RawExec:
    """A program that a process began to execute."""

    time_ns: int
    pid: int
    start_ns: int
    inner_pid: int
    inner_parent: int
    # argv[0], and the path as the program's file was named.
    argument: bytes
    path: bytes


@dataclass(slots=True)
class RawProcesses:
    """What the processes of a slot did since they were read last."""

    threads: list[RawThread] = field(default_factory=list)
    execs: list[RawExec] = field(default_factory=list)
    # Since the slot wants the view.
    lost_execs: int = 0
