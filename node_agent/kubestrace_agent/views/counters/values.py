"""What the kernel counts of threads. Made by kernel.py, used by the collector."""

from typing import NamedTuple


class ThreadSums(NamedTuple):
    """Of any number of threads, in the order of struct thread_sums; times in nanoseconds."""

    minor_faults: int = 0
    major_faults: int = 0
    voluntary: int = 0
    involuntary: int = 0
    migrations: int = 0
    run_delay_ns: int = 0
    cpu_ns: int = 0

    def plus(self, more: "ThreadSums") -> "ThreadSums":
        """The sum of both."""
        return ThreadSums(*map(sum, zip(self, more, strict=True)))

    def minus(self, before: "ThreadSums") -> "ThreadSums":
        """What was added; never less than nothing."""
        return ThreadSums(*(max(0, now - then) for now, then in zip(self, before, strict=True)))
