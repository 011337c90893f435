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
from kubestrace_agent.views.processes.arguments import arguments, redacted
from kubestrace_agent.views.redaction import DEFAULT
from kubestrace_agent.views.secret_words import HIDDEN
from kubestrace_protos.v1.views import processes_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kubestrace_agent.syscalls import SyscallKey
    from kubestrace_agent.views.processes.values import RawExec, RawThread, Used, Words
    from kubestrace_agent.views.redaction import Redaction

# Of one process.
_SYSCALLS = 5
_EXECS = 5
# Threads of one process that have ended and are kept apart.
_ENDED_THREADS = 64
# Of texts that are read with a NUL: one that fills its room may have been longer, and is shown a byte shorter, with
# `...` behind it.
_MAX_COMMAND, _MAX_FILE, _MAX_PATH, _MAX_TITLE = (
    header("views/processes/processes.h").number(f"{room}_BYTES") - 2 for room in ("ARGUMENT", "FILE", "PATH", "TITLE")
)
_MAX_NAME = 64
# The kernel's TASK_COMM_LEN without its NUL.
_NAME_BYTES = 15
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

    def subtract(self, less: Sums) -> None:
        """Take a part of it away."""
        self.calls -= less.calls
        self.errors -= less.errors
        self.work_ns -= less.work_ns
        self.wait_ns -= less.wait_ns

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
    first_name: bytes
    ended: bool = False
    sums: Sums = field(default_factory=Sums)


@dataclass(frozen=True, slots=True)
class Executed:
    """A program that a process began to execute. The time is CLOCK_MONOTONIC."""

    time_ns: int
    command: bytes
    executable: str

    @classmethod
    def of(cls, reported: RawExec, redaction: Redaction = DEFAULT) -> Executed:
        """Return it as it is shown."""
        return cls(
            reported.time_ns,
            reported.argument,
            executable(reported.path, reported.file, redaction, deleted=reported.deleted, detached=reported.detached),
        )


