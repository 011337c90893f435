"""Slow calls and their stacks, as the kernel reported them. Made by kernel.py, used by the collector."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from kubestrace_agent.kernel.counters.counts import RawCall
from kubestrace_agent.symbols.frames import CodeMapping, UserFrame, UserStack


@dataclass(frozen=True, slots=True)
class Floors:
    """The shortest calls to report, in nanoseconds: of those that work, of those that waited."""

    working_ns: int
    waiting_ns: int
    # Of what is read at one time, the slowest of each kind are enough, so many; 0: all of it.
    most: int = 0


class Code(Protocol):
    """Who knows what addresses mean."""

    def kernel_names(self, addresses: Iterable[int]) -> list[str]:
        """Name addresses of the kernel; "" where it has no name."""

    def mappings(self, pid: int, frames: Sequence[UserFrame]) -> Sequence[CodeMapping]:
        """List the code that a process of the host has mapped now, of which these are frames; none if it has ended."""


@dataclass(frozen=True, slots=True)
class RawStack:
    """Where a call waited and who made it, innermost first."""

    # Of the longest sleep in the kernel, empty if it never slept; None: not known.
    kernel: tuple[int, ...] | None
    waited_ns: int
    user: UserStack
    code: Code


@dataclass(frozen=True, slots=True)
class SlowCall(RawCall):
    """One slow call; with its stack where that is asked for."""

    stack: RawStack | None = None
