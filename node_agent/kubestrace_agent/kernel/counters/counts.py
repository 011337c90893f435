"""What the kernel counted, as values: made by tracer, subtracted by aggregate. Knows no BPF."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from kubestrace_agent.syscalls import SyscallKey


@dataclass(frozen=True, slots=True)
class Row:
    """One system call of one slot, cumulative since the slot was made. Sparse: zeros are left out."""

    total_ns: int = 0
    # Calls without a known length: in flight when counting began, denied by seccomp, never returning.
    untimed: int = 0
    # Those of `untimed` that were in flight when counting began.
    unmatched: int = 0
    # errno -> calls; the restart codes (512, 513, 514, 516) stand among them. 0: an errno that did not fit.
    errnos: Mapping[int, int] = field(default_factory=dict)
    # Histogram index as in agent.proto -> calls.
    buckets: Mapping[int, int] = field(default_factory=dict)
    # (epoch, longest call that ended in it or later): epochs ascend, lengths fall. The longest call after the
    # snapshot of epoch E is the first pair with an epoch greater than E; no pair: no call since.
    maxima: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class InFlight:
    """A call that a living task is inside of."""

    key: SyscallKey
    # Thread and process as the host's pid namespace numbers them.
    tid: int
    pid: int
    # Of a call whose beginning was not seen: at least.
    age_ns: int
    # It was under way before its slot was made, or before the task came into it.
    began_earlier: bool = False
    # Who and with which arguments, for calls.parsed; empty where the kernel cannot tell.
    details: bytes = b""


@dataclass(frozen=True, slots=True)
class CallAtAttach:
    """A call that was under way when a trace joined its slot, and has ended: counted, but not in Row.maxima."""

    key: SyscallKey
    # CLOCK_MONOTONIC.
    start_ns: int
    length_ns: int


@dataclass(frozen=True, slots=True)
class RawCounts:
    """Everything counted in one slot since it was made: plain values, cheap to keep as a trace's start."""

    # The snapshot's number: grows with each one of a Tracer, and is the epoch of Row.maxima.
    epoch: int = 0
    # CLOCK_MONOTONIC when it was taken.
    time_ns: int = 0
    rows: Mapping[SyscallKey, Row] = field(default_factory=dict)
    in_flight: tuple[InFlight, ...] = ()
    # Calls for which no row was free.
    lost_calls: int = 0
    # In the order in which they ended, since the slot was made but for those that no trace needs any more: the first of
    # these has this position among all.
    at_attach: tuple[CallAtAttach, ...] = ()
    attach_first: int = 0
    # When a trace that begins with these counts joined its slot, CLOCK_MONOTONIC; 0: it is the slot's first.
    joined_ns: int = 0

    @property
    def attach_end(self) -> int:
        """The position that the next call in flight at attach will have."""
        return self.attach_first + len(self.at_attach)

    def attached_since(self, position: int) -> Sequence[CallAtAttach]:
        """Calls in flight at attach that ended later, from a position on."""
        return self.at_attach[position - self.attach_first :]


@dataclass(frozen=True, slots=True)
class CodeMapping:
    """Code in a process's memory: of a file, from a place in it (bytes), or of none (an empty path)."""

    start: int
    end: int
    offset: int
    path: bytes


class Code(Protocol):
    """Who knows what addresses mean."""

    def kernel_names(self, addresses: Iterable[int]) -> list[str]:
        """Name addresses of the kernel; "" where it has no name."""

    def mappings(self, pid: int) -> list[CodeMapping]:
        """List the code that a process of the host has mapped now; none if it has ended."""


@dataclass(frozen=True, slots=True)
class UserFrame:
    """An address in a program, and where it is in which file; no build id: not known."""

    address: int
    build_id: bytes = b""
    offset: int = 0


