"""The view `cpuTime`: where the time of threads went, added up. Pure; used by merge, and by shares for the status."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from kubestrace_operator.results import histograms
from kubestrace_protos.v1 import agent_pb2


class CallKey(NamedTuple):
    """A system call under one ABI, as merge.SyscallKey."""

    name: str
    abi: str


@dataclass
class Budget:
    """The time of threads in nanoseconds, as agent_pb2.TimeBudget has it."""

    thread_ns: int = 0
    # Of the one that was followed longest.
    wall_ns: int = 0
    user_ns: int = 0
    runnable_ns: int = 0
    blocked_ns: int = 0
    uncounted_kernel_ns: int = 0
    uncounted_waiting_ns: int = 0
    other_ns: int = 0
    kernel: dict[CallKey, int] = field(default_factory=dict)
    waiting: dict[CallKey, int] = field(default_factory=dict)

    @property
    def kernel_ns(self) -> int:
        """On a CPU in calls, counted or not."""
        return sum(self.kernel.values()) + self.uncounted_kernel_ns

    @property
    def waiting_ns(self) -> int:
        """Asleep in calls, counted or not."""
        return sum(self.waiting.values()) + self.uncounted_waiting_ns


def from_message(message: agent_pb2.TimeBudget) -> Budget:
    """Return what the wire carries."""
    return Budget(
        thread_ns=message.thread_nanoseconds,
        wall_ns=message.wall_nanoseconds,
        user_ns=message.user_nanoseconds,
        runnable_ns=message.runnable_nanoseconds,
        blocked_ns=message.blocked_nanoseconds,
        uncounted_kernel_ns=message.uncounted_kernel_nanoseconds,
        uncounted_waiting_ns=message.uncounted_waiting_nanoseconds,
        other_ns=message.other_nanoseconds,
        kernel={CallKey(each.name, each.abi): each.kernel_nanoseconds for each in message.calls},
        waiting={CallKey(each.name, each.abi): each.waiting_nanoseconds for each in message.calls},
    )


def add(parts: Iterable[Budget]) -> Budget:
    """Return the sum; the parts stay as they are."""
    total = Budget()
    for part in parts:
        total.thread_ns += part.thread_ns
        total.wall_ns = max(total.wall_ns, part.wall_ns)
        total.user_ns += part.user_ns
        total.runnable_ns += part.runnable_ns
        total.blocked_ns += part.blocked_ns
        total.uncounted_kernel_ns += part.uncounted_kernel_ns
        total.uncounted_waiting_ns += part.uncounted_waiting_ns
        total.other_ns += part.other_ns
        histograms.add_into(total.kernel, part.kernel)
        histograms.add_into(total.waiting, part.waiting)
    return total
