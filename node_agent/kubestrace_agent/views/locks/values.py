"""Where a slot's threads wait for each other, as the kernel reported it. Made by kernel.py, used by the collector."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class LockCounts:
    """What was counted at one address of a process since its first wait; everything only grows. In nanoseconds."""

    # As its own PID namespace numbers the process, and its name.
    inner_pid: int = 0
    process: bytes = b""
    # That waited there and were woken.
    threads: int = 0
    # Calls that slept; failed of these: timeouts and interruptions.
    waits: int = 0
    failed: int = 0
    # Calls that woke somebody; of these by threads that had waited there themselves.
    wakes: int = 0
    handed_on: int = 0
    # From the end of a thread's wait to its next wake, where nobody else's wait ended between.
    holds: int = 0
    held_ns: int = 0
    longest_held_ns: int = 0
    # Of waits.
    total_ns: int = 0
    max_ns: int = 0
    # As in agent.proto.
    buckets: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class RawLocks:
    """All of a slot: by process (as the host numbers it) and address, and what found no row."""

    locks: Mapping[tuple[int, int], LockCounts] = field(default_factory=dict)
    other_waits: int = 0
    other_ns: int = 0