@dataclass(slots=True)
class Process:
    """One process between two execs; `host_pid`, `start_ns` (CLOCK_MONOTONIC) and `image_id` say which."""

    host_pid: int
    start_ns: int
    image_id: int
    pid: int
    parent_pid: int
    # What is not shown of it.
    redaction: Redaction = DEFAULT
    # Counted from what the process was at first.
    image: int = 0
    command: bytes = b""
    file: bytes = b""
    path: bytes = b""
    deleted: bool = False
    detached: bool = False
    # Of the first thread: as it was, and as it is.
    first_name: bytes = b""
    name: bytes = b""
    title: bytes = b""
    title_ns: int = 0
    words: Words | None = None
    # When this image began, where that is known: by an exec.
    executed_ns: int = 0
    ended_ns: int = 0
    # What it executed then.
    became: str | None = None
    status: int | None = None
    killed_for: SyscallKey | None = None
    out_of_memory: bool = False
    # It had ended when it was looked at last.
    settled: bool = False
    sums: Sums = field(default_factory=Sums)
    by_call: dict[SyscallKey, list[int]] = field(default_factory=dict)
    threads_seen: int = 0
    threads: dict[tuple[int, int], Thread] = field(default_factory=dict)
    execs_seen: int = 0
    execs: deque[Executed] = field(default_factory=lambda: deque(maxlen=_EXECS))
    _first_seen_ns: int = 0

    @property
    def has_ended(self) -> bool:
        """Whether it is known to have ended, or none of its threads is known to live."""
        return bool(self.ended_ns) or self.became is not None or all(thread.ended for thread in self.threads.values())

    @property
    def lives(self) -> bool:
        """Whether nothing says that it has ended."""
        return not (self.threads or self.ended_ns or self.became is not None) or not self.has_ended

    @property
    def executed(self) -> bool:
        """Whether it began with an exec that was seen."""
        return bool(self.executed_ns)

    def take_exec(self, reported: RawExec) -> None:
        """Begin with a program that was executed."""
        self.command = reported.argument or reported.path.rpartition(b"/")[2]
        self.path, self.file = reported.path, reported.file
        self.deleted, self.detached = reported.deleted, reported.detached
        self.executed_ns = reported.time_ns
        self.execs_seen += 1
        self.execs.append(Executed.of(reported, self.redaction))

    def become(self, after: Process) -> None:
        """End with the exec that began another image."""
        if after.executed:
            self.became, self.ended_ns = after.execs[-1].executable, after.executed_ns
        else:
            self.became = self.became or ""

    def describe(self, reported: RawThread) -> None:
        """Take who it is, and how it ended."""
        if not self._first_seen_ns or reported.begun_ns < self._first_seen_ns:
            self._first_seen_ns = reported.begun_ns
            self.first_name = reported.first_process or reported.process
        self.command = self.command or reported.argument or reported.process
        self.name = reported.process or self.name
        # Of an exec more of the name is known.
        self.file = self.file or reported.file
        self.deleted = self.deleted or reported.deleted
        self.detached = self.detached or reported.detached
        if reported.title_ns > self.title_ns:
            self.title, self.title_ns = reported.title, reported.title_ns
        self.status = self.status if reported.status is None else reported.status
        self.killed_for = reported.killed_for or self.killed_for
        self.out_of_memory = self.out_of_memory or reported.out_of_memory
        if reported.process_ended:
            self.ended_ns = reported.told_ns

    def take_calls(self, used: Iterable[Used]) -> None:
        """Add calls by their kind."""
        for each in used:
            counts = self.by_call.setdefault(each.key, [0, 0, 0, 0])
            for position, more in enumerate(each[1:]):
                counts[position] += more

    def take_thread(self, reported: RawThread, sums: Sums, keep: int) -> None:
        """Add what one thread did; of many that have ended the busiest are kept apart, `keep` or more."""
        thread = self.threads.get(reported.id)
        if thread is None:
            self.threads_seen += 1
            first = reported.first_name or reported.name
            thread = self.threads[reported.id] = Thread(reported.inner_tid, reported.tid, reported.name, first)
        thread.name = reported.name or thread.name
        thread.ended = reported.ended
        thread.sums.add(sums)
        keep = max(keep, _ENDED_THREADS)
        if len(self.threads) > 2 * keep:
            ended = [(key, each) for key, each in self.threads.items() if each.ended]
            for key, _ in heapq.nsmallest(len(ended) - keep, ended, key=lambda each: each[1].sums.order()):
                del self.threads[key]

    @property
    def end(self) -> str:
        """How it ended, in words; "" where it lives or that is not known."""
        if self.became is not None:
            return f"executed {self.became}" if self.became else "executed another program"
        if not self.ended_ns or self.status is None:
            return ""
        if not os.WIFSIGNALED(self.status):
            return f"exited with {os.WEXITSTATUS(self.status)}"
        ended_by = _signal(os.WTERMSIG(self.status))
        if ended_by == "SIGKILL" and self.out_of_memory:
            return "killed for memory (SIGKILL)"
        if ended_by == "SIGSYS" and self.killed_for is not None:
            return f"killed by seccomp for calling {name(self.killed_for)} (SIGSYS)"
        return f"killed by {ended_by}{', core dumped' if os.WCOREDUMP(self.status) else ''}"

    def message(self, unix_minus_monotonic_ns: int, begun_ns: int, threads: int) -> processes_pb2.Process:
        """Give it with so many threads as the wire carries it; its life began at `begun_ns` (CLOCK_MONOTONIC)."""
        busiest, other_threads = self._busiest(threads)
        hide, name_of = self.redaction.text, self._name
        command, title = (
            safe(redacted(hide(each)), most) for each, most in ((self.command, _MAX_COMMAND), (self.title, _MAX_TITLE))
        )
        # A title is read for longer than argv[0].
        same = title.startswith(command.removesuffix("...")) if command.endswith("...") else title == command
        message = processes_pb2.Process(
            pid=self.pid,
            parent_pid=self.parent_pid,
            host_pid=self.host_pid,
            image=self.image,
            start_time_unix_nanoseconds=begun_ns + unix_minus_monotonic_ns,
            command=command,
            title="" if same else title,
            name=safe(name_of(self.name), _MAX_NAME),
            first_name=safe(name_of(self.first_name), _MAX_NAME),
            executable=executable(self.path, self.file, self.redaction, deleted=self.deleted, detached=self.detached),
            arguments=arguments(self.words, self.redaction) if self.words else (),
            lifetime_nanoseconds=self.ended_ns and max(1, self.ended_ns - begun_ns),
            end=self.end,
            sums=self.sums.message(),
            denied=sum(counts[3] for counts in self.by_call.values()),
            threads=self.threads_seen,
            execs_seen=self.execs_seen,
            execs=[
                processes_pb2.Exec(
                    time_unix_nanoseconds=each.time_ns + unix_minus_monotonic_ns,
                    command=safe(redacted(hide(each.command)), _MAX_COMMAND),
                    executable=each.executable,
                )
                for each in self.execs
            ],
            syscalls=syscalls(self.by_call),
            busiest_threads=busiest,
            other_threads=other_threads.message(),
        )
        if self.ended_ns and self.became is None and self.status is not None:
            _write_status(message, self.status)
        return message

    def _name(self, name: bytes) -> bytes:
        """Return the name of a thread, as it is shown: an exec names it after its file, as far as 15 bytes go."""
        file = self.path.rpartition(b"/")[2]
        is_files = bool(name) and file[:_NAME_BYTES] == name[:_NAME_BYTES]
        hidden = is_files and self.redaction.hides(self.path)
        return HIDDEN.encode() if hidden else self.redaction.text(name)

    def _busiest(self, threads: int) -> tuple[list[processes_pb2.ProcessThread], Sums]:
        """Return the busiest threads, and the sums of the others."""
        busiest = heapq.nlargest(threads, self.threads.values(), key=lambda each: (*each.sums.order(), -each.host_tid))
        others = Sums()
        others.add(self.sums)
        for each in busiest:
            others.subtract(each.sums)
        return [
            processes_pb2.ProcessThread(
                tid=each.tid,
                host_tid=each.host_tid,
                name=safe(self._name(each.name), _MAX_NAME),
                first_name=safe(self._name(each.first_name), _MAX_NAME),
                sums=each.sums.message(),
            )
            for each in busiest
        ], others


