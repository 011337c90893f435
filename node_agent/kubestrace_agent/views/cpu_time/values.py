"""Where the time of threads went, as the kernel reported it. Made by kernel.py, used by the collector."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from kubestrace_agent.syscalls import SyscallKey


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
