"""The Tracer: the loaded programs of this node, attached only while something is traced.

Used by traces (agent) and by the CLI's local mode. A slot is one traced container (or process); its counters only
grow. A trace is the difference of two snapshots of its slot, so that any number of traces share one slot.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Self

from kubestrace_agent.kernel.counts import InFlight, RawCounts, Row
from kubestrace_agent.syscalls import SyscallKey

__all__ = ["InFlight", "NodeFullError", "RawCounts", "Row", "Tracer", "UnsupportedKernelError"]


class UnsupportedKernelError(Exception):
    """This node cannot trace. `reason` is CamelCase; the message says what was tried, why it failed, what to do."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class NodeFullError(Exception):
    """A cap of this node is reached: no further slot."""


class Tracer:
    """One per node: the loaded programs. One owner, no locks: call it from one thread at a time.

    Every method but `load` is quick (map updates, no compilation); the first slot also attaches the programs and the
    last one's removal detaches them.
    """

    @classmethod
    def load(cls, *, max_containers: int = 512) -> Self:
        """Compile and load in a short-lived child process (about 0.3 s). Raises UnsupportedKernelError."""
        raise NotImplementedError

    def add_container(self, cgroup_path: Path, *, wanted: frozenset[SyscallKey] | None) -> int:
        """Count the calls of this cgroup (a directory of the cgroup2 tree) and those nested below it: a slot.

        `wanted` is Selection.keys(): None is all. Of two slots, one nested in the other, the inner one counts.
        Adding one cgroup twice is the caller's error (ValueError): keep slots per cgroup and count references.
        Raises FileNotFoundError when the cgroup is gone and NodeFullError at the cap.
        """
        raise NotImplementedError

    def add_process(self, pid: int, *, wanted: frozenset[SyscallKey] | None) -> int:
        """Count the calls of this process, all its threads, and the children it makes from now on.

        Raises ProcessLookupError when there is no such process, UnsupportedKernelError where it cannot be followed.
        """
        raise NotImplementedError

    def set_wanted(self, slot: int, wanted: frozenset[SyscallKey] | None) -> None:
        """Change what a slot counts: pass the union of what its traces want, and subtract with each one's own."""
        raise NotImplementedError

    def remove(self, slot: int) -> None:
        """Stop counting it. Take the last snapshot before; the slot's number may come back for another container."""
        raise NotImplementedError

    def snapshot(self, slots: Iterable[int]) -> dict[int, RawCounts]:
        """Counters since each slot was made, exact, with the calls that living tasks are inside of now.

        Pure values: keep the one of a trace's start and subtract by aggregate.difference; maxima need no folding by
        the caller, whatever other snapshots were taken between. Take one at least every 10 minutes while a slot
        lives (counters in the kernel are 32 bits wide), each second for a trace that reports.
        """
        raise NotImplementedError

    @property
    def attached(self) -> bool:
        """Whether any program is attached: only while there is a slot."""
        raise NotImplementedError

    def close(self) -> None:
        """Detach and give everything back. Twice is fine."""
        raise NotImplementedError
