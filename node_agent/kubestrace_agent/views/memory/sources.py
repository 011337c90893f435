"""What the loader compiles for the view memory."""

from kubestrace_agent.kernel.loader import stack_offsets
from kubestrace_agent.kernel.loader.btf import Btf
from kubestrace_agent.kernel.loader.sources import STACKS, Source
from kubestrace_agent.views.memory import offsets

PART = "memory"
# Who made the calls that added much; without it there are no stacks.
GROWTH = "memory_growth"
READING = STACKS.part


def _growth_definitions(machine: str, btf: Btf) -> dict[str, int]:
    """All that it includes needs. Raises BtfError."""
    return offsets.definitions(machine, btf) | stack_offsets.definitions(machine, btf)


SOURCES = (
    # Before the calls: programs of one event run in this order.
    Source(
        file="views/memory/memory_growth.bpf.c",
        chain={"on_memory_growth": "COUNTED"},
        maps=("growth_slots", "growth_scratch", "growth_rings", "first_growth_ring"),
        definitions=_growth_definitions,
        uses="kernel/bpf/stacks.bpf.c",
        part=GROWTH,
        what="Stacks of calls for memory",
    ),
    Source(
        file="views/memory/memory.bpf.c",
        hooks={
            "on_memory_exec": "sched_process_exec",
            "on_memory_fork": "sched_process_fork",
            "on_memory_end": "sched_process_exit",
        },
        chain={"on_memory_call": "COUNTED"},
        maps=("memory_slots", "memory_breaks", "memory_calls"),
        definitions=offsets.definitions,
        uses="kernel/bpf/calls.bpf.c",
        part=PART,
        what="Memory",
    ),
    # Processes that live.
    Source(
        file="views/memory/memory_walk.bpf.c",
        iterators=("walk_memory",),
        uses="views/memory/memory.bpf.c",
        part=PART,
        what="Memory",
    ),
)
