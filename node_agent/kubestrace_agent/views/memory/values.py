"""What was asked of the kernel for memory, and how much there was. Made by kernel.py, used by the collector."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from kubestrace_agent.symbols.frames import UserStack
from kubestrace_agent.views.user_stacks import Ask

# In the order of enum memory_flow.
KINDS = (
    "mmap anonymous private",
    "mmap anonymous shared",
    "mmap file private",
    "mmap file shared",
    "mmap reserved",
    "mmap hugetlb",
    "munmap",
    "mremap larger",
    "mremap smaller",
    "brk up",
    "brk down",
    "brk unchanged",
    "madvise given back",
    "madvise other",
    "mprotect",
    "mlock",
)


class Flow(NamedTuple):
    """Calls of one kind, as struct memory_flow_row has them."""

    calls: int = 0
    failed: int = 0
    bytes: int = 0
    total_ns: int = 0

    def minus(self, before: "Flow") -> "Flow":
        """What was added."""
        return Flow(*(now - then for now, then in zip(self, before, strict=True)))


class Levels(NamedTuple):
    """Of all processes together, in bytes."""

    processes: int = 0
    anon: int = 0
    file: int = 0
    shared: int = 0
    swap: int = 0
    virtual: int = 0
    page_tables: int = 0
    unread: int = 0


@dataclass(frozen=True, slots=True)
class RawMemory:
    """One reading of a slot."""

    # CLOCK_MONOTONIC.
    time_ns: int = 0
    # As KINDS has them; they only grow.
    flows: Sequence[Flow] = field(default_factory=tuple)
    unsized: int = 0
    levels: Levels = field(default_factory=Levels)


@dataclass(frozen=True, slots=True)
class GrowthSample:
    """A call that added 1 MiB or more, and who made it."""

    # Of KINDS.
    kind: str
    bytes: int
    # As the host numbers it, and as its own PID namespace does.
    pid: int
    inner_pid: int
    stack: UserStack
    # What code a process of the host has mapped now.
    mappings: Ask


@dataclass(frozen=True, slots=True)
class RawGrowth:
    """One reading of a slot: all such calls since it asked, and the stacks that were taken since the last reading."""

    calls: int = 0
    bytes: int = 0
    samples: Sequence[GrowthSample] = ()
