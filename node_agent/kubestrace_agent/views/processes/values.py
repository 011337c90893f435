"""What processes did, as the kernel reported it. Made by kernel.py, used by the collector."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from kubestrace_agent.kernel.maps.headers import header
from kubestrace_agent.syscalls import SyscallKey

_HEADER = header("kernel/bpf/origins.h")


class Origin(enum.IntEnum):
    """Where a process comes from, as its parent shows."""

    INSIDE = _HEADER.number("FROM_INSIDE")
    # From outside of the container, which has a first process of its own.
    OUTSIDE = _HEADER.number("FROM_OUTSIDE")
    # From outside; it may be the container's first one.
    OUTSIDE_OR_FIRST = _HEADER.number("FROM_OUTSIDE_OR_FIRST")


class Wants(NamedTuple):
    """What a slot is asked for beside the calls."""

    # 0: no command lines; else it changes with each session that begins to ask for them.
    words: int = 0


class Words(NamedTuple):
    """A command line, as /proc/PID/cmdline has it: as much as was read, and how long all of it is."""

    text: bytes
    bytes: int


class Used(NamedTuple):
    """Calls of one kind that a thread made since it was read last."""

    key: SyscallKey
    calls: int
    errors: int
    total_ns: int
    # By seccomp: errors among the calls, and nothing began.
    denied: int = 0


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
    # Counts up with each program that the process executes; what it did before an exec is another image's.
    image: int = 0
    # It has executed another program.
    image_ended: bool = False
    # When the agent first knew it.
    begun_ns: int = 0
    # The parent, as the host numbers it.
    parent: int = 0
    origin: Origin = Origin.INSIDE
    # As they were when this image was first seen.
    first_name: bytes = b""
    first_process: bytes = b""
    # What stands in the place of argv[0] by now, and when that was read.
    title: bytes = b""
    title_ns: int = 0
    # Of the executable: it was deleted; it never had a place in a folder, as a memfd.
    deleted: bool = False
    detached: bool = False
    # The call for which seccomp has ended the process, and whether the kernel did so to free memory.
    killed_for: SyscallKey | None = None
    out_of_memory: bool = False


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
    image: int = 1
    # The last name of the file that is executed.
    file: bytes = b""
    deleted: bool = False
    detached: bool = False
    words: Words | None = None


@dataclass(frozen=True, slots=True)
class RawWords:
    """The command line of a process that was not seen to execute its program."""

    pid: int
    start_ns: int
    image: int
    words: Words


@dataclass(slots=True)
class RawProcesses:
    """What the processes of a slot did since they were read last."""

    threads: list[RawThread] = field(default_factory=list)
    execs: list[RawExec] = field(default_factory=list)
    words: list[RawWords] = field(default_factory=list)
    # Since the slot wants the view.
    lost_execs: int = 0