@dataclass(frozen=True, slots=True)
class RawStack:
    """Where a call waited and who made it, innermost first."""

    # Of the longest sleep in the kernel, empty if it never slept; None: not known.
    kernel: tuple[int, ...] | None
    waited_ns: int
    user: tuple[UserFrame, ...]
    # Of the user, and the words from the stack pointer on, to find return addresses by: never to be shown.
    stack_pointer: int
    frame_pointer: int
    words: tuple[int, ...]
    code: Code


@dataclass(frozen=True, slots=True)
class RawCall:
    """One call as the kernel told it. PIDs: of the host, then of the process's own pid namespace."""

    key: SyscallKey
    waits: bool
    # CLOCK_MONOTONIC.
    start_ns: int
    length_ns: int
    arguments: tuple[int, ...]
    result: int
    tid: int
    pid: int
    inner_tid: int
    inner_pid: int
    thread: bytes
    process: bytes
    # For each of arguments.captured(...): the mode of the file's inode (0: none), and what was read.
    captures: tuple[tuple[int, bytes], ...]
    # Of its length, on a CPU and ready to run; None without the view of CPU time.
    on_ns: int | None = None
    runnable_ns: int | None = None
    # Only where stacks are asked for.
    stack: RawStack | None = None


@dataclass(frozen=True, slots=True)
class Floors:
    """The shortest calls that are to be told, in nanoseconds: of those that work, of those whose purpose is to wait."""

    working_ns: int
    waiting_ns: int
    # Of what is read at one time, the slowest of each kind are enough, so many; 0: all of it.
    most: int = 0


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


class CpuParts(NamedTuple):
    """Where some time of threads went, in nanoseconds: it adds up."""

    # On a CPU.
    on_ns: int = 0
    # Ready to run, without a CPU.
    runnable_ns: int = 0
    asleep_ns: int = 0

    @property
    def all_ns(self) -> int:
        """The sum."""
        return self.on_ns + self.runnable_ns + self.asleep_ns

    def plus(self, more: "CpuParts") -> "CpuParts":
        """The sum of both."""
        return CpuParts(self.on_ns + more.on_ns, self.runnable_ns + more.runnable_ns, self.asleep_ns + more.asleep_ns)

    def minus(self, before: "CpuParts") -> "CpuParts":
        """What was added; never less than nothing."""
        return CpuParts(
            max(0, self.on_ns - before.on_ns),
            max(0, self.runnable_ns - before.runnable_ns),
            max(0, self.asleep_ns - before.asleep_ns),
        )


NO_TIME = CpuParts()


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """The time of all threads of a slot since its view of CPU time began; everything only grows."""

    # CLOCK_MONOTONIC when they were read.
    time_ns: int = 0
    # Their lives, from the beginning or their birth until now or their death.
    thread_ns: int = 0
    # Outside of calls.
    user: CpuParts = NO_TIME
    # In calls without a row: those that no trace of the slot counts.
    other: CpuParts = NO_TIME
    # Of calls that have ended.
    ended: Mapping[SyscallKey, CpuParts] = field(default_factory=dict)
    # Of calls that threads are inside of now.
    under_way: Mapping[SyscallKey, CpuParts] = field(default_factory=dict)

    @property
    def missing_ns(self) -> int:
        """What of the threads' lives is in none of the parts."""
        rows = (*self.ended.values(), *self.under_way.values())
        return self.thread_ns - self.user.all_ns - self.other.all_ns - sum(parts.all_ns for parts in rows)


@dataclass(frozen=True, slots=True)
class ErrorsWanted:
    """Since when the times of failures are to be told, CLOCK_MONOTONIC: of the session that began last."""

    since_ns: int


class ErrorTimes(NamedTuple):
    """When calls of one kind failed in one way: for the first time since it is wanted, and for the last; as above."""

    key: SyscallKey
    number: int
    first_ns: int
    last_ns: int


@dataclass(slots=True)
class RawErrors:
    """What failed in a slot: all times, and the calls that were told since they were read last."""

    times: list[ErrorTimes] = field(default_factory=list)
    calls: list[RawCall] = field(default_factory=list)
