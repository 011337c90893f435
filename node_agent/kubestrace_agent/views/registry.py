"""The views of a Tracer: what the kernel tells beside the counts, of slots that ask for it."""

import mmap
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from kubestrace_agent.kernel.loader.programs import Programs
from kubestrace_agent.views.cpu_time.kernel import CpuTime
from kubestrace_agent.views.errors.kernel import Errors
from kubestrace_agent.views.processes.kernel import Processes
from kubestrace_agent.views.slow_calls.kernel import SlowCalls
from kubestrace_agent.views.slow_calls.stacks_kernel import SlowStacks


class View(Protocol):
    """One view. Nothing of it is attached, and nothing in the kernel made for it, while no slot wants it.

    What a slot asks for and what is read are the view's own: plain values, which its collector in the agent knows.
    """

    def enable(self, slot: int, generation: int, wanted: Any) -> None:
        """Begin for a slot, or change what it asks for. Raises UnsupportedKernelError where this kernel cannot."""

    def disable(self, slot: int) -> None:
        """End for a slot. Twice is fine."""

    def read(self) -> Mapping[int, Any]:
        """Tell what there is of the slots that want it, by slot."""

    def lost(self, slot: int) -> int:
        """Count what found no room since the slot wants it."""

    @property
    def needs_drain(self) -> bool:
        """Whether there is so much to be read that the next time should not be waited for."""

    def close(self) -> None:
        """Give memory back; the programs are detached by their owner."""


def views(programs: Programs, abis: Sequence[str]) -> dict[str, View]:
    """Return all views by the names that sources.VIEWS has; `abis` as abi_names gives them."""
    stacks = SlowStacks(programs, mmap.PAGESIZE)
    return {
        "cpu_time": CpuTime(programs, abis),
        "slow_calls": SlowCalls(programs, abis, stacks),
        "slow_stacks": stacks,
        "processes": Processes(programs, abis),
        "errors": Errors(programs, abis),
    }
