"""What a slot's rings did, as the kernel reported it. Made by kernel.py, used by the collector."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class RingCounts:
    """What was counted of one opcode since its first operation; everything only grows. Lengths in nanoseconds."""

    submitted: int = 0
    # With a result that was seen; errors and untimed are of these.
    completed: int = 0
    errors: int = 0
    untimed: int = 0
    # Of submitted: no result is told.
    silent: int = 0
    # Results above 0, added up.
    bytes: int = 0
    total_ns: int = 0
    max_ns: int = 0
    # As in agent.proto.
    buckets: Mapping[int, int] = field(default_factory=dict)
    errnos: Mapping[int, int] = field(default_factory=dict)


# All of a slot, by opcode.
RawRings = Mapping[int, RingCounts]