def executable(path: bytes, file: bytes, redaction: Redaction = DEFAULT, *, deleted: bool, detached: bool) -> str:
    """Name an executable: by its path, its file's name, or as memfd:NAME where it never had a path."""
    if detached and file:
        shown = safe(redaction.path(file), _MAX_COMMAND)
    else:
        # A path, and a file's name, may have filled its room.
        shown = safe(_hidden(path, _MAX_PATH, redaction), _MAX_PATH) or safe(redaction.path(file), _MAX_FILE)
    return f"{shown} (deleted)" if deleted and shown else shown


def _hidden(path: bytes, most: int, redaction: Redaction) -> bytes:
    return redaction.path(path) if len(path) <= most else redaction.cut(path)


def syscalls(by_call: dict[SyscallKey, list[int]]) -> list[processes_pb2.ProcessSyscall]:
    """Give the calls of one row; those that work first, as everywhere."""
    messages = [
        processes_pb2.ProcessSyscall(
            name=name(key),
            abi="" if key.abi == platform.machine() else key.abi,
            wait=key.waited,
            calls=calls,
            errors=errors,
            total_nanoseconds=total_ns,
            denied=denied,
        )
        for key, (calls, errors, total_ns, denied) in by_call.items()
    ]
    messages.sort(key=lambda each: (each.wait, -each.total_nanoseconds, -each.calls, each.name, each.abi))
    return messages[:_SYSCALLS]


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
