"""What the kernel counted, as values: made by readings.py, subtracted by traces/delta.py. Knows no BPF."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from kubestrace_agent.syscalls import SyscallKey

_NONE: Mapping[int, int] = MappingProxyType({})


class Row(NamedTuple):
    """One system call of one slot, cumulative since the slot was made. Sparse: zeros are left out."""

    total_ns: int = 0
    # Calls without a known length: in flight when counting began, denied by seccomp, never returning.
    untimed: int = 0
    # Those of `untimed` that were in flight when counting began.
    unmatched: int = 0
    # errno -> calls; the restart codes (512, 513, 514, 516) stand among them. 0: an errno that did not fit.
    errnos: Mapping[int, int] = _NONE
    # Histogram index as in agent.proto -> calls.
    buckets: Mapping[int, int] = _NONE
    # (epoch, longest call that ended in it or later): epochs ascend, lengths fall. The longest call after the
    # snapshot of epoch E is the first pair with an epoch greater than E; no pair: no call since.
    maxima: tuple[tuple[int, int], ...] = ()
    # Of calls that return how many bytes they moved (syscalls/moving.py): the sum, and how many moved none.
    bytes: int = 0
    nothings: int = 0


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
class RingUser:
    """A process that has or had a ring of io_uring."""

    # As the host numbers it, then as its own pid namespace does.
    pid: int
    inner_pid: int
    process: bytes
    # A thread of the kernel takes its work: it needs no system call.
    polled: bool
    # Its rings' addresses in the kernel. None: no descriptor of one is left.
    rings: frozenset[int] = frozenset()
    # 0: it was found living; else the epoch before which it made a ring, and it may have ended.
    noted: int = 0


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
    # Who uses io_uring now, and who made a ring since the slot was made.
    ring_users: tuple[RingUser, ...] = ()

    @property
    def attach_end(self) -> int:
        """The position that the next call in flight at attach will have."""
        return self.attach_first + len(self.at_attach)

    def attached_since(self, position: int) -> Sequence[CallAtAttach]:
        """Calls in flight at attach that ended later, from a position on."""
        return self.at_attach[position - self.attach_first :]


@dataclass(frozen=True, slots=True)
class RawCall:
    """One call as the kernel reported it. PIDs: of the host, then of the process's own pid namespace."""

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
    # Of its length, on a CPU and ready to run; None where no view knows.
    on_ns: int | None = None
    runnable_ns: int | None = None
